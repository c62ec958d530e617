"""Add what real PEFT does with options of LoRA on kinds of modules to `variants.json.gz`: alone, and in pairs.

Run from this folder where torch, transformers and PEFT are installed, once a release:

    for release in 0.15.2 0.16.0 0.17.1 0.18.1 0.19.1 0.20.0 0.21.2; do
        PYTHONPATH=peft-$release python make_variants.py variants.json.gz
    done

(recorded with torch 2.13.0; transformers 4.56.2, beside 0.21.2 transformers 5.23.0). Nothing but the target stands in
the model, of 8 features on each side. In the file: release -> kind of module -> options, `"+"` between two -> class and
text of what is raised when the layer is built; what is built is not in it, nor are options that the release does not
have. A text is cut to 100 characters.
"""

from __future__ import annotations

import gzip
import itertools
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers.pytorch_utils
from variants import KINDS, OPTIONS, SIZE

import peft

TEXT = 100  # characters of an error's text
MODULES = {
    "linear": lambda: torch.nn.Linear(SIZE, SIZE),
    "gpt2-conv1d": lambda: transformers.pytorch_utils.Conv1D(SIZE, SIZE),
    "embedding": lambda: torch.nn.Embedding(SIZE, SIZE),
    "conv1d": lambda: torch.nn.Conv1d(SIZE, SIZE, 1),
    "conv2d": lambda: torch.nn.Conv2d(SIZE, SIZE, 1),
    "conv3d": lambda: torch.nn.Conv3d(SIZE, SIZE, 1),
    "multihead-attention": lambda: torch.nn.MultiheadAttention(SIZE, 2),
}


class Base(torch.nn.Module):
    """A model of one module."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.target = MODULES[kind]()


def raised(kind: str, given: dict[str, Any]) -> list[str] | None:
    """What is raised when the config of a file is read and its layers are built."""
    config = {"peft_type": "LORA", "r": 4, "target_modules": ["target"], "inference_mode": True, **given}
    try:
        peft.get_peft_model(Base(kind), peft.LoraConfig.from_peft_type(**config))
    except Exception as error:  # whatever it is
        return [type(error).__name__, str(error)[:TEXT]]
    return None


def main(path: Path) -> None:
    warnings.simplefilter("ignore")
    known = {name for name, given in OPTIONS.items() if set(given) <= set(peft.LoraConfig.__dataclass_fields__)}
    asked = [*itertools.combinations(sorted(known), 1), *itertools.combinations(sorted(known), 2)]
    asked = [names for names in asked if len({key for one in names for key in OPTIONS[one]}) == len(names)]
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        answers = {
            "+".join(names): raised(kind, {k: v for n in names for k, v in OPTIONS[n].items()}) for names in asked
        }
        found[kind] = {names: error for names, error in answers.items() if error is not None}
    recorded = json.loads(gzip.decompress(path.read_bytes())) if path.exists() else {}
    recorded[peft.__version__] = found
    path.write_bytes(gzip.compress(json.dumps(recorded, sort_keys=True).encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
