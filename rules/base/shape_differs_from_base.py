"""BAS108."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adapterlint import (
    AdapterSimulation,
    Config,
    Finding,
    Footprint,
    ModuleTree,
    Patch,
    Severity,
    WeightsHeader,
    counted,
    rule,
    shown,
)
from adapterlint.lint.against_base import has_all_weights, is_sure, last, refusals, rows
from adapterlint.lint.default_modules import not_by_default, resized_by_targets
from adapterlint.lint.example import EMBEDDINGS, HIDDEN, RANK
from adapterlint.lint.tensor_sizes import MAY_BE_EMPTY, explained
from adapterlint.peft.keys import TOKENS
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.compared import compared
from adapterlint.peft.sites import OUTPUT_EMBEDDINGS
from adapterlint.peft.tasks import IMPLICIT

_MISMATCH = re.compile(r"size mismatch for (\S+): .*?torch\.Size\(\[([\d, ]*)\]\).*?torch\.Size\(\[([\d, ]*)\]\)")
_BIG = ("F32", (67, HIDDEN))
_HEAD = "base_model.model.lm_head.lora_"
_LABELS = {"id2label": {"0": "no", "1": "yes"}, "pad_token_id": 0}


@dataclass(frozen=True, slots=True)
class _Misfit:
    """A tensor of the file that the model has in another shape."""

    tensor: str
    module: str
    file: tuple[int, ...]
    model: tuple[int, ...]

    @property
    def axis(self) -> int | None:
        """The only dimension in which the two differ."""
        axes = [i for i, (a, b) in enumerate(zip(self.file, self.model, strict=False)) if a != b]
        return axes[0] if len(axes) == 1 and len(self.file) == len(self.model) else None


@rule(
    "BAS108",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch({"modules_to_save": ["embed_tokens"]}, {f"{EMBEDDINGS}.weight": _BIG}, base={}),
        Patch(
            {"target_modules": ["q_proj", "v_proj", "lm_head"]},
            {f"{_HEAD}A.weight": ("F32", (RANK, HIDDEN)), f"{_HEAD}B.weight": ("F32", (67, RANK))},
            base={},
        ),
        Patch(
            {"task_type": "SEQ_CLS"},
            {"base_model.model.score.weight": ("F32", (3, HIDDEN))},
            base=_LABELS | {"architectures": ["LlamaForSequenceClassification"]},
        ),
        Patch(base={"hidden_size": 32}),
    ),
    good=Patch({"modules_to_save": ["embed_tokens"]}, {f"{EMBEDDINGS}.weight": ("F32", (64, HIDDEN))}, base={}),
    source="peft/utils/save_and_load.py, set_peft_model_state_dict: torch refuses the shapes",
)
def shape_differs_from_base(
    config: Config, footprint: Footprint, header: WeightsHeader, base: ModuleTree, simulation: AdapterSimulation
) -> Iterator[Finding]:
    """Tensors of the file have other shapes than the base's modules ask for.

    torch refuses them: `RuntimeError: Error(s) in loading state_dict for ...: size mismatch for ...`, and the adapter
    stays behind half loaded. With `ignore_mismatched_sizes=True` it loads without them.

    Mostly the vocabulary was resized for the training, and the base was not resized again: PEFT never does that by
    itself (`AutoPeftModel` does, where a tokenizer lies beside the adapter). Or a classifier has another number of
    labels, which is advice where the base's config names no labels (`qa_outputs` has always two). The help has the line
    that repairs it. Where the
    width of layers differs, the adapter was trained on another base. A rank is the matter of `rank-mismatch`.
    """
    tells, places = explained(config, footprint, base), {name: place for place, name in footprint.names.items()}
    # Of a module whose kind is a guess all kinds that it may be were tried.
    wrong = {footprint.names.get((m.module, m.name)) for m in compared(config, footprint, base).misshapen}
    bare = has_all_weights(base)
    # What modules share is of the sizes of all of them, and these are others.
    shared = METHODS[config.peft_type].top or config.get("proportional_parameters")
    others = shared and (
        not_by_default(config, footprint, base, simulation) or resized_by_targets(config, footprint, simulation)
    )
    ours = {"", *footprint.tuned} if others else set[str]()
    for refusal in refusals(simulation, "size-mismatch"):
        sure = is_sure(base, refusal.error.module)
        found = [
            one
            for one in _misfits(refusal.error.text, header)
            if (sure or one.tensor in wrong or (one.module.rpartition(".")[0] not in footprint.tuned and bare))
            and (0 not in one.file or config.peft_type in MAY_BE_EMPTY)  # a placeholder, which is told as such
            and not (one.tensor.endswith(TOKENS) and one.file[:1] != one.model[:1])
            and not (one.tensor in places and (places[one.tensor][0] in ours or tells(*places[one.tensor])))
        ]
        groups: dict[str, list[_Misfit]] = {}
        for one in found:
            groups.setdefault(_cause(one, base), []).append(one)
        for cause, group in groups.items():
            yield _finding(cause, group, base, header, refusal.errors, refusal.peft)


def _misfits(text: str, header: WeightsHeader) -> Iterator[_Misfit]:
    for key, file, model in _MISMATCH.findall(text):
        name = key
        if name not in header.tensors:
            name = key.replace(".modules_to_save.default.", ".").replace(".default.", ".").removesuffix(".default")
        if name not in header.tensors:
            name = name.removesuffix(".weight")
        if name not in header.tensors:
            continue
        module = re.sub(r"^base_model\.(model\.)?", "", name)
        yield _Misfit(name, module, _shape(file), _shape(model))


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number.strip())


def _cause(one: _Misfit, base: ModuleTree) -> str:
    if one.file != one.model and one.file == one.model[::-1]:
        return "turned"
    if one.axis is not None and one.model[one.axis] == rows(base) and _is_embedding(one, base):
        return "vocabulary"
    if one.axis == 0 and any(last(part) in IMPLICIT for part in _parents(one.module)):
        return "labels"
    return "width"


def _is_of_answers(one: _Misfit) -> bool:
    """Whether it is of the head that answers questions, which says where an answer begins and where it ends."""
    return one.model[0] == len(("start", "end")) and "qa_outputs" in one.module.split(".")


def _parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _is_embedding(one: _Misfit, base: ModuleTree) -> bool:
    ends = [end for end in (base.input_embeddings, base.output_embeddings) if end is not None]
    return any(one.module.startswith(f"{end}.") for end in ends) or any(
        last(part) in OUTPUT_EMBEDDINGS for part in _parents(one.module)
    )


def _finding(
    cause: str, group: Sequence[_Misfit], base: ModuleTree, header: WeightsHeader, errors: str, peft: str | None
) -> Finding:
    one = group[0]
    axis = one.axis or 0
    more = f" (and {counted(len(group) - 1, 'tensor')} more)" if len(group) > 1 else ""
    severity = None
    name = f"{shown(one.tensor)}{more}"
    if cause == "vocabulary":
        what = f"{name} has {one.file[axis]:,} rows of the vocabulary, but the base has {one.model[axis]:,}"
        remedy = f"Call `model.resize_token_embeddings({one.file[axis]})` on the base before the adapter is loaded."
    elif cause == "labels":
        what = f"{name} is for {one.file[0]:,} labels, but the base has {one.model[0]:,}"
        remedy = f"Load the base with `from_pretrained(..., num_labels={one.file[0]})`."
        if not {"id2label", "num_labels"} & base.config.keys() and not _is_of_answers(one):
            severity = Severity.INFO
    elif cause == "turned":
        what = f"{name} is transposed: it has the shape {_by(one.file)}, the base's module asks for {_by(one.model)}"
        remedy = "Transpose it, or save the adapter again."
    else:
        what = f"{name} has the shape {_by(one.file)}, but the base's module asks for {_by(one.model)}"
        remedy = "Load the adapter into the base that it was trained on."
        if not one.file:  # as no parameter has, whatever the base
            what = f"{name} is a single number, but the base's module asks for {_by(one.model)}"
            remedy = "Save the adapter again from where it was trained."
    return Finding(f"{what}: PEFT raises {errors}", at=header.at(one.tensor), help=remedy, severity=severity, peft=peft)


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "()"
