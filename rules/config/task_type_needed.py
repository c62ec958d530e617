"""CFG116."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import DROP, Config, Finding, Patch, Severity, rule, shown
from adapterlint.lint.example import HIDDEN
from adapterlint.peft.constructors import refusals
from adapterlint.peft.methods import METHODS
from adapterlint.peft.releases import NEWEST
from adapterlint.peft.tasks import TASK_TYPES

_GENERAL = ("auto_mapping", "base_model_name_or_path", "inference_mode", "peft_type", "revision", "task_type")
_PROMPT = {key: DROP for key in Patch().new_config() if key not in _GENERAL} | {
    "peft_type": "PROMPT_TUNING",
    "num_virtual_tokens": 20,
    "num_transformer_submodules": 1,
    "num_attention_heads": 4,
    "num_layers": 2,
    "token_dim": HIDDEN,
}
_TENSORS: dict[str, Any] = {"*": DROP, "prompt_embeddings": ("F32", (20, HIDDEN))}
_INVOKED = {"alora_invocation_tokens": [5, 6]}


@rule(
    "CFG116",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(_PROMPT | {"task_type": None}, _TENSORS),
        Patch(_PROMPT | {"task_type": DROP}, _TENSORS, base={}),
        _INVOKED | {"task_type": None},
    ),
    good=(Patch(_PROMPT, _TENSORS), _INVOKED, {"task_type": None}),
    source="peft/peft_model.py: forward of PeftModel and of PeftModelForCausalLM; peft/mapping_func.py, get_peft_model",
)
def task_type_needed(config: Config) -> Iterator[Finding]:
    """The task type is missing that makes PEFT use what was trained.

    `PeftModel.from_pretrained` chooses the class of the model by `task_type`; without one it is a plain `PeftModel`.
    That runs layers such as those of LoRA, and no more: prompts and prefixes are put before the input by the classes
    of the tasks, so that a plain model loads them and gives what the base gives. POLY gets its `task_ids` through these
    classes, without which its layers raise; an aLoRA learns where its invocation tokens stand from the class for
    `CAUSAL_LM` alone, and is never switched on elsewhere. What `modules_to_save` brings works all the same: then it is
    a warning.

    `get_peft_model` does not train a prompt without a task type (`KeyError: None`), so the config was edited, or
    written by a script. Set `task_type` to the task that it was trained for; who calls `from_pretrained` of the class
    itself (`PeftModelForCausalLM`) gets that class all the same.
    """
    need = _need(config)
    if need is None or next(refusals(config.peft_type, config.values, release=NEWEST), None) is not None:
        return
    consequence, remedy, peft = need
    value = config.get("task_type")
    yield Finding(
        f"`task_type` is {'missing' if value is None else shown(value)}: {consequence}",
        at=config.at("task_type") if "task_type" in config else config.at("peft_type"),
        help=remedy,
        severity=Severity.WARNING if config.get("modules_to_save") else None,
        peft=peft,
    )


_ANY = "Set it to the task that the adapter was trained for, such as `CAUSAL_LM`."


def _need(config: Config) -> tuple[str, str, str | None] | None:
    """What happens without the task, how to repair it, and since when; `None` where the task is there, or no matter."""
    method, task = METHODS.get(config.peft_type), config.get("task_type")
    if method is None or task not in (None, *TASK_TYPES):
        return None
    if config.get("alora_invocation_tokens") and method.name == "LORA" and task != "CAUSAL_LM":
        return "the model never looks for the invocation tokens, and the adapter does nothing", _CAUSAL, ">=0.18"
    if task is not None:
        return None
    if method.prompt_learning:
        return "PEFT makes a plain model, which never uses the prompt", _ANY, None
    if method.name == "POLY":
        return "PEFT makes a plain model, in which every forward pass raises `ValueError`", _ANY, None
    return None


_CAUSAL = "Set it to `CAUSAL_LM`, the only task that an aLoRA is for."
