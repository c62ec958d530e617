"""Adaption prompts: attention modules that are swapped for wrapped ones, of one adapter at a time.

Follows `AdaptionPromptModel` (`peft/tuners/adaption_prompt/model.py`) and the layers beside it, 0.15 to 0.21.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

from adapterlint.base.tree import Kind
from adapterlint.peft.early import check_attention
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Module, Param, find, walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.wrappers import Adapted, weight_of


@dataclass(frozen=True, slots=True)
class _Family:
    """A model type that adaption prompts know.

    Args:
        target: The attention module in each layer.
        projection: A projection of it, which the layer asks for its data type.
        since: The first release that knows it.
    """

    target: str
    projection: str
    since: tuple[int, int] = (0, 0)


# `TRANSFORMERS_MODEL_CONFIG` (`config.py`)
_FAMILIES: Mapping[str, _Family] = {
    "llama": _Family("self_attn", "q_proj"),
    "mistral": _Family("self_attn", "q_proj"),
    "gpt2": _Family("attn", "c_proj", (0, 17)),
}


@dataclass(slots=True)
class Swapped:
    """What an `AdaptionPromptModel` remembers.

    Args:
        places: Adapter -> (parent, name) of each module that it swaps.
        cached: Adapter that is not in the model -> its wrapped modules.
        active: The adapter that is in the model.
    """

    places: dict[str, list[tuple[Module, str]]] = field(default_factory=dict)
    cached: dict[str, list[Module]] = field(default_factory=dict)
    active: str | None = None


def add_adaption_prompt(model: Model, adapter: str, config: OpenedConfig) -> None:
    """`AdaptionPromptModel.add_adapter`.

    Raises:
        Refused: PEFT raises.
        Undecided: Not enough is known of the base.
    """
    since = model.versions.peft
    if model.tree.partial or model.tree.model_type is None:
        raise Undecided
    family = _FAMILIES.get(model.tree.model_type)
    if family is None or family.since > since:
        text = f"Unsupported model type for adaption prompt: '{model.tree.model_type}'."
        raise Refused("ValueError", text, cause="base-unsupported")
    check_attention(model)
    target = config["target_modules"] = config.get("target_modules") or family.target
    tail = f".{target}" if since >= (0, 17) else target
    above = [path.rpartition(".")[0] for path, _ in walk(model.root) if path.endswith(tail)]
    layers = config.get("adapter_layers")
    if layers is None:
        raise Refused("TypeError", "'<' not supported between instances of 'int' and 'NoneType'", cause="config")
    if len(above) < layers:
        text = f"Config specifies more adapter layers '{layers}' than the model has '{len(above)}'."
        raise Refused("ValueError", text, cause="too-few-layers")
    parents = [parent for path in above[-layers:] if (parent := find(model.root, path)) is not None]
    swapped = model.swapped = model.swapped or Swapped()
    swapped.places[adapter] = [(parent, target) for parent in parents]
    before = swapped.active
    if before is not None:
        _take_out(model, swapped, before)
    swapped.active = adapter
    model.lost = before is not None  # until it is whole: PEFT forgets the config, and nothing else
    for parent in parents:
        model.root.put(parent, target, _wrapped(model, parent, config, family))
    model.lost = False
    if before is not None and since >= (0, 21):
        _take_out(model, swapped, adapter)
        swapped.active = before
        _put_in(model, swapped, before)


def switch_prompt(model: Model, adapter: str) -> None:
    """`AdaptionPromptModel.set_adapter`."""
    swapped = model.swapped
    if swapped is None or swapped.active == adapter or adapter not in swapped.cached:
        return
    if swapped.active is not None:
        _take_out(model, swapped, swapped.active)
    _put_in(model, swapped, adapter)
    swapped.active = adapter


@contextmanager
def in_the_model(model: Model, adapter: str) -> Iterator[None]:
    """`_temporarily_active`: what is cached outside of the model has no names that tensors could reach."""
    swapped = model.swapped
    before = swapped.active if swapped is not None else None
    if before is None or model.versions.peft < (0, 21):
        yield
        return
    switch_prompt(model, adapter)
    try:
        yield
    finally:
        switch_prompt(model, before)


def _take_out(model: Model, swapped: Swapped, adapter: str) -> None:
    swapped.cached[adapter] = []
    for parent, name in swapped.places[adapter]:
        module = parent.children[name]
        swapped.cached[adapter].append(module)
        model.root.put(parent, name, module.children["model"])


def _put_in(model: Model, swapped: Swapped, adapter: str) -> None:
    for (parent, name), module in zip(swapped.places[adapter], swapped.cached.pop(adapter), strict=True):
        model.root.put(parent, name, module)


def _wrapped(model: Model, parent: Module, config: OpenedConfig, family: _Family) -> Adapted:
    """An `AdaptedAttention` for one module, which must be of a class like the attention of this family."""
    target = config["target_modules"]
    attention = parent.children.get(target)
    if attention is None:
        _lacks(parent, target)
    projection = attention.children.get(family.projection)
    if projection is None:
        _lacks(attention, family.projection)
    # Of the modules with such a projection, in GPT-2 the attention only keeps the config.
    if family.target == "attn" and "c_attn" not in attention.children:
        _lacks(attention, "config")
    length = config.get("adapter_len")
    if length is None:
        text = "empty(): argument 'size' failed to unpack the object at pos 2 with error \"type must be tuple of ints,"
        raise Refused("TypeError", f'{text}but got NoneType"', cause="config")
    width = _width(projection)
    prompt = Param((1, length, width) if width is not None else None, ("random", model.random()))
    return Adapted(attention, prompt, Param((1,), ("initial",)), problem=_problem(model, attention))


def _lacks(module: Module, name: str) -> NoReturn:
    raise Refused("AttributeError", f"'{module.type}' object has no attribute '{name}'", cause="target-unsupported")


def _width(projection: Module) -> int | None:
    """The width of the hidden states: what the projections of an attention take."""
    weight = weight_of(projection)
    if weight is None or weight.shape is None:
        return None
    return weight.shape[0] if projection.kind is Kind.GPT2_CONV1D else weight.shape[1]


def _problem(model: Model, attention: Module) -> str | None:
    """The error of a forward pass where heads are not counted right: PEFT divides the widths of the keys' layer."""
    keys = attention.children.get("k_proj")
    weight = weight_of(keys) if keys is not None else None
    heads, size = model.tree.config.get("num_attention_heads"), model.tree.config.get("head_dim")
    if weight is None or not weight.shape or not isinstance(heads, int):
        return None
    outputs, inputs = weight.shape
    if outputs > inputs:
        return "ZeroDivisionError"
    size = size if isinstance(size, int) and size else inputs // heads
    return "RuntimeError" if heads // (inputs // outputs) * size != outputs else None
