"""What a base's config says of its sizes, as PEFT asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WIDTH = ("hidden_size", "n_embd", "d_model")
"""Keys for the features of hidden states, in the order in which `_prepare_prompt_learning_config` asks for them."""

HEADS = ("num_attention_heads", "n_head", "num_heads", "encoder_attention_heads")
"""The same for the number of heads of attention."""

LAYERS = ("decoder_layers", "num_decoder_layers", "num_hidden_layers", "num_layers", "n_layer")
"""Keys for the number of layers that keep keys and values."""


def text_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of the model of a text: the one inside of that of several models, or itself."""
    text = config.get("text_config")
    return text if isinstance(text, dict) else config


def width_of(config: Mapping[str, Any]) -> Any:
    """The features of the hidden states of a text; `None` if a config does not tell."""
    return said(text_of(config), WIDTH)


def own_heads(config: Mapping[str, Any]) -> Any:
    """How many heads a prefix has to be for; `None` of grouped attention, whose heads PEFT counts itself."""
    return None if "num_key_value_heads" in config else said(config, HEADS)


def said(config: Mapping[str, Any], words: tuple[str, ...]) -> Any:
    """The value of the first of some keys that a config has; `None` if it has none of them."""
    return next((config[word] for word in words if word in config), None)
