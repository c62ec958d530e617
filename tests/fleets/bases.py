"""Tiny base models of many architectures, built in memory with weights that follow from their names.

Nothing is downloaded. Where an adapter may reach into a base is read off the built model, not written down: the same
table serves every transformers release.
"""

from __future__ import annotations

import math
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
Signal = tuple[str, int, tuple[int, ...]]
WAVE: Signal = ("input_values", 9, (200,))
PIXELS: Signal = ("pixel_values", 1, (3, 8, 8))
SIGNALS: dict[str, Signal] = {
    "AudioClassification": WAVE,
    "AudioFrameClassification": WAVE,
    "CTC": WAVE,
    "ImageClassification": PIXELS,
    "ImageModel": PIXELS,
    "MaskedImageModeling": PIXELS,
    "SemanticSegmentation": PIXELS,
    "SpeechSeq2Seq": ("input_features", 9, (8, 16)),
    "TimeSeriesModel": ("past_values", 9, (32, 2)),
    # models that take something else than their task does
    "AST": ("input_values", 9, (16, 16)),
    "Moonshine": ("input_values", 99, (2000,)),
    "Siglip2": ("pixel_values", 1, (4, 48)),
    "Speech2Text": ("input_features", 9, (16, 16)),
    "Wav2Vec2Bert": ("input_features", 9, (16, 16)),
}
"""Task, or class of the config, of what takes no text: the argument, how far its numbers go, the shape of a row."""


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
    auto = getattr(transformers, "AutoModel" if base.auto.endswith("Model") else f"AutoModelFor{base.auto}")
    model: nn.Module = auto.from_config(config).eval()
    return model


def batch(name: str) -> dict[str, torch.Tensor]:
    """An input of two rows for the base ``name``: every index below `TOKENS`, and some above."""
    base = BASES[name]
    ids = torch.tensor([[9, 3, 0, 5, 6, 7, 13, 8, 4, 10, 11, 12, 14, 15, 1, 2], [*range(32, 46), 20, 2]])
    signal = SIGNALS.get(base.config) or SIGNALS.get(base.auto)
    if signal is None:
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if base.auto == "Seq2SeqLM":
            given["decoder_input_ids"] = ids[:, :8].clone()
        return given
    argument, reach, shape = signal
    given = {argument: torch.linspace(-reach, reach, 2 * math.prod(shape)).reshape(2, *shape).sin()}
    if base.auto == "SpeechSeq2Seq":
        given["decoder_input_ids"] = ids
    if base.config == "Siglip2":  # patches, with the sides of each picture
        given |= {"pixel_attention_mask": torch.ones(2, 4, dtype=torch.long), "spatial_shapes": torch.full((2, 2), 2)}
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
