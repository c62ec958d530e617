"""Sizes in a config that are not those of the base: an adapter loads, and every forward pass raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapterlint.base.tree import ModuleTree
from adapterlint.base.widths import LAYERS, own_heads, said, text_of, width_of
from adapterlint.peft.experts import DEFAULT_WIDTH
from adapterlint.peft.forward import lacks_layers
from adapterlint.peft.methods import METHODS


@dataclass(frozen=True, slots=True)
class UnfitSize:
    """A size that the base does not have.

    Args:
        key: Where the config says it.
        taken: What PEFT takes from there, or by default.
        needed: What the base has.
        words: What has it, as a message says it.
        error: What a forward pass raises.
    """

    key: str
    taken: int
    needed: int
    words: str
    error: str = "RuntimeError"


def unfit_size(peft_type: str | None, config: Mapping[str, Any], base: ModuleTree) -> UnfitSize | None:
    """The first size that does not fit, if there is one; where the base does not tell its own, nothing is known."""
    method = METHODS.get(peft_type or "")
    if method is None:
        return None
    kind = "prefix" if method.keys_and_values else "prompt" if method.prompt_learning else method.name
    for key, words, error, needed in _SIZES.get(kind, ()):
        taken, own = config.get(key), needed(config, base)
        taken = DEFAULT_WIDTH if key == "hidden_size" and not taken else taken
        if isinstance(taken, int) and isinstance(own, int) and taken != own:
            return UnfitSize(key, taken, own, words.format(f"{own:,}"), error)
    return None


def _width(config: Mapping[str, Any], base: ModuleTree) -> Any:
    return width_of(base.config)


def _embedding(config: Mapping[str, Any], base: ModuleTree) -> Any:
    node = base.nodes.get(base.input_embeddings or "")
    weight = node.parameters.get("weight") if node is not None else None
    return weight[1] if weight is not None and len(weight) == 2 else None


def _layers(config: Mapping[str, Any], base: ModuleTree) -> Any:
    return said(text_of(base.config), LAYERS) if lacks_layers(config, base.config) else None


def _heads(config: Mapping[str, Any], base: ModuleTree) -> Any:
    return own_heads(base.config)


def _heads_together(config: Mapping[str, Any], base: ModuleTree) -> Any:
    heads, size = config.get("num_attention_heads"), said(base.config, ("d_kv", "head_dim"))
    return heads * size if isinstance(heads, int) and isinstance(size, int) else None


_Needed = Callable[[Mapping[str, Any], ModuleTree], Any]
_SIZES: Mapping[str, tuple[tuple[str, str, str, _Needed], ...]] = {
    "XLORA": (
        (
            "hidden_size",
            "the hidden states of this base, which X-LoRA's classifier takes, have {} features",
            "RuntimeError",
            _width,
        ),
    ),
    "prompt": (("token_dim", "the embeddings of this base have {} features", "RuntimeError", _embedding),),
    "prefix": (
        ("num_attention_heads", "the attention of this base has {} heads", "RuntimeError", _heads),
        ("token_dim", "the heads of this base have {} features together", "RuntimeError", _heads_together),
        ("num_layers", "this base has {} layers", "IndexError", _layers),
    ),
}
