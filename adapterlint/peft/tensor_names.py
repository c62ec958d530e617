"""Names of tensors: as a file has them, and as a model in memory has them, with the adapter's name inside.

Follows `_insert_adapter_name_into_state_dict` and `_remove_adapter_name_from_key` (`peft/utils/save_and_load.py`).
"""

from __future__ import annotations

from functools import cache

from adapterlint.peft.methods import METHODS
from adapterlint.peft.model import Model
from adapterlint.peft.opened import OpenedConfig


def with_name(key: str, prefix: str, adapter: str, model: Model) -> str:
    """`_insert_adapter_name_into_state_dict`."""
    if prefix not in key:
        return key
    if model.versions.peft < (0, 18):
        rest = key.split(prefix)[1].partition(".")[2]
        return key.replace(rest, f"{adapter}.{rest}") if rest else f"{key}.{adapter}"
    rest = key.rpartition(prefix)[2].partition(".")[2]
    return f"{key.removesuffix(rest)}{adapter}.{rest}" if rest else f"{key}.{adapter}"


def file_key(key: str, adapter: str, peft_type: str = "LORA") -> str:
    """A parameter's name as a file has it, without the adapter's name (`_remove_adapter_name_from_key`)."""
    for attribute in _numbered(peft_type):
        key = key.replace(f".{attribute}.{adapter}.", f".{attribute}.")
    if key.endswith(f".{adapter}"):
        return key.removesuffix(f".{adapter}")
    head, _, last = key.rpartition(".")
    return f"{head.removesuffix(f'.{adapter}')}.{last}"


def saved_name(key: str, adapter: str, config: OpenedConfig) -> str:
    """The same, for a method that may call every adapter by one name in a file."""
    method = METHODS[config.peft_type]
    if method.saved_as:
        before, marker, rest = key.partition(f".{adapter}.")
        if marker and before.rpartition(".")[2].startswith(method.prefix or ""):
            return f"{before}.{method.saved_as}.{rest}"
    return file_key(key, adapter, config.peft_type)


@cache
def in_model(peft_type: str) -> tuple[tuple[str, str], ...]:
    """What is a module in memory and a parameter in a file: its name there, and what follows it in memory."""
    return tuple({(one.attribute, one.in_model): None for one in METHODS[peft_type].parameters() if one.in_model})


@cache
def _numbered(peft_type: str) -> tuple[str, ...]:
    """What holds a list of layers for each adapter, whose numbers stand between its name and those of parameters."""
    named = METHODS[peft_type].parameters()
    return tuple({one.attribute: None for one in named if not one.file_only and ".#." in one.name})


def loose_key(key: str, adapter: str) -> str:
    """A name without the adapter's name wherever that stands."""
    return key.replace(f".{adapter}.", ".").removesuffix(f".{adapter}")
