"""The table of architectures: what transformers builds for every class it knows, by release.

`architectures/table.bin` holds compressed members of some model types each, found by an index; of a model type there is
one line a class, and only the line that is asked for is parsed. `architectures/generate.py` writes it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate
from typing import Any

import msgspec

from adapterlint.caches import kept

RELEASES = ("5.23.0", "4.56.2")  # of transformers, the newest first
MAGIC = b"ADLTBL3\n"
LENGTH_BYTES = 4
_MAX_FAMILIES = 64
_MAX_OPEN = 8
_MAX_ENTRIES = 128


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What the table says of one class in one release.

    Args:
        name: The class.
        model_type: `model_type` of its config.
        nodes: Its modules: `[class, kind, parameters, buffers, children]`.
        root: Which node is the model itself.
        data: Everything else: `tied`, `alias`, `input`, `output`, defaults `d` and other names `a` of config values,
            `p` the base model prefix, `w` the names that tensors have in a checkpoint.
    """

    name: str
    model_type: str
    nodes: list[Any]
    root: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One model type.

    Args:
        classes: Class -> release -> line of it.
        tasks: Release -> task -> the class that the auto class of that task builds.
        lines: One a class.
    """

    classes: Mapping[str, Mapping[str, int]]
    tasks: Mapping[str, Mapping[str, str]]
    lines: list[bytes]


@dataclass(frozen=True, slots=True, eq=False)
class _Index:
    """Where things are.

    Args:
        types: Model type -> its member, the offset and length in it, lines by class, classes by task.
        activations: Release -> name of an activation in a config -> the class of its module.
        members: Where each member begins, and where the last one ends.
    """

    types: Mapping[str, tuple[int, int, int, Mapping[str, Any], Mapping[str, Any]]]
    activations: Mapping[str, Mapping[str, str]]
    members: list[int]


def release_of(transformers: str) -> str:
    """The release of the table that stands for a release of transformers: the same major version, else the newest."""
    major = transformers.partition(".")[0]
    return next((r for r in RELEASES if r.partition(".")[0] == major), RELEASES[0])


def entry(model_type: str | None, name: str, release: str) -> Entry | None:
    """The entry of a class; of another release if this one does not have it, `None` if none has."""
    for known in _types(model_type, name):
        lines = family(known).classes.get(name)  # type: ignore[union-attr]
        if lines:
            return _entry(known, lines.get(release, next(iter(lines.values()))))
    return None


def _types(model_type: str | None, name: str) -> Iterator[str]:
    if model_type is not None and model_type in _index().types:
        yield model_type
    yield from _types_by_class().get(name, ())


@kept(_MAX_FAMILIES)
def family(model_type: str) -> Family | None:
    """The classes of a model type, `None` if it is not known."""
    place = _index().types.get(model_type)
    if place is None:
        return None
    member, start, length, places, tasks = place
    lines = _member(member)[start : start + length].split(b"\n")
    both = {name: [place] * len(RELEASES) if isinstance(place, int) else place for name, place in places.items()}
    classes = {
        name: {release: line for release, line in zip(RELEASES, numbers, strict=True) if line is not None}
        for name, numbers in both.items()
    }
    by_release = tasks if RELEASES[0] in tasks or RELEASES[1] in tasks else dict.fromkeys(RELEASES, tasks)
    return Family(classes, by_release, lines)


@kept(_MAX_ENTRIES)
def tasks_of(name: str, release: str) -> tuple[str, ...]:
    """The tasks for which a class is what the auto class builds."""
    families = [family(model_type) for model_type in _types_by_class().get(name, ())]
    return tuple(t for f in families if f for t, c in f.tasks.get(release, {}).items() if c == name)


def activation(name: str, release: str) -> str | None:
    """The class of the module of an activation that a config names."""
    return activations(release).get(name)


def activations(release: str) -> Mapping[str, str]:
    """Name of an activation in a config -> the class of its module."""
    return _index().activations.get(release, {})


def model_types() -> tuple[str, ...]:
    """Every model type of the table."""
    return tuple(_index().types)


@kept(_MAX_ENTRIES)
def _entry(model_type: str, line: int) -> Entry:
    known = family(model_type)
    assert known is not None
    read = msgspec.json.decode(known.lines[line])
    for node in read["n"]:
        node += [{}, {}, []][len(node) - 2 :]  # what the table leaves out
    return Entry(read.pop("c"), model_type, read.pop("n"), read.pop("r"), read)


@kept(1)
def _data() -> bytes:
    return files("adapterlint.base").joinpath("architectures", "table.bin").read_bytes()


@kept(_MAX_OPEN)
def _member(number: int) -> bytes:
    start, end = _index().members[number : number + 2]
    return zlib.decompress(_data()[start:end])


@kept(1)
def _index() -> _Index:
    data = _data()
    start = len(MAGIC) + LENGTH_BYTES
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    read = msgspec.json.decode(zlib.decompress(data[start:end]))
    return _Index(read["types"], read["activations"], list(accumulate(read["members"], initial=end)))


@kept(1)
def _types_by_class() -> Mapping[str, list[str]]:
    """Class -> model types that have it."""
    classes: dict[str, list[str]] = {}
    for model_type, place in _index().types.items():
        for name in place[3]:
            classes.setdefault(name, []).append(model_type)
    return classes
