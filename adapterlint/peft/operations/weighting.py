"""Weighting: `add_weighted_adapter`, which makes a new adapter of several.

Follows `peft/tuners/lora/model.py` and `peft/tuners/ia3/model.py`, 0.15 to 0.21.2.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Literal

from adapterlint.base.tree import Shape
from adapterlint.peft.activation import set_adapters
from adapterlint.peft.auxiliary import auxiliaries
from adapterlint.peft.events import Event
from adapterlint.peft.injection import Injection
from adapterlint.peft.methods import METHODS
from adapterlint.peft.model import Model
from adapterlint.peft.modules import walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.operations.outcome import (
    UNKNOWN,
    Outcome,
    different,
    forward,
    refused,
    scale_of,
    unchanged,
    undecided_at_worst,
)
from adapterlint.peft.refused import Refused
from adapterlint.peft.simulate import switch_to
from adapterlint.peft.wrappers import Tuner, Whole, unwrapped, weight_of

Kind = Literal["cat", "linear", "svd"]
"""The `combination_type` of LoRA; those with TIES, DARE or pruned magnitudes do as `linear` or `svd` do."""

NEW = "weighted by adapterlint"  # the name of the new adapter; not one that a model has
_MAGNITUDE = ("lora_magnitude_vector", ".weight")
_BIAS = ("lora_B", ".bias")


@undecided_at_worst
def weigh(model: Model, names: Sequence[str], kind: Kind) -> Outcome:
    """Make an adapter of several with weights of 1, and see whether it gives what they give when they are active.

    Args:
        model: With all adapters loaded, and one of them active.
        names: The adapters; the config of the first is the new one's.
    """
    try:
        _check_method(model)
        config = _config(model, names, kind)
    except Refused as error:
        return refused(model, error, names)
    with unchanged(model):
        try:
            set_adapters(model, names)
            expected, wrong = forward(model)
        except Refused:
            return UNKNOWN
    try:
        forked = model.copy()
    except Refused:  # PEFT copies no more than it has to
        return UNKNOWN
    try:
        forked.in_file = _files(model, names)
        forked.configs[NEW] = config
        Injection(forked, NEW, config).run()
        events = list(_layers(forked, names, kind))
        switch_to(forked, NEW)
        for layer in _tuners(forked):
            layer.active = list(names) if NEW in layer.adapters else []
        got, late = forward(forked)
    except Refused as error:
        return refused(forked, error, names)
    if wrong is not None or late is not None:
        return UNKNOWN
    lost = list(different(model, expected, got, names))
    silent = bool(lost) or any(event.kind != "weighted-approximately" for event in events)
    return Outcome("silent" if silent else "approximate" if events else "ok", (*events, *lost))


def _check_method(model: Model) -> None:
    if model.peft_type == "ADALORA":
        text = "AdaLoraModel does not support add_weighted_adapter method."
        raise Refused("TypeError", text, cause="no-weighting", sure=True)
    if not METHODS[model.peft_type or ""].weighs:
        text = f"'{model.tree.architecture}' object has no attribute 'add_weighted_adapter'"
        raise Refused("AttributeError", text, cause="no-weighting", sure=True)


def _config(model: Model, names: Sequence[str], kind: Kind) -> OpenedConfig:
    """`_check_add_weighted_adapter`: the config of the new adapter."""
    configs = [model.configs[name] for name in names]
    lora, since = model.peft_type == "LORA", model.versions.peft
    if lora and since >= (0, 17) and any(config.get("target_parameters") for config in configs):
        text = "add_weighted_adapter does not support targeting nn.Parameter"
        raise Refused("ValueError", text, cause="weighted-parameters", sure=True)
    for path, wrapper in auxiliaries(model.root):
        if isinstance(wrapper, Whole) and sum(name in wrapper.copies for name in names) > 1:
            text = "Cannot add weighted adapters if they target the same module with modules_to_save"
            raise Refused("ValueError", text, module=path, cause="weighted-whole", sure=True)
    config = copy.copy(configs[0])
    if lora:
        config["r"] = config["lora_alpha"] = _rank(configs, kind, since)
        if since >= (0, 17):
            config["rank_pattern"], config["alpha_pattern"] = {}, {}
    for key in ("target_modules",) if lora else ("target_modules", "feedforward_modules"):
        config[key] = _targets([config.get(key) for config in configs])
    return config


def _rank(configs: Sequence[OpenedConfig], kind: Kind, since: tuple[int, int]) -> int:
    ranks = []
    for config in configs:
        pattern = config.get("rank_pattern") or {}
        ranks.append(max(config["r"], *pattern.values()) if pattern and since >= (0, 17) else config["r"])
    if kind == "linear" and len(set(ranks)) != 1:
        text = "All adapters must have the same r value when using combination_type linear"
        raise Refused("ValueError", text, cause="weighted-ranks", sure=True)
    rank: int = sum(ranks) if kind == "cat" else max(ranks)
    return rank


def _targets(values: Sequence[object]) -> object:
    kinds = {str if isinstance(value, str) else list if isinstance(value, list) else type(value) for value in values}
    if len(kinds) > 1:
        text = "all adapter configs should follow the same target modules type."
        raise Refused("ValueError", text, cause="weighted-targets", sure=True)
    if kinds == {str}:
        return "|".join(f"({value})" for value in values)
    if kinds != {list}:
        raise Refused("TypeError", f"Invalid type {kinds} found in target_modules", cause="weighted-targets")
    return sorted({name for value in values if isinstance(value, list) for name in value})


def _tuners(model: Model) -> Iterator[Tuner]:
    return (module for _, module in walk(model.root) if isinstance(module, Tuner))


def _files(model: Model, names: Sequence[str]) -> dict[str, dict[tuple[str, str], Shape]]:
    """What parameters the new adapter has where no more of the base is known than what adapters name."""
    found: dict[str, dict[tuple[str, str], Shape]] = {}
    for path, module in walk(model.root):
        if isinstance(module, Tuner):
            for name in (name for name in names if name in module.adapters):
                params = module.adapters[name].params
                found.setdefault(path, {}).update({key: param.shape for key, param in params.items() if param.shape})
    return found


def _layers(model: Model, names: Sequence[str], kind: Kind) -> Iterator[Event]:
    """What becomes of each layer of the new adapter; gives what is not exact, or lost.

    Raises:
        Refused: PEFT raises.
    """
    for path, layer in walk(model.root):
        if not isinstance(layer, Tuner) or NEW not in layer.adapters:
            continue
        sources = [name for name in names if name in layer.adapters]
        if layer.method == "LORA":
            _check_layer(layer, sources, kind, path)
        acting = [name for name in sources if not layer.adapters[name].idle]
        if not acting:
            continue
        if layer.method != "LORA":
            if len(acting) > 1:
                yield Event("weighted-approximately", path, tuple(acting))
            continue
        yield from _lost(model, layer, acting, path)
        if len(acting) > 1 and (kind == "linear" or (kind == "svd" and not _is_full(layer))):
            yield Event("weighted-approximately", path, tuple(acting))
        # Before 0.21 a decomposition scales twice.
        if (
            kind == "svd"
            and model.versions.peft < (0, 21)
            and any(scale_of(layer.adapters[name]) != 1 for name in acting)
        ):
            yield Event("weighted-scale", path, tuple(acting))


def _check_layer(layer: Tuner, sources: Sequence[str], kind: Kind, path: str) -> None:
    if not sources:
        text = "list index out of range" if kind == "linear" else "No matching LoRAs found."
        error = "IndexError" if kind == "linear" else "ValueError"
        raise Refused(error, text, module=path, cause="weighted-nothing")
    ranks = [_rank_of(layer, name) for name in sources]
    new = _rank_of(layer, NEW)
    if new is None or None in ranks or layer.adapters[NEW].guessed:
        return
    if kind == "linear" and len(set(ranks)) > 1:
        text = "stack expects each tensor to be equal size"
        raise Refused("RuntimeError", text, module=path, cause="weighted-ranks")
    if kind == "cat" and sum(rank for rank in ranks if rank is not None) > new:
        text = "The expanded size of the tensor must match the existing size"
        raise Refused("RuntimeError", text, module=path, cause="weighted-ranks")


def _lost(model: Model, layer: Tuner, acting: Sequence[str], path: str) -> Iterator[Event]:
    """What a source has, and the new adapter has not."""
    if any(_MAGNITUDE in layer.adapters[name].params for name in (NEW, *acting)):
        yield Event("weighted-magnitude", path, tuple(acting))
    biased = [name for name in acting if _BIAS in layer.adapters[name].params]
    if any(layer.adapters[name].params[_BIAS].value != ("initial",) for name in biased):
        yield Event("weighted-bias", path, tuple(biased))
    if scale_of(layer.adapters[NEW]) != 1:
        yield Event("weighted-scale", path, tuple(acting))


def _rank_of(layer: Tuner, name: str) -> int | None:
    params = layer.adapters[name].params
    param = params.get(("lora_A", ".weight")) or params.get(("lora_embedding_A", ""))
    return param.shape[0] if param is not None and param.shape else None


def _is_full(layer: Tuner) -> bool:
    """Whether the new adapter has as many ranks as the weight has at most."""
    weight, rank = weight_of(unwrapped(layer)), _rank_of(layer, NEW)
    return rank is not None and weight is not None and bool(weight.shape) and rank >= min(weight.shape or (1,))
