"""What the files of an adapter are called, and what tells the formats of others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

CONFIG = "adapter_config.json"
CARD = "README.md"
MODEL_CONFIG = "config.json"
# In the order in which PEFT looks (utils/save_and_load.py, load_peft_weights); a bare header stands for its file.
WEIGHTS = ("adapter_model.safetensors", "adapter_model.safetensors.header", "adapter_model.bin")
SAFETENSORS = (".safetensors", ".safetensors.header")
# Where transformers looks for a base model: one file, or shards with an index.
BASE_FILES = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
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
    Format.ADAPTERS: ("config_id", "model_class", "model_type"),
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


def weights_of(name: str) -> str | None:
    """The file itself if it is one of weights under a name of its own."""
    return name if name.endswith(SAFETENSORS) and name not in WEIGHTS and name not in FOREIGN_FILES else None


def shards_of(names: Iterable[str]) -> list[str]:
    """The shards of a base model in safetensors if all of them are there, else nothing."""
    found = sorted((match for name in names if (match := _SHARD.fullmatch(name))), key=lambda match: match[0])
    numbers = [int(match[1]) for match in found]
    complete = numbers == list(range(1, len(found) + 1)) and {int(match[2]) for match in found} == {len(found)}
    return [match[0] for match in found] if complete else []


_SHARD = re.compile(r"model-(\d{1,6})-of-(\d{1,6})\.safetensors")
