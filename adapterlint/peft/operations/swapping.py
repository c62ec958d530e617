"""Hot-swapping: `hotswap_adapter`, which puts the weights of one adapter in the place of another's.

Follows `peft/utils/hotswap.py`, 0.15 to 0.21.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapterlint.adapter import Adapter
from adapterlint.base.tree import Kind
from adapterlint.peft.methods import METHODS
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Module, Param, walk
from adapterlint.peft.opened import OpenedConfig, open_config
from adapterlint.peft.operations.outcome import (
    UNKNOWN,
    Outcome,
    different,
    forward,
    refused,
    undecided_at_worst,
)
from adapterlint.peft.pattern_keys import matching_keys
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.simulate import Alone
from adapterlint.peft.tensor_names import with_name
from adapterlint.peft.tuner_layers import TRAITS
from adapterlint.peft.weights_files import tensors_in
from adapterlint.peft.wrappers import TokenLayer, Tuned, Tuner, attributes_of

_WITH_BIAS = (Kind.LINEAR, Kind.GPT2_CONV1D, Kind.CONV1D, Kind.CONV2D, Kind.CONV3D)
_COMPARED = ("use_rslora", "lora_dropout", "alpha_pattern", "use_dora")


@undecided_at_worst
def swap(model: Model, name: str, later: str, adapter: Adapter, alone: Alone) -> Outcome:
    """Put an adapter in the place of the one that is loaded, and see whether it gives what it gives in a fresh base.

    Args:
        model: With one adapter loaded.
        name: Its name.
        later: The name under which the other one was loaded alone.
        adapter: The other one.
        alone: What that gave.
    """
    try:
        config = open_config(adapter, model.release)
        _check_configs(model.configs[name], config)
        origins = _renamed(model, name, config, tensors_in(adapter))
        _check_keys(model, name, origins)
    except Refused as error:
        return refused(model, error, (name, later))
    if not alone.loads or alone.forward is not None:
        return UNKNOWN
    layers = _layers(model, name)
    before = [layer.adapters[name] for _, layer in layers]
    swapped = _Swap(name, later, config, origins)
    try:
        for path, layer in layers:
            layer.adapters[name] = _swapped(path, layer.adapters[name], swapped)
        got, wrong = forward(model)
    finally:
        for (_, layer), tuned in zip(layers, before, strict=True):
            layer.adapters[name] = tuned
    if wrong is not None:
        return UNKNOWN
    events = tuple(different(model, alone.expression, got, (name, later)))
    if model.tree.partial and any(event.kind == "layer-not-as-active" for event in events):
        return UNKNOWN  # what a file lacks of a layer, is not known to be there
    return Outcome("silent" if got != alone.expression else "ok", events)


def _check_configs(old: OpenedConfig, new: OpenedConfig) -> None:
    if old.peft_type != new.peft_type:
        text = f"Incompatible PEFT types found: {old.peft_type} and {new.peft_type}"
        raise Refused("ValueError", text, cause="swap-config", sure=True)
    if not METHODS[old.peft_type].hot_swaps:
        text = f"Hotswapping only supports LORA but {old.peft_type} was passed."
        raise Refused("ValueError", text, cause="no-hot-swap", sure=True)
    for key in _COMPARED:
        if old.get(key) != new.get(key):
            text = f"Configs are incompatible: for {key}, {old.get(key)} != {new.get(key)}"
            raise Refused("ValueError", text, cause="swap-config", sure=True)


def _renamed(model: Model, name: str, config: OpenedConfig, tensors: Iterable[str]) -> dict[str, str]:
    """Names as hot-swapping looks for them -> names in the file."""
    prefix = METHODS[config.peft_type].prefix or ""
    return {with_name(key, prefix, name, model): key for key in tensors}


def _check_keys(model: Model, name: str, keys: Iterable[str]) -> None:
    """Every key has to be one of the old adapter; a key of something else that is there fails in another way."""
    mine = {key for key in model.state() if "lora_" in key and name in key}
    unexpected: list[str] = []
    above = first = ""
    for key in keys:
        if not key.startswith(f"{model.prefix}."):
            raise Undecided  # a `PeftModel` looks for what it does not know in the base
        module = key.removeprefix(f"{model.prefix}.").rpartition(".")[0]
        if key in mine:
            above = above or (key.rsplit(".", 3)[0] if ".lora_embedding_" in key else "")
        elif _is_found(model, key):
            raise Refused("KeyError", repr(key), module=_module(module), cause="swap-key")
        else:
            unexpected.append(key)
            first = first or module
    if unexpected:
        text = f"Hot swapping the adapter did not succeed, unexpected keys found: {', '.join(unexpected)}."
        raise Refused("RuntimeError", text, module=_module(first), cause="swap-unexpected")
    if above:  # the layer is looked for one level too high
        raise Refused("AttributeError", f"'{above}' object has no attribute 'scaling'", cause="swap-key")


def _module(path: str) -> str:
    """The module that a key is about."""
    return path.partition(".lora_")[0].partition(".base_layer")[0].partition(".token_adapter")[0]


def _is_found(model: Model, key: str) -> bool:
    """Whether PEFT finds an attribute of this name."""
    parts = key.removeprefix(f"{model.prefix}.").split(".")
    module: Module = model.root
    for at, part in enumerate(parts):
        child = module.child(part)
        if child is None:
            return _has(module, parts[at:])
        module = child
    return True


def _has(module: Module, rest: list[str]) -> bool:
    """Whether a module has an attribute, and that one those behind it."""
    name, *more = rest
    module = attributes_of(module)
    if isinstance(module, Tuner) and name in {attribute for attribute, _ in module.attributes}:
        owners = {a for a, tuned in module.adapters.items() if any(key[0] == name for key in tuned.params)}
        return not more or (more[0] in owners and more[1:] in ([], ["weight"], ["bias"]))
    if isinstance(module, TokenLayer):
        return name == "trainable_tokens_delta"
    if more:
        return False
    if isinstance(module, Tuner):
        return name in ("weight", "bias")
    return name in module.params or name in module.buffers or (name == "bias" and module.kind in _WITH_BIAS)


def _layers(model: Model, name: str) -> list[tuple[str, Tuner]]:
    modules = walk(model.root, model.prefix, duplicates=True)
    return [(path, module) for path, module in modules if isinstance(module, Tuner) and name in module.adapters]


def _swapped(path: str, old: Tuned, swap: _Swap) -> Tuned:
    """What a layer has of the new adapter; what its file lacks is zero."""
    params: dict[tuple[str, str], Param] = {}
    traits = list(old.traits) if isinstance(old.traits, tuple) else []
    for (attribute, rest), param in old.params.items():
        key = f"{path}.{attribute}.{swap.name}{rest}"
        origin = swap.origins.get(key)
        value = ("initial",) if origin is None else ("file", swap.later, (origin,))
        params[attribute, rest] = Param(param.shape, value)
        if origin is not None and traits:
            for setting, patterns in (("r", "rank_pattern"), ("lora_alpha", "alpha_pattern")):
                # Patterns of modules are matched against the name of the parameter.
                values = swap.config.get(patterns) or {}
                found = next((values[one] for one in matching_keys(values, key)), swap.config.get(setting))
                traits[TRAITS.index(setting)] = str(found)
    zero = frozenset(place for place in params if place[0] in ("lora_B", "lora_embedding_A") and "bias" not in place[1])
    return Tuned(params, zero, tuple(traits) if traits else old.traits)


@dataclass(frozen=True, slots=True)
class _Swap:
    """What is put in the place of what.

    Args:
        name: The name in the model.
        later: That of the new adapter, when it is loaded alone.
        config: Its config.
        origins: Names in the model -> names in its file.
    """

    name: str
    later: str
    config: OpenedConfig
    origins: Mapping[str, str]
