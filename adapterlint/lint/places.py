"""Where in a config something is said of a module."""

from __future__ import annotations

from collections.abc import Iterable

from adapterlint.adapter import Config
from adapterlint.peft.matching import names_module
from adapterlint.place import Place

_BY_LETTERS = ("modules_to_save", "trainable_token_indices", "token_indices")
"""Keys whose entries PEFT compares with the end of a path letter by letter, and not by its components."""


def entry_at(config: Config, key: str, module: str) -> Place:
    """The entry of a list, or the key of an object, that names a module; else the whole value, or the file.

    Args:
        key: A key of the config.
        module: Path of a module.
    """
    value = config.get(key)
    entries: Iterable[object] = value if isinstance(value, list | dict) else ()
    for i, entry in enumerate(entries):
        if not isinstance(entry, str) or not entry or not module:
            continue
        if module.endswith(entry) if key in _BY_LETTERS else names_module(entry, module):
            return config.at(key, entry if isinstance(value, dict) else i)
    return value_at(config, key)


def has_entry(config: Config, key: str, module: str) -> bool:
    """Whether a list or an object has an entry that names a module."""
    return entry_at(config, key, module).pointer not in (None, config.at(key).pointer)


def value_at(config: Config, key: str) -> Place:
    """The value of a key, or the file where it is missing."""
    return config.at(key) if key in config else Place(config.file)
