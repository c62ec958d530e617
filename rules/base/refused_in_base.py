"""BAS119."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, Footprint, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.lint.against_base import is_known, refusals
from adapterlint.lint.default_modules import not_by_default
from adapterlint.lint.example import with_tokens
from adapterlint.lint.tensor_sizes import has_wrong_rank
from adapterlint.peft.matching import Targets
from adapterlint.peft.methods import METHODS
from adapterlint.peft.refused import Refused

_CONFIG = {"target_parameters": ["self_attn.q_proj.weight"]}
_CAUSES = (
    *("auxiliary-on-tuner", "auxiliary-not-in-file", "tied", "target-parameters", "unfit-sizes", "task-type"),
    *("base-unsupported", "bd-lora", "keeps-cache", "too-few-layers"),
)
_KEYS = {
    "auxiliary-on-tuner": "target_modules",
    "auxiliary-not-in-file": "modules_to_save",
    "tied": "ensure_weight_tying",
    "target-parameters": "target_parameters",
    "unfit-sizes": "peft_type",
    "task-type": "task_type",
    "base-unsupported": "peft_type",
    "bd-lora": "use_bdlora",
    "keeps-cache": "peft_type",
    "too-few-layers": "adapter_layers",
}
_REMEDIES = {
    "auxiliary-on-tuner": "Load it with the release that it was trained with, or train it with one of the two there.",
    "auxiliary-not-in-file": "Take the entry whose tensors no file has out of `modules_to_save`.",
    "tied": "Take `trainable_token_indices` out of the config: this base does not say which its embeddings are.",
    "target-parameters": "Name each parameter once in `target_parameters`, and only those of two or three dimensions.",
    "unfit-sizes": "Load it into the base that it was trained on.",
    "task-type": "Load it with the release that it was trained with, which takes this task.",
    "base-unsupported": "Load it into the base that it was trained on, with the release that it was trained with.",
    "bd-lora": "Set `use_bdlora` to what the adapter was trained with; `match_strict` wants every target in its lists.",
    "too-few-layers": "Load it into the base that it was trained on.",
    "keeps-cache": "Set `model.config.use_cache = False` before PEFT loads the adapter.",
}
"""Cause -> what helps, where neither the config nor the error tells more."""


@rule(
    "BAS119",
    Severity.ERROR,
    since="0.1",
    bad=Patch(_CONFIG, base={}),
    good=(Patch(base={}), with_tokens(60, 61, base={})),
    source="peft/tuners/tuners_utils.py, inject_adapter; peft/utils/other.py, set_additional_trainable_modules",
)
def refused_in_base(
    config: Config, footprint: Footprint, base: ModuleTree, simulation: AdapterSimulation
) -> Iterator[Finding]:
    """What the config asks for cannot be put into this base.

    Several requests meet in one module, or a module has not the form that a method needs: a head is a target, and the
    embedding that it is tied to has token rows (`TypeError: trainable_token_indices cannot be applied to modules of
    type <class 'peft.tuners.lora.layer.Linear'>`, up to 0.20); `target_parameters` names a parameter of a module that
    is a target too (`ValueError: Trying to wrap an nn.Parameter of layer ...`); blocks do not divide the features of
    a layer; BD-LoRA is strict, which it is unless `match_strict` says no, and a target is in neither of its lists;
    `ensure_weight_tying` ties what cannot be tied; the task type is that of a model that
    generates, and the base does not (`AttributeError: ... has no attribute 'prepare_inputs_for_generation'`); the
    method works with other kinds of models only (adaption prompts with Llama, Mistral and GPT-2; X-LoRA with models
    that do not keep keys and values, `ValueError: use_cache must be False`).

    The finding says what helps: one of the two settings, a value that fits, another release, or another base.
    """
    if not is_known(base):
        return
    for refusal in refusals(simulation, *_CAUSES):
        error = refusal.error
        if error.cause in ("unfit-sizes", "bd-lora") and has_wrong_rank(config, footprint, base):
            continue
        if error.cause == "bd-lora" and (
            footprint.untargeted or not_by_default(config, footprint, base, simulation)
        ):  # other modules are targets than those that it was trained with
            continue
        if error.cause == "auxiliary-on-tuner" and _is_told(config, error.module, base):
            continue
        key = next(iter(sorted(error.keys)), _KEYS[error.cause])
        where = f" at {shown(error.module)}" if error.module else ""
        yield Finding(
            f"PEFT does not load the adapter into this base{where}, and raises {refusal.errors}: {shown(error.text)}",
            at=config.at(key) if key in config else config.at("peft_type"),
            help=_remedy(config, error),
            peft=refusal.peft,
        )


def _remedy(config: Config, error: Refused) -> str:
    if error.cause == "target-parameters":
        if error.keys:
            return f"Take {listed(sorted(error.keys))} out of the config: `target_parameters` do not go with that."
        if not METHODS[config.peft_type].takes_parameters:
            return "Take `target_parameters` out of the config: this method does not tune single parameters."
        if error.module:
            return "Name the module in `target_modules` or its parameter in `target_parameters`, not both."
    if error.cause == "unfit-sizes" and error.keys:
        return f"Set {listed(sorted(error.keys))} to what the adapter was trained with."
    if error.cause == "tied" and error.type != "NotImplementedError" and config.get("ensure_weight_tying"):
        return "Set `ensure_weight_tying` to false."
    if error.cause == "task-type" and error.type == "AttributeError":
        return "Set `task_type` to that of the base, or load it into the class of the base that generates."
    return _REMEDIES[error.cause]


def _is_told(config: Config, module: str, base: ModuleTree) -> bool:
    """Whether rules that know no base tell it: of one module that is named twice, unless it is so by being tied."""
    tied = any(module == parameter.rpartition(".")[0] for group in base.tied for parameter in group)
    return not (tied and config.get("trainable_token_indices")) and Targets(config).match(module) is not None
