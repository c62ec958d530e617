"""A small fleet with its tiny base model: something to try adapterlint on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from adapterlint.lint.example import DROP, HIDDEN, VOCABULARY, Patch, base_files, with_tokens

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


def write_fleet(folder: Path) -> None:
    """Write the base model into `folder/base` and the adapters into `folder/adapters`.

    Raises:
        OSError: `folder/base` or `folder/adapters` exists, or cannot be written.
    """
    files = {"base": base_files()} | {f"adapters/{name}": patch.folder().files for name, patch in ADAPTERS.items()}
    for name, contents in files.items():
        (folder / name).mkdir(parents=True)
        for file, content in contents.items():
            (folder / name / file).write_bytes(content)
