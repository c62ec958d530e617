"""BAS118."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, ModuleTree, Patch, Severity, rule, shown
from adapterlint.peft.tasks import HEADED

_LABELLED = {"base_model_class": "LlamaForSequenceClassification", "parent_library": "transformers.models.llama"}


@rule(
    "BAS118",
    Severity.WARNING,
    since="0.1",
    bad=Patch({"task_type": None, "auto_mapping": _LABELLED}, base={}),
    good=(
        Patch(
            {"task_type": None, "auto_mapping": _LABELLED}, base={"architectures": ["LlamaForSequenceClassification"]}
        ),
        Patch({"task_type": None}, base={}),
    ),
    source="peft/peft_model.py, PeftModelForSequenceClassification adds the head, PeftModel does not",
)
def task_head_lost(config: Config, footprint: Footprint, base: ModuleTree) -> Iterator[Finding]:
    """The adapter was trained on a model with a head, without a task type, and nobody has the head.

    PEFT trains and saves the head of a classifier by itself only if `task_type` says that there is one. Without it the
    head that transformers put on the base stayed as it was initialised, at random, and is not in the file; the base's
    checkpoint is of a class without that head. Each time the base is loaded, it gets another random head.

    Train with `task_type="SEQ_CLS"` (`TOKEN_CLS`, `QUESTION_ANS`), or name the head in `modules_to_save`.
    """
    trained = config.mapping("auto_mapping").get("base_model_class")
    if config.get("task_type") is not None or not isinstance(trained, str) or not trained.endswith(HEADED):
        return
    own = base.config.get("architectures")
    if not isinstance(own, list) or not own or any(not isinstance(o, str) or o.endswith(HEADED) for o in own):
        return
    if footprint.modules_to_save or footprint.overwrites or footprint.foreign:
        return
    yield Finding(
        f"The adapter was trained on {shown(trained)} without a `task_type`, so the file has no head, and the base, "
        f"{shown(own[0])}, has none either",
        at=config.at("auto_mapping", "base_model_class"),
        help="Train again with the task type of the head, which PEFT then saves.",
    )
