"""Folders of base models in memory."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from adapterlint.sources.memory import MemoryFolder

LLAMA: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "tie_word_embeddings": False,
}


def llama_tensors(layers: int = 2, *, head: bool = True) -> dict[str, tuple[int, ...]]:
    """The header of a checkpoint of `LLAMA`."""
    tensors: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (64, 16), "model.norm.weight": (16,)}
    for i in range(layers):
        at = f"model.layers.{i}."
        tensors |= {f"{at}self_attn.{n}_proj.weight": (16, 16) for n in "qo"}
        tensors |= {f"{at}self_attn.{n}_proj.weight": (8, 16) for n in "kv"}
        tensors |= {f"{at}mlp.{n}_proj.weight": (32, 16) for n in ("gate", "up")}
        tensors[f"{at}mlp.down_proj.weight"] = (16, 32)
        tensors |= {f"{at}{n}.weight": (16,) for n in ("input_layernorm", "post_attention_layernorm")}
    return {**tensors, "lm_head.weight": (64, 16)} if head else tensors


def safetensors(tensors: Mapping[str, Sequence[int]]) -> bytes:
    """The header of a safetensors file, without its data."""
    entries = {}
    position = 0
    for name, shape in tensors.items():
        size = 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def folder(config: Any = LLAMA, tensors: Mapping[str, Sequence[int]] | None = None, **files: bytes) -> MemoryFolder:
    """A base's folder; `None` leaves the config or the weights out."""
    found: dict[str, bytes] = {name.replace("__", "."): content for name, content in files.items()}
    if config is not None:
        found["config.json"] = config if isinstance(config, bytes) else json.dumps(config).encode()
    if tensors is not None:
        found["model.safetensors"] = safetensors(tensors)
    return MemoryFolder("base", found)
