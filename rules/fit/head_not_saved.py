"""FIT112."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.lint.against_base import is_known
from adapterlint.lint.example import HIDDEN
from adapterlint.peft.fields import fields_of
from adapterlint.peft.tasks import IMPLICIT_HEADS


@rule(
    "FIT112",
    Severity.WARNING,
    since="0.1",
    bad=({"task_type": "SEQ_CLS"}, {"task_type": "TOKEN_CLS"}, {"task_type": "QUESTION_ANS"}),
    good=Patch({"task_type": "SEQ_CLS"}, {"base_model.model.score.weight": ("F32", (2, HIDDEN))}),
    source="peft/peft_model.py, PeftModelForSequenceClassification; peft/utils/save_and_load.py",
)
def head_not_saved(config: Config, footprint: Footprint, base: ModuleTree | None) -> Iterator[Finding]:
    """The task has a head of its own, but the file has no tensors of one.

    For this `task_type` PEFT trains and saves the head by itself: `classifier` and `score`, or `qa_outputs`. If the
    base has a module whose name ends so, loading fails with `KeyError: 'base_model.model.score.weight'`. If it has
    none, the adapter loads, and the head is the one that the base came with: a random one, if it was never trained.

    Without its head the adapter is of no use for the task; save it again from the trained model. If it was trained for
    another task, set `task_type` to that.
    """
    heads = IMPLICIT_HEADS.get(str(config.get("task_type")))
    if heads is None or "modules_to_save" not in fields_of(config.peft_type):
        return
    if footprint.modules_to_save or footprint.overwrites:
        return  # a head may be called otherwise
    if not (footprint.tuned or footprint.shared) or footprint.foreign:
        return  # nothing at all is there that PEFT could read
    if base is not None and is_known(base) and any(path.endswith(heads) for path in base.nodes):
        return  # another rule tells that PEFT looks it up
    yield Finding(
        f"For `task_type` {shown(config.get('task_type'))} PEFT saves {listed(heads)}, but the file has no head",
        at=config.at("task_type"),
        help="Save the adapter again with its head, or set `task_type` to the task that it was trained for.",
    )
