"""The catalogue of PEFT types: every entry by its name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from adapterlint.peft.methods import lora, low_rank, lycoris, orthogonal, plain, prompts, shared, sparse, whole_model
from adapterlint.peft.methods.method import Method

_FILES = (lora, lycoris, low_rank, shared, orthogonal, sparse, plain, prompts, whole_model)
_ENTRIES = {one.name: one for file in _FILES for one in vars(file).values() if isinstance(one, Method)}

METHODS: Mapping[str, Method] = MappingProxyType({name: _ENTRIES[name] for name in sorted(_ENTRIES)})
"""Every PEFT type by name."""


def tensor_prefix(peft_type: str) -> str:
    """What the names of a type's parameters begin with; empty if it has none, or is not known."""
    method = METHODS.get(peft_type)
    return (method.all_begin or method.prefix or "") if method is not None else ""


def suggest_type(name: str) -> str | None:
    """The PEFT type that `name` was probably meant to be: the same in upper case, else the nearest spelling.

    A variant that PEFT has as an option of LoRA (`"DoRA"`, `"QLoRA"`) is LoRA.
    """
    upper = name.strip().upper()
    if upper in METHODS:
        return upper
    if upper in _LORA_VARIANTS:
        return "LORA"
    return next(iter(difflib.get_close_matches(upper, METHODS, n=1, cutoff=0.7)), None)


_LORA_VARIANTS = frozenset(
    {"ALORA", "BDLORA", "CORDA", "DORA", "EVA", "KASA", "LOFTQ", "LORA+", "LORAPLUS", "LORA_GA", "MICA", "OLORA"}
    | {"PISSA", "QALORA", "QDORA", "QLORA", "RSLORA", "VELORA"}
)
