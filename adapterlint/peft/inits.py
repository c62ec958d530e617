"""Which initialisations of LoRA change the base weights, in training or whenever an adapter is loaded."""

from __future__ import annotations

import re
from typing import Any

LORA_GA = "lora_ga"  # changes the base in training, and nothing on loading
PISSA_NITER = "pissa_niter"  # PiSSA with a randomised decomposition, another one each time

_RANDOMISED = re.compile(r"pissa_niter_\d+")
_ON_LOADING = frozenset({"pissa", PISSA_NITER, "olora", "loftq"})


def mutating_init(value: Any) -> str | None:
    """The kind of an `init_lora_weights` that changed the base in training.

    As PEFT compares them (tuners/lora/layer.py, `reset_lora_parameters`): OLoRA without case, the others with it; words
    that it refuses have no kind.

    Returns:
        `pissa`, `pissa_niter`, `olora`, `loftq` or `lora_ga`; `None` for a value that leaves the base as it is.
    """
    if not isinstance(value, str):
        return None
    kind = PISSA_NITER if _RANDOMISED.fullmatch(value) else "olora" if value.lower() == "olora" else value
    return kind if kind in _ON_LOADING or kind == LORA_GA else None


def changes_base_on_loading(value: Any) -> bool:
    """Whether loading an adapter with this `init_lora_weights` changes the base that it is loaded into."""
    return mutating_init(value) in _ON_LOADING
