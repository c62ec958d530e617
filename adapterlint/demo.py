"""A small fleet with its tiny base model: something to try adapterlint on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from adapterlint.lint.example import DROP, HIDDEN, LAYERS, VOCABULARY, Patch, Shape, safetensors_file, with_tokens

_LM_HEAD = {"base_model.model.lm_head.weight": ("F32", (VOCABULARY, HIDDEN))}
_MISSING = "base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight"

ADAPTERS: Mapping[str, Patch] = {
    "healthy": Patch(),
    "head-de": Patch(config={"modules_to_save": ["lm_head"]}, tensors=_LM_HEAD),
    "head-fr": Patch(config={"modules_to_save": ["lm_head"]}, tensors=_LM_HEAD),
    "tokens-chat": with_tokens(60, 61),
    "tokens-tools": with_tokens(61, 62, 63),
    "compiled": Patch(rename=("base_model.model.", "_orig_mod.base_model.model.")),
    "unpaired": Patch(tensors={_MISSING: DROP}),
}

BASE_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": HIDDEN,
    "intermediate_size": 2 * HIDDEN,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
    "vocab_size": VOCABULARY,
}


def base_tensors() -> dict[str, Shape]:
    """Every parameter of the tiny Llama."""
    wide = 2 * HIDDEN
    shapes = {
        **{f"self_attn.{name}_proj": (HIDDEN, HIDDEN) for name in "qkvo"},
        "mlp.gate_proj": (wide, HIDDEN),
        "mlp.up_proj": (wide, HIDDEN),
        "mlp.down_proj": (HIDDEN, wide),
        "input_layernorm": (HIDDEN,),
        "post_attention_layernorm": (HIDDEN,),
    }
    layers = {f"model.layers.{i}.{name}": shape for i in range(LAYERS) for name, shape in shapes.items()}
    ends = {"lm_head": (VOCABULARY, HIDDEN), "model.embed_tokens": (VOCABULARY, HIDDEN), "model.norm": (HIDDEN,)}
    return {f"{module}.weight": ("F32", shape) for module, shape in sorted({**layers, **ends}.items())}


def write_fleet(folder: Path) -> None:
    """Write the base model into `folder/base` and the adapters into `folder/adapters`.

    Raises:
        OSError: `folder/base` or `folder/adapters` exists, or cannot be written.
    """
    files = {"base": {"config.json": json.dumps(BASE_CONFIG, indent=2).encode()}}
    files["base"]["model.safetensors"] = safetensors_file(base_tensors())
    files |= {f"adapters/{name}": patch.folder().files for name, patch in ADAPTERS.items()}
    for name, contents in files.items():
        (folder / name).mkdir(parents=True)
        for file, content in contents.items():
            (folder / name / file).write_bytes(content)
