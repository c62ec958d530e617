"""FIT107."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from adapterlint import (
    AdapterSimulation,
    Config,
    Finding,
    Footprint,
    ModuleTree,
    Patch,
    Severity,
    WeightsHeader,
    listed,
    rule,
)
from adapterlint.lint.against_base import brought_whole, dropped_by, is_known
from adapterlint.lint.example import HIDDEN, VOCABULARY
from adapterlint.lint.tensor_faults import misplaced
from adapterlint.peft.keys import ORIGINAL
from adapterlint.peft.simulate import Alone
from adapterlint.peft.sites import INPUT_EMBEDDINGS, OUTPUT_EMBEDDINGS

_PREFIX = "base_model.model."
_MATRIX = ("F32", (VOCABULARY, HIDDEN))


@rule(
    "FIT107",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch({}, {f"{_PREFIX}lm_head.weight": _MATRIX}),
        Patch({}, {f"{_PREFIX}model.norm.weight": ("F32", (HIDDEN,))}),
        Patch({}, {f"{_PREFIX}lm_head.weight": _MATRIX, f"{_PREFIX}model.embed_tokens.weight": _MATRIX}),
        Patch(
            {"target_modules": ["q_proj", "v_proj", "lm_head"]},
            {
                f"{_PREFIX}lm_head.base_layer.weight": _MATRIX,
                f"{_PREFIX}lm_head.lora_A.weight": ("F32", (8, HIDDEN)),
                f"{_PREFIX}lm_head.lora_B.weight": ("F32", (VOCABULARY, 8)),
            },
        ),
    ),
    good=Patch({"modules_to_save": ["lm_head"]}, {f"{_PREFIX}lm_head.weight": _MATRIX}),
    source="peft/utils/save_and_load.py, get_peft_model_state_dict (save_embedding_layers) and load_state_dict",
)
def base_weights_in_adapter(
    config: Config,
    footprint: Footprint,
    header: WeightsHeader,
    base: ModuleTree | None,
    simulation: AdapterSimulation | None,
) -> Iterator[Finding]:
    """The file has weights of the base model itself.

    Tensors that are named like parameters of the base, and that `modules_to_save` does not list, are copied into the
    base model when the adapter is loaded, if it has parameters of that name. They then hold whatever adapter is active,
    under `disable_adapter` too, and nothing restores the base's own. Of another size they make loading fail
    (`RuntimeError: ... size mismatch`).

    Input embeddings and the head are what PEFT itself writes along when they are in `target_modules`, or when the
    vocabulary was resized (`save_embedding_layers="auto"`). Alone such an adapter works as it should, so that is
    advice; save with `save_embedding_layers=False` if the embeddings were not changed. Anything else was most likely
    trained whole: list it in `modules_to_save`, so that PEFT keeps it apart from the base, or take it out.
    """
    others = {name.removesuffix(".weight") for name in footprint.overwrites}
    # A bias without its weight is the matter of another rule.
    names = [n for n in footprint.overwrites if not n.endswith(".bias") or n.removesuffix(".bias") in others]
    names = [name for name in names if name not in misplaced(config.peft_type, footprint)]
    if base is not None and simulation is not None and is_known(base):
        # What is dropped, or refused for its shape, is the matter of other rules.
        lone = simulation.alone.values()
        told = {name for one in lone for name in dropped_by(one)} - _on_targets(footprint, lone)
        refused = " ".join(one.error.text for one in lone if one.error is not None)
        names = [name for name in names if name not in told and f" {name}:" not in refused]
        names = [name for name in names if not _is_no_parameter(name, base)]
        if config.get("ensure_weight_tying") is True:  # what is tied to a whole module is saved whole
            tied = {f"{_PREFIX}{parameter}" for group in base.tied for parameter in group}
            names = [name for name in names if name not in tied]
    if not names or isinstance(config.get("modules_to_save"), str):
        return
    own = [name for name in names if _embedding(name) in INPUT_EMBEDDINGS | OUTPUT_EMBEDDINGS]
    if not any(_embedding(name) in INPUT_EMBEDDINGS or ".base_layer." in name for name in own):
        own = []  # PEFT never writes a head without the input embeddings
    for group, severity in (([n for n in names if n not in set(own)], Severity.WARNING), (own, Severity.INFO)):
        if not group:
            continue
        what = "which `modules_to_save` does not list" if severity is Severity.WARNING else "as PEFT saves embeddings"
        yield Finding(
            f"The file has {_size(group, header)} of the base's own weights, {what}: {listed(group, word='tensors')}",
            at=header.at(group[0]),
            help=_REMEDY[severity],
            severity=severity,
        )


def _on_targets(footprint: Footprint, lone: Iterable[Alone]) -> set[str]:
    """The weights of targets of which the file has nothing else: the list of whole modules lacks these."""
    modules = {module for one in lone for module in brought_whole(one, footprint)}
    return {footprint.names[module, name] for module in modules for name in footprint.plain[module]}


def _is_no_parameter(name: str, base: ModuleTree) -> bool:
    """Whether a module of the base is surely without a parameter of the name."""
    module, _, parameter = name.removeprefix(_PREFIX).rpartition(".")
    node = base.nodes.get(module)
    return node is not None and node.certain and bool(node.parameters) and parameter not in node.parameters


_REMEDY = {
    Severity.WARNING: "List the modules in `modules_to_save` if they were trained, else take the tensors out.",
    Severity.INFO: "Save with `save_embedding_layers=False` if neither the embeddings nor the vocabulary were changed.",
}


def _embedding(name: str) -> str:
    """The last component of a module's path, without what PEFT puts around a module."""
    parts = [part for part in name.split(".") if part not in ("base_layer", "token_adapter", ORIGINAL)]
    return parts[-2] if len(parts) > 1 else ""


def _size(names: Sequence[str], header: WeightsHeader) -> str:
    size = float(sum(header.tensors[name].nbytes for name in names if name in header.tensors))
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
