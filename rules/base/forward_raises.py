"""BAS116."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import (
    AdapterSimulation,
    Config,
    Finding,
    Footprint,
    ModuleTree,
    Patch,
    Severity,
    WeightsHeader,
    rule,
    shown,
)
from adapterlint.lint.against_base import is_known, outcomes
from adapterlint.lint.example import DROP, EMBEDDINGS, HIDDEN, LAYERS, RANK, VOCABULARY
from adapterlint.lint.places import entry_at
from adapterlint.lint.tensor_sizes import breaks_forward_pass
from adapterlint.peft.fields import token_key
from adapterlint.peft.methods.compared import compared
from adapterlint.peft.simulate import Alone
from adapterlint.peft.unfit_sizes import UnfitSize, unfit_size

_BOTH: dict[str, Any] = {
    "base_model.model.lm_head.lora_magnitude_vector": ("F32", (VOCABULARY,)),
    **{
        f"base_model.model.model.layers.{i}.self_attn.{m}_proj.lora_magnitude_vector": ("F32", (HIDDEN,))
        for i in range(LAYERS)
        for m in "qv"
    },
    f"{EMBEDDINGS}.token_adapter.trainable_tokens_delta": ("F32", (2, HIDDEN)),
    "base_model.model.lm_head.lora_A.weight": ("F32", (RANK, HIDDEN)),
    "base_model.model.lm_head.lora_B.weight": ("F32", (VOCABULARY, RANK)),
}
_CONFIG = {
    "target_modules": ["q_proj", "v_proj", "lm_head"],
    "trainable_token_indices": {"embed_tokens": [60, 61]},
    "use_dora": True,
}

_KEPT = ("base_model_name_or_path", "inference_mode", "revision", "task_type", "peft_type")
_EXPERTS = {"de": "example/expert-de", "fr": "example/expert-fr"}
_XLORA = {key: DROP for key in Patch().new_config() if key not in _KEPT} | {
    "peft_type": "XLORA",
    "adapters": _EXPERTS,
    "hidden_size": HIDDEN,
    "xlora_depth": 2,
    "xlora_dropout_p": 0.2,
    "xlora_size": 8,
}
_LAST = "base_model.internal_xlora_classifier.layers.3"  # since 0.20 a file lacks those before
_CLASSIFIER: dict[str, Any] = {
    "*": DROP,
    f"{_LAST}.weight": ("F32", (len(_EXPERTS), 8)),
    f"{_LAST}.bias": ("F32", (len(_EXPERTS),)),
}


@rule(
    "BAS116",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(_CONFIG, _BOTH, base={"tie_word_embeddings": True}),
        Patch(_XLORA | {"hidden_size": DROP}, _CLASSIFIER, base={}),
    ),
    good=(Patch(_CONFIG, _BOTH, base={}), Patch(_XLORA, _CLASSIFIER, base={})),
    source="peft/utils/other.py, AuxiliaryTrainingWrapper.forward; peft/tuners/trainable_tokens/layer.py",
)
def forward_raises(
    config: Config, footprint: Footprint, header: WeightsHeader, base: ModuleTree, simulation: AdapterSimulation
) -> Iterator[Finding]:
    """The adapter loads into the base, and every forward pass raises.

    What PEFT puts around modules does not fit what the base does with them. Known causes are token rows of an
    embedding that something else is around or tied to (`ValueError: TrainableTokensLayer wraps an unknown layer
    type`, or `AttributeError: 'TrainableTokensWrapper' object has no attribute 'bias'`); a whole module in
    `modules_to_save` that the base calls with keywords only, such as `self_attn` (`TypeError: ... missing 1 required
    positional argument: 'x'`, before 0.20); parameters of a size that does not fit the features (`RuntimeError: mat1
    and mat2 shapes cannot be multiplied`), as those of X-LoRA's classifier where `hidden_size` is missing, for which
    PEFT takes 4096, or of a prompt for embeddings of another width (`token_dim`); a prefix for fewer layers than the
    base has (`num_layers`, `IndexError` since 0.18); a prefix in a model with an encoder (`AttributeError`, PEFT before
    0.18 with transformers since 4.56).

    Load the adapter with a release in which it runs, or train it without what is in the way.
    """
    if not is_known(base) or config.peft_type in _ASKING:
        return
    unfit = unfit_size(config.peft_type, config.values, base)
    if config.peft_type == "XLORA" and unfit is not None:
        if not any(unfit.key in one.keys for one in compared(config, footprint, base).misshapen):
            yield _unfit(unfit, config, f"Set `{unfit.key}` to {unfit.needed}.", None)
        return
    for (error, module, role), peft in outcomes(simulation, lambda lone: _error(lone, config, footprint, header, base)):
        if unfit is not None and unfit.error == error:
            yield _unfit(unfit, config, "Load it into the base that it was trained on, or train it for this one.", peft)
            continue
        key = _KEYS.get(role, "target_modules")
        yield Finding(
            f"The adapter loads into this base, but every forward pass raises `{error}`{_reason(role, module, base)}",
            at=entry_at(config, key, module) if key in config else config.at("peft_type"),
            help=_REMEDIES.get(role, "Load it with a release of PEFT and of transformers that it was trained with."),
            peft=peft,
        )


def _unfit(size: UnfitSize, config: Config, remedy: str, peft: str | None) -> Finding:
    """A size in the config is not that of the base, whatever else fits."""
    there = "is" if size.key in config else "is missing, which means"
    return Finding(
        f"`{size.key}` {there} {size.taken:,}, but {size.words}: every forward pass raises `{size.error}`",
        at=config.at(size.key if size.key in config else "peft_type"),
        help=remedy,
        peft=peft,
    )


# Their forward passes need the argument `task_ids`.
_ASKING = ("MULTITASK_PROMPT_TUNING", "POLY")
_KEYS = {"rows": "trainable_token_indices", "whole": "modules_to_save"}
_REMEDIES = {
    "rows": "Keep the token rows or what is on the other end, or train with an untied base.",
    "whole": "Load it with PEFT 0.20 or newer, or name the linear layers inside.",
}


def _error(
    lone: Alone, config: Config, footprint: Footprint, header: WeightsHeader, base: ModuleTree
) -> tuple[str, str, str] | None:
    """The class of the error, the module in which it is raised, and what the adapter has there."""
    if not lone.loads or lone.forward is None or _is_told(config, footprint, header):
        return None
    if breaks_forward_pass(config, footprint, base):
        return None
    ends = next((g for g in base.tied if f"{lone.forward_at}.weight" in g), (f"{lone.forward_at}.weight",))
    if any(end.removesuffix(".weight") in lone.tokens for end in ends):
        return lone.forward, lone.forward_at, "rows"
    return lone.forward, lone.forward_at, "whole" if lone.forward_at in lone.whole else ""


def _is_told(config: Config, footprint: Footprint, header: WeightsHeader) -> bool:
    """Whether the rules about token rows tell it from the file alone."""
    key = token_key(config.peft_type)
    value = config.get(key)
    for indices in value.values() if isinstance(value, dict) else () if value is None else (value,):
        if not isinstance(indices, list) or not indices or any(type(i) is not int or i < 0 for i in indices):
            return True
    saved = tuple(e for e in config.strings("modules_to_save") if e)
    if saved and any(module.endswith(saved) for module in footprint.trainable_tokens):
        return True
    return bool(saved) and any(".token_adapter.base_layer." in name for name in header.tensors)


def _reason(role: str, module: str, base: ModuleTree) -> str:
    """Where it happens, and what is known of the cause."""
    if role == "rows":
        tied = base.output_embeddings is not None and any(f"{module}.weight" in group for group in base.tied)
        other = base.output_embeddings if module == base.input_embeddings else base.input_embeddings
        what = f", which the base ties to {shown(other)}" if tied and other else ""
        return f" at {shown(module)}{what}: token rows cannot be used with what else is there"
    if role == "whole":
        return f": the base calls {shown(module)}, which is saved whole, with keywords only"
    return f" at {shown(module)}" if module else ""
