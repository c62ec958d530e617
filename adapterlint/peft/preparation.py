"""What PEFT makes of a config before it looks for targets, given the base and the adapters that are there already.

Follows `_check_new_adapter_config`, `_check_tied_modules`, `_prepare_adapter_config` and
`_maybe_include_all_linear_layers` of the tuners (`peft/tuners/tuners_utils.py`, `peft/tuners/*/model.py`).
"""

from __future__ import annotations

import re
from typing import Any

from adapterlint.peft.constructors import refusals
from adapterlint.peft.default_targets import default_targets
from adapterlint.peft.fields import fields_of
from adapterlint.peft.matching import ALL_LINEAR, Components, Targets, component_pattern
from adapterlint.peft.methods import METHODS
from adapterlint.peft.model import Model, all_linear
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.patterns import compile_error, pattern
from adapterlint.peft.refused import Refused

EMBEDDING_NAMES = ("embed_tokens", "lm_head")


def check_config(model: Model, config: OpenedConfig) -> None:
    """`_check_new_adapter_config`: what adapters of one method may not have together."""
    others = [c for c in model.configs.values() if c is not config]
    if not others:
        return
    biased = config.get("bias", "none") not in ("none", None)
    if model.versions.peft >= (0, 18):
        if sum(c.get("bias", "none") not in ("none", None) for c in model.configs.values()) > 1:
            raise _bias_refused(config)
    elif biased and "bias" in config:
        raise _bias_refused(config)
    _check_family(model, config, others)


def _bias_refused(config: OpenedConfig) -> Refused:
    name = METHODS[config.peft_type].tuner or config.peft_type
    text = (
        f"{name} supports only 1 adapter with bias. When using multiple adapters, set bias to 'none' for all adapters."
    )
    return Refused("ValueError", text, cause="several-biases")


def _check_family(model: Model, config: OpenedConfig, others: list[OpenedConfig]) -> None:
    since = model.versions.peft
    kasa = [bool(c.get("kasa_config")) for c in others]
    if since >= (0, 21) and any(used is not bool(config.get("kasa_config")) for used in kasa):
        raise Refused("ValueError", "KaSA cannot be combined with adapters that don't use KaSA", cause="kasa")
    mine = config.get("target_parameters")
    if mine and since >= (0, 20):
        for other in others:
            theirs = other.get("target_parameters")
            if theirs and set(theirs) != set(mine):
                text = (
                    "When using multiple adapters with `target_parameters`, all adapters must target the same set "
                    f"of parameters, but got {sorted(mine)} for the new adapter and {sorted(theirs)}."
                )
                raise Refused("ValueError", text, cause="target-parameters")
    if "projection_prng_key" in fields_of(config.peft_type):
        for other in others:
            if other.get("projection_prng_key") != config.get("projection_prng_key"):
                text = f"{config.peft_type} PRNG initialisation key must be the same for all adapters."
                raise Refused("ValueError", text, cause="shared-projections")
        if len({bool(c.get("save_projection")) for c in (*others, config)}) > 1:
            text = f"{config.peft_type} projection weights must be saved for all adapters or none"
            raise Refused("ValueError", text, cause="shared-projections")


def check_tied(model: Model, config: OpenedConfig) -> None:
    """`_check_tied_modules`: what `ensure_weight_tying` adds to the config."""
    since = model.versions.peft
    saved = config.get("modules_to_save") or []
    to_save = any(_names_embedding(m, since) for m in set(saved))
    targets = config.get("target_modules")
    if isinstance(targets, str):
        check_patterns(config)
        targeted = any(pattern(targets).matches(name) for name in EMBEDDING_NAMES)
    else:
        targeted = any(_names_embedding(m, since) for m in targets or ())
    tied = model.tied_modules()
    warn = model.warnings.append
    if config.get("ensure_weight_tying"):
        if not tied:
            warn("You have requested `ensure_weight_tying`, but no tied modules were found in the model")
        elif to_save:
            _tie_modules_to_save(model, config, tied)
        elif targeted and since >= (0, 19):
            _tie_targets(model, config, tied)
        else:
            warn("You have requested `ensure_weight_tying`, but no tied modules are added in `modules_to_save`")
    elif (to_save or (targeted and since >= (0, 19))) and tied:
        warn(
            "Model has `tie_word_embeddings=True` and a tied layer is part of the adapter, but `ensure_weight_tying` "
            "is not set to True."
        )


def _names_embedding(entry: Any, since: tuple[int, int]) -> bool:
    last = entry.rpartition(".")[2] if isinstance(entry, str) and since >= (0, 19) else entry
    return last in EMBEDDING_NAMES


def _embedding_name(model: Model) -> str:
    """`find_parameter_name_by_module`: the path that the embedding has now."""
    return model.tree.input_embeddings or ""


def _tie_modules_to_save(model: Model, config: OpenedConfig, tied: list[str]) -> None:
    if not METHODS[config.peft_type].ties:
        return
    if model.versions.peft < (0, 19):
        config["modules_to_tie"] = [name for name in tied if name not in (config.get("modules_to_save") or ())]
        return
    config["modules_to_tie"] = list(tied)
    saved = list(config.get("modules_to_save") or [])
    if _embedding_name(model) not in saved:
        saved.append(_embedding_name(model))
    config["modules_to_save"] = _without_tied(saved, tied)


def _tie_targets(model: Model, config: OpenedConfig, tied: list[str]) -> None:
    if not METHODS[config.peft_type].ties:
        return
    config["target_modules_to_tie"] = list(tied)
    targets, name = config.get("target_modules"), _embedding_name(model)
    if isinstance(targets, str):
        config["target_modules"] = f"(?:{targets}|^{re.escape(name)}$)"
        return
    found = list(dict.fromkeys([*(targets or ()), name]))
    config["target_modules"] = _without_tied(found, tied)


def prepare_targets(model: Model, config: OpenedConfig) -> None:
    """`_prepare_adapter_config`: the targets that a config leaves to PEFT."""
    if model.tree.partial and model.in_file:  # what the file has stands for what would be matched
        config["target_modules"] = list(model.in_file)
        for key in ("exclude_modules", "layers_to_transform", "target_parameters"):
            config.pop(key, None)
    method, model_type, release = METHODS[config.peft_type], model.tree.model_type, model.release
    if method.token_rows:
        if config.get("target_modules") is None:
            config["target_modules"] = model.tree.input_embeddings or "embed_tokens"
        return
    if config.get("target_modules") is None:
        found = default_targets(config.peft_type, model_type, release)
        if found is not None:
            config["target_modules"] = found if isinstance(found, str) else list(found)
        elif not (method.takes_parameters and config.get("target_parameters")):
            raise Refused("ValueError", "Please specify `target_modules` in `peft_config`", cause="no-targets")
    if "feedforward_modules" in method.lists and config.get("feedforward_modules") is None:
        found = default_targets(method.name, model_type, release, table="FEEDFORWARD")
        if found is None:
            raise Refused("ValueError", "Please specify `feedforward_modules` in `peft_config`", cause="no-targets")
        config["feedforward_modules"] = list(found)


def expand_targets(model: Model, config: OpenedConfig) -> None:
    """`all-linear` becomes the paths of linear layers."""
    targets = config.get("target_modules")
    if isinstance(targets, str) and targets.lower() == ALL_LINEAR:
        config["target_modules"] = all_linear(model, config)


def check_patterns(config: OpenedConfig, *others: str) -> None:
    """Compile the patterns that modules are matched with.

    Raises:
        Refused: One does not compile.
    """
    texts = (config.get("exclude_modules"), *others, config.get("target_modules"))
    for text in texts:
        problem = compile_error(text) if isinstance(text, str) else None
        if problem is not None:  # the class is called `PatternError` from Python 3.13 on
            raise Refused("error", problem, cause="config")


def targets_of(model: Model, config: OpenedConfig) -> Targets:
    """Which modules an adapter targets; since 0.16 none that it brings whole.

    Raises:
        Refused: A pattern does not compile.
    """
    saved = tuple(config.get("modules_to_save") or ()) if model.versions.peft >= (0, 16) else ()
    check_patterns(config, *map(component_pattern, saved))
    since = model.versions.peft
    return Targets(config, last_index=since < (0, 20), rooted=since >= (0, 21), saved=saved)


def _without_tied(entries: list[str], tied: list[str]) -> list[str]:
    left = list(entries)
    for name in tied:
        match = next((e for e in left if Components([e]).cover(name)), None)
        if match is not None:
            left.remove(match)
    return left


def check_mamba(model: Model, config: OpenedConfig, name: str) -> None:
    """`_check_lora_target_modules_mamba`: modules whose weight the kernels of Mamba take."""
    types = _MAMBA if model.versions.peft >= (0, 20) else _MAMBA - {"nemotron_h"}
    if model.versions.peft < (0, 16) or not METHODS[config.peft_type].spares_mamba:
        return
    if name in ("out_proj", "conv1d") and model.tree.model_type in types:
        text = (
            f"[PEFT:{config.peft_type}] Module '{name}' is incompatible with Mamba-based models "
            f"(model_type='{model.tree.model_type}'). Incompatible modules: out_proj, conv1d. "
        )
        raise Refused("ValueError", text, cause="target-unsupported")


def check_bias(model: Model) -> None:
    """`_mark_only_adapters_as_trainable`, after the layers are made, knows three kinds of bias."""
    for name in model.active:
        config = model.configs.get(name)
        found = refusals(config.peft_type, config, release=model.release) if config is not None else ()
        for refusal in found:
            if refusal.pointer == "/bias" and refusal.where == "injection":
                raise Refused(refusal.error, refusal.text, cause="config")


_MAMBA = frozenset({"falcon_h1", "mamba", "mamba2", "falcon_mamba", "nemotron_h"})
