"""Tiny base models of many architectures, built in memory with weights that follow from their names.

Nothing is downloaded. Where an adapter may reach into a base is read off the built model, not written down: the same
table serves every transformers release.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache

import torch
import transformers
from groups import BASES
from groups.base import SIZES, VOCABULARY
from torch import nn
from transformers.pytorch_utils import Conv1D

TOKENS = 16  # the indices below are all in the batch


@dataclass(frozen=True, slots=True)
class Sites:
    """Last components of the module paths that an adapter may name, and the numbers of layers."""

    linears: tuple[str, ...]
    heads: tuple[str, ...]
    embeddings: tuple[str, ...]
    positions: tuple[str, ...]
    norms: tuple[str, ...]
    containers: tuple[str, ...]
    lists: tuple[str, ...]
    experts: tuple[str, ...]  # 3-D parameters
    paths: tuple[str, ...]


def build(name: str) -> nn.Module:
    """The base ``name``, in evaluation mode; leaves torch's generator in a state that follows from the name."""
    base = BASES[name]
    sizes = {key: value for key, value in (SIZES | dict(base.changes)).items() if value is not ...}
    config = getattr(transformers, f"{base.config}Config")(**sizes)
    torch.manual_seed(zlib.crc32(name.encode()))
    auto = getattr(transformers, "AutoModel" if base.auto == "Model" else f"AutoModelFor{base.auto}")
    model: nn.Module = auto.from_config(config).eval()
    return model


def batch(name: str) -> dict[str, torch.Tensor]:
    """An input of two rows for the base ``name``: every index below `TOKENS`, and some above."""
    auto = BASES[name].auto
    if auto == "ImageClassification":
        return {"pixel_values": torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8).sin()}
    if auto in ("AudioClassification", "CTC"):
        return {"input_values": torch.linspace(-9, 9, 2 * 200).reshape(2, 200).sin()}
    ids = torch.tensor([[9, 3, 0, 5, 6, 7, 13, 8, 4, 10, 11, 12, 14, 15, 1, 2], [*range(32, 46), 20, 2]])
    if auto == "SpeechSeq2Seq":
        return {"input_features": torch.linspace(-9, 9, 2 * 8 * 16).reshape(2, 8, 16).sin(), "decoder_input_ids": ids}
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if auto == "Seq2SeqLM":
        given["decoder_input_ids"] = ids[:, :8].clone()
    return given


@cache
def sites(name: str) -> Sites:
    """Where adapters may reach into the base ``name``."""
    model = build(name)
    found: dict[str, set[str]] = {kind: set() for kind in Sites.__dataclass_fields__}
    for path, module in model.named_modules():
        last, kind = path.rpartition(".")[2], _kind(module, path)
        if last.isdigit() or not path:
            continue
        found["paths"].add(path)
        if "." not in path and path not in (model.base_model_prefix, "encoder", "decoder", "shared"):
            kind = "heads"
        if kind:
            found[kind].add(last)
    for path, parameter in model.named_parameters():
        if parameter.ndim == 3 and "expert" in path:
            found["experts"].add(".".join(path.split(".")[-2:]))
    return Sites(**{kind: tuple(sorted(names)) for kind, names in found.items()})


def _kind(module: nn.Module, path: str) -> str | None:
    if isinstance(module, nn.Linear | Conv1D):
        return "linears"
    if isinstance(module, nn.Embedding):
        tokens = module.num_embeddings == VOCABULARY and "position" not in path
        return "embeddings" if tokens else "positions"
    if isinstance(module, nn.ModuleList):
        return "lists"
    if any(True for _ in module.children()):
        return "containers"
    return "norms" if any(True for _ in module.parameters()) and "orm" in type(module).__name__ else None
