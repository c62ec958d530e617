"""CFG113."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapterlint import Config, Finding, Severity, rule, shown
from adapterlint.peft.methods import METHODS
from adapterlint.peft.tasks import TASK_TYPES
from adapterlint.words import suggestion

_OTHER_WORDS = {
    "CAUSAL": "CAUSAL_LM",
    "CAUSALLANGUAGEMODELING": "CAUSAL_LM",
    "LM": "CAUSAL_LM",
    "NER": "TOKEN_CLS",
    "QA": "QUESTION_ANS",
    "QUESTIONANSWERING": "QUESTION_ANS",
    "SEQ2SEQ": "SEQ_2_SEQ_LM",
    "SEQCLASSIFICATION": "SEQ_CLS",
    "SEQUENCECLASSIFICATION": "SEQ_CLS",
    "TEXTCLASSIFICATION": "SEQ_CLS",
    "TEXTGENERATION": "CAUSAL_LM",
    "TOKENCLASSIFICATION": "TOKEN_CLS",
}


@rule(
    "CFG113",
    Severity.ERROR,
    since="0.1",
    bad=({"task_type": "causal_lm"}, {"task_type": "SEQUENCE_CLASSIFICATION"}, {"task_type": ""}, {"task_type": 3}),
    good=({"task_type": "CAUSAL_LM"}, {"task_type": None}),
    source="peft/config.py, PeftConfigMixin.__post_init__ (0.14)",
    peft=">=0.14",
)
def invalid_task_type(config: Config) -> Iterator[Finding]:
    """The task type is none that PEFT has.

    Since 0.14 reading the config ends in `ValueError: Invalid task type: ...`; earlier releases build a plain
    `PeftModel` without the head of the task, and so do C3A, CPT and TRAINABLE_TOKENS before 0.18, RANDLORA before 0.20.
    PEFT compares with case.

    Write one of `SEQ_CLS`, `SEQ_2_SEQ_LM`, `CAUSAL_LM`, `TOKEN_CLS`, `QUESTION_ANS`, `FEATURE_EXTRACTION`, or
    `null`.
    """
    value = config.get("task_type")
    if value is None or value in TASK_TYPES or config.peft_type not in METHODS:
        return
    meant = _meant(value) if isinstance(value, str) else None
    written = "an empty string" if value == "" else shown(value)
    yield Finding(
        f"`task_type` is {written}: PEFT raises `ValueError: Invalid task type`",
        at=config.at("task_type"),
        help=f"Write {shown(meant)}." if meant else f"Write one of {', '.join(map(shown, TASK_TYPES))}, or `null`.",
        peft=f">={METHODS[config.peft_type].config.tasks_since}",
    )


def _meant(value: str) -> str | None:
    letters = re.sub(r"[^A-Z0-9]", "", value.upper())
    same = next((task for task in TASK_TYPES if task.replace("_", "") == letters), None)
    return same or _OTHER_WORDS.get(letters) or suggestion(value, TASK_TYPES)
