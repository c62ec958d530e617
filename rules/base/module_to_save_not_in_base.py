"""BAS105."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.lint.against_base import is_known, is_of_other_class
from adapterlint.lint.example import HIDDEN, VOCABULARY
from adapterlint.peft.fields import fields_of
from adapterlint.peft.matching import whole_modules
from adapterlint.peft.tasks import IMPLICIT

_MATRIX = ("F32", (VOCABULARY, HIDDEN))


@rule(
    "BAS105",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch({"modules_to_save": ["score"]}, {"base_model.model.score.weight": ("F32", (2, HIDDEN))}, base={}),
        Patch({"modules_to_save": ["wte"]}, {"base_model.model.transformer.wte.weight": _MATRIX}, base={}),
        Patch(
            {"modules_to_save": ["value_head"]}, {"base_model.model.value_head.weight": ("F32", (1, HIDDEN))}, base={}
        ),
    ),
    good=(
        Patch({"modules_to_save": ["lm_head"]}, {"base_model.model.lm_head.weight": _MATRIX}, base={}),
        Patch({"modules_to_save": ["classifier", "score"]}, base={}),
    ),
    source="peft/utils/other.py, _set_trainable; load_state_dict(strict=False) drops what is left",
)
def module_to_save_not_in_base(config: Config, footprint: Footprint, base: ModuleTree) -> Iterator[Finding]:
    """An entry of `modules_to_save` names no module of the base.

    PEFT passes over it without a word, and the tensors that the file has for it are dropped: what was trained there
    is lost. `classifier`, `score` and `qa_outputs`, which PEFT adds for every base of a task, are told only if the
    file has tensors for them: such an adapter was trained on a model with a head, and the base has none.

    Load the adapter into the base that it was trained on. A head that was put on top of it by a library of its own (a
    value head, a reward head) is loaded by that library, not by PEFT. Without tensors the entry does nothing.
    """
    if not isinstance(config.get("modules_to_save"), list) or "modules_to_save" not in fields_of(config.peft_type):
        return
    if not is_known(base):
        return
    entries = whole_modules(config)
    brought = [path for path in footprint.modules_to_save if path not in base.nodes]
    if not entries or not brought:
        return
    if is_of_other_class(config.get("task_type"), [*footprint.tuned, *brought], base):
        return
    idle = [e for e in entries if not any(path.endswith(e) for path in base.nodes)]
    lost = [e for e in idle if any(owner.endswith(e) for owner in brought)]
    if lost:
        yield Finding(
            f"{listed(lost, word='entries')} of `modules_to_save` {'names' if len(lost) == 1 else 'name'} no "
            "module of the "
            "base, so that the tensors in the file are dropped",
            at=config.at("modules_to_save", config.get("modules_to_save").index(lost[0])),
            help=_remedy(lost[0], base),
        )


def _remedy(entry: str, base: ModuleTree) -> str:
    if entry in IMPLICIT:
        return f"Load it into a model class with that head, instead of {shown(base.architecture or 'this one')}."
    return "Load it into the base that it was trained on."
