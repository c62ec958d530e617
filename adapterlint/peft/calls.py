"""How classes of transformers call their modules, and what they take themselves, where PEFT stumbles over it.

`calls.json` is read from the sources of transformers by `tests/peft/make_calls.py`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_ALWAYS = frozenset({"self_attn", "encoder_attn"})  # decoders and encoders hand them keyword arguments alone
_GENERATING = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForSpeechSeq2Seq", "MTModel")


def by_keywords(release: tuple[int, int], caller: str | None, name: str) -> bool:
    """Whether a class calls one of its modules with keyword arguments alone.

    Args:
        release: Of transformers.
        caller: The class of the module that has it, if that is known.
        name: The module's own name.
    """
    return name in _ALWAYS or caller in _table(release[0])["keywords"].get(name, ())


def refuses(release: tuple[int, int], architecture: str | None, keyword: str) -> bool:
    """Whether the forward pass of a class takes no argument of that name."""
    return architecture in _table(release[0])["refuses"].get(keyword, ())


def generates(release: tuple[int, int], architecture: str) -> bool:
    """Whether a class has a way to prepare inputs for generation: as its name tells, unless it is known better."""
    table = _table(release[0])
    return architecture in table["generates"] or (
        architecture.endswith(_GENERATING) and architecture not in table["mute"]
    )


def is_called_flat(release: tuple[int, int], caller: str | None, name: str) -> bool:
    """Whether a class calls one of its modules with something that has not a row for each of the batch.

    Args:
        release: Of transformers.
        caller: The class of the module that has it, if that is known.
        name: The module's own name.
    """
    return caller in _table(release[0])["flat"].get(name, ())


def is_only_read(release: tuple[int, int], caller: str | None, name: str) -> bool:
    """Whether a class takes weights out of one of its modules and never calls it.

    What PEFT puts around such a module does not run, and what asks it for its weight gets that of the base.

    Args:
        release: Of transformers.
        caller: The class of the module that has it, if that is known.
        name: The module's own name.
    """
    return caller in _table(release[0])["read"].get(name, ())


def measures(release: tuple[int, int], caller: str | None, name: str) -> bool:
    """Whether a class calls one of its embeddings with something that has the shape of indices, and is none.

    Args:
        release: Of transformers.
        caller: The class of the module that has it, if that is known.
        name: The module's own name.
    """
    return caller in _table(release[0])["measures"].get(name, ())


def is_listed(kind: str, release: tuple[int, int], name: str | None) -> bool:
    """Whether a class, or a model type, is among those of a kind: the keys of `calls.json`."""
    return name in listed(kind, release)


def listed(kind: str, release: tuple[int, int]) -> frozenset[str]:
    """The classes, or model types, of a kind."""
    found: frozenset[str] = _table(release[0])[kind]
    return found


@functools.cache
def _table(major: int) -> Mapping[str, Any]:
    from importlib import resources  # imports slowly

    every = json.loads(resources.files("adapterlint.peft").joinpath("calls.json").read_text("utf-8"))
    table = every["4" if major < 5 else "5"]
    nested = {
        kind: {name: frozenset(classes.split()) for name, classes in table.pop(kind).items()}
        for kind in ("flat", "keywords", "measures", "read", "refuses")
    }
    lists = {kind: frozenset(classes.split()) for kind, classes in table.items()}
    return MappingProxyType({**nested, **lists})
