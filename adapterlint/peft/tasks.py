"""Task types: which of PEFT's classes an adapter is loaded into, and into which classes of transformers.

Source: peft_model.py (`PeftModelFor*`), mapping.py, utils/peft_types.py (`TaskType`); the same in PEFT 0.10 to 0.21 but
for `FEATURE_EXTRACTION`, which has a class of its own in all of them and adds no head.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_HANDED = ("input_ids", "attention_mask", "inputs_embeds", "output_attentions", "return_dict")


@dataclass(frozen=True, slots=True)
class Task:
    """A task type.

    Args:
        ending: What the name of PEFT's class adds to `PeftModel`.
        heads: What that class adds to `modules_to_save` by itself.
        models: How names of model classes end that only this task is for.
        auto_class: The auto class of transformers that builds the base; `AutoModel` for a model without a head.
        hands: Keywords that the forward pass of PEFT's class hands to the base, whatever it is called with; of those
            that go together one.
    """

    ending: str
    heads: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    auto_class: str = "AutoModel"
    hands: tuple[str, ...] = (*_HANDED, "labels")

    @property
    def has_class(self) -> bool:
        """Whether it needs another model class than other tasks do."""
        return self.auto_class != "AutoModel"


TASKS: Mapping[str, Task] = {
    "SEQ_CLS": Task(
        "ForSequenceClassification",
        heads=("classifier", "score"),
        models=("ForSequenceClassification",),
        auto_class="AutoModelForSequenceClassification",
    ),
    "SEQ_2_SEQ_LM": Task(
        "ForSeq2SeqLM", auto_class="AutoModelForSeq2SeqLM", hands=(*_HANDED, "labels", "decoder_input_ids")
    ),
    "CAUSAL_LM": Task("ForCausalLM", models=("ForCausalLM", "LMHeadModel"), auto_class="AutoModelForCausalLM"),
    "TOKEN_CLS": Task(
        "ForTokenClassification",
        heads=("classifier", "score"),
        models=("ForTokenClassification",),
        auto_class="AutoModelForTokenClassification",
    ),
    "QUESTION_ANS": Task(
        "ForQuestionAnswering",
        heads=("qa_outputs",),
        models=("ForQuestionAnswering",),
        auto_class="AutoModelForQuestionAnswering",
        hands=(*_HANDED, "start_positions"),
    ),
    "FEATURE_EXTRACTION": Task("ForFeatureExtraction", hands=_HANDED),
}

TASK_TYPES = tuple(TASKS)  # values of files that cannot be keys are looked for here
HEADED = tuple(ending for task in TASKS.values() if task.heads for ending in task.models)
IMPLICIT_HEADS: Mapping[str, tuple[str, ...]] = {name: task.heads for name, task in TASKS.items() if task.heads}
IMPLICIT = frozenset(name for task in TASKS.values() for name in task.heads)
