"""What the files of an adapter are called, and what tells the formats of others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

CONFIG = "adapter_config.json"
CARD = "README.md"
MODEL_CONFIG = "config.json"
# In the order in which PEFT looks (utils/save_and_load.py, load_peft_weights); a bare header stands for its file.
WEIGHTS = ("adapter_model.safetensors", "adapter_model.safetensors.header", "adapter_model.bin")
SAFETENSORS = (".safetensors", ".safetensors.header")
BASE_WEIGHTS = re.compile(r"(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json|\.header)?")


class Format(StrEnum):
    """Whose format the files of a folder are in."""

    PEFT = "PEFT"
    MLX = "MLX-LM"
    ADAPTERS = "Adapters (adapter-hub)"
    DIFFUSERS = "diffusers LoRA"
    KOHYA = "kohya LoRA"
    BASE = "base model"


# By the name of a file ...
FOREIGN_FILES: Mapping[str, Format] = {
    "adapters.safetensors": Format.MLX,
    "adapters.npz": Format.MLX,
    "pytorch_adapter.bin": Format.ADAPTERS,
    "adapter.safetensors": Format.ADAPTERS,
    "head_config.json": Format.ADAPTERS,
    "pytorch_lora_weights.safetensors": Format.DIFFUSERS,
    "pytorch_lora_weights.bin": Format.DIFFUSERS,
}
# ... by the keys of an `adapter_config.json` that has no `peft_type` ...
FOREIGN_KEYS: Mapping[Format, tuple[str, ...]] = {
    Format.MLX: ("lora_parameters", "fine_tune_type", "lora_layers"),
    Format.ADAPTERS: ("config_id", "hidden_size", "model_class", "model_type"),
}
# ... or by the names of the tensors in a file under a name of its own.
FOREIGN_TENSORS: Mapping[Format, re.Pattern[str]] = {
    Format.KOHYA: re.compile(r"lora_(unet|te\d?|transformer)_"),
    Format.DIFFUSERS: re.compile(r"(unet|text_encoder(_\d)?|transformer)\..*lora"),
}
KOHYA_METADATA = "ss_network_module"


def is_telling(name: str) -> bool:
    """Whether a file of this name makes its folder worth a look (`._` files are what macOS leaves in archives)."""
    known = name in (CONFIG, MODEL_CONFIG, *WEIGHTS) or name in FOREIGN_FILES
    return known or (name.endswith(SAFETENSORS) and not name.startswith("._"))
