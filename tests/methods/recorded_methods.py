"""The recorded adapters (`tests/methods/README.md`): what PEFT saved, and what it does with it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from method_damage import Header, damages
from random_damage import copy_of

from adapterlint.adapter import Adapter, load_adapter
from adapterlint.base import Base, load_base
from adapterlint.lint.engine import Engine, Found
from adapterlint.lint.example import safetensors_file
from adapterlint.peft.footprint import footprint_of
from adapterlint.sources.memory import MemoryFolder

METHODS = Path(__file__).parent
RELEASES = ("0.15.2", "0.17.1", "0.18.1", "0.19.1", "0.20.0", "0.21.2")
NEWEST = RELEASES[-1]


def transformers_of(release: str) -> str:
    """The release of transformers beside which a release of PEFT was asked."""
    return "5.23.0" if release == NEWEST else "4.56.2"


@dataclass(frozen=True, slots=True)
class Truth:
    """What PEFT does with an adapter in a fresh base.

    Args:
        loads: Whether `PeftModel.from_pretrained` returns.
        error: What it raises instead: the class, and the text but for damaged copies.
        dropped: Keys of the config that it says it ignores.
        missing: Parameters that it would save and no tensor of the file filled, as keys of a file.
        unexpected: Tensors of the file that reached nothing.
        forward: What a forward pass raises.
        effective: Whether the output is another one than the base's; `False` too where nothing ran.
        same: Of a damaged copy, whether the output is that of the adapter nevertheless.
    """

    loads: bool
    error: tuple[str, str] | None = None
    dropped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    forward: tuple[str, str] | None = None
    effective: bool = True
    same: bool = False

    @property
    def runs(self) -> bool:
        """Whether it loads and a forward pass returns."""
        return self.loads and self.forward is None


@dataclass(frozen=True, slots=True)
class Saved:
    """An adapter as PEFT saved it, or a damaged copy of one.

    Args:
        name: Class of its config and variant; what an older release saved ends with that, `oft-plain@0.10.0`.
        base: Name of its base.
        made_with: The release of PEFT that saved it.
        given: Keys of the config with other values than the defaults.
        config: `adapter_config.json`.
        header: Its tensors.
        truth: What each release of PEFT does with it; of a damaged copy, the newest only.
    """

    name: str
    base: str
    made_with: str
    given: tuple[str, ...]
    config: Mapping[str, Any]
    header: Header
    truth: Mapping[str, Truth]

    @property
    def peft_type(self) -> str:
        """Its method."""
        return str(self.config["peft_type"])

    def files(self) -> dict[str, bytes]:
        """Its files, with zeros for data."""
        config = json.dumps(self.config, indent=2, sort_keys=True).encode()
        return {"adapter_config.json": config, "adapter_model.safetensors": safetensors_file(self.header)}

    def folder(self) -> MemoryFolder:
        """The adapter in memory."""
        return MemoryFolder(self.name, self.files())

    def write(self, folder: Path) -> Path:
        """The adapter on disk, below a folder."""
        target = folder / self.name
        target.mkdir(parents=True)
        for name, content in self.files().items():
            (target / name).write_bytes(content)
        return target


def harm(whole: Saved, copy: Saved) -> str:
    """What the newest PEFT does with a damaged copy that it does not do with the adapter; empty if it loses nothing."""
    before, after = whole.truth[NEWEST], copy.truth[NEWEST]
    if not after.loads:
        return "raises"
    if after.forward and not before.forward:
        return "forward"
    return "lost" if after.missing + after.unexpected != before.missing + before.unexpected else ""


def findings(engine: Engine, saved: Saved, *, with_base: bool) -> list[Found]:
    """What `check` says of an adapter, in its base or without one."""
    adapter = load_adapter(saved.folder())
    assert adapter is not None
    found = engine.check_adapter(adapter, footprint_of(adapter), bases()[saved.base] if with_base else None)
    assert not engine.crashes, engine.crashes
    return found


def _lines(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(METHODS / f"{name}.jsonl.gz", "rt") as file:  # an absolute name is of a file elsewhere
        yield from map(json.loads, file)


def _truth(told: Mapping[str, Any]) -> Truth:
    def error(key: str) -> tuple[str, str] | None:
        value = told.get(key)
        return (value["type"], value["text"]) if isinstance(value, dict) else (value, "") if value else None

    lists = {key: tuple(told.get(key, ())) for key in ("dropped", "missing", "unexpected")}
    runs = told["loads"] and "forward" not in told
    effective, same = runs and told.get("effective", True), told.get("same", False)
    return Truth(told["loads"], error("error"), **lists, forward=error("forward"), effective=effective, same=same)


def _saved(line: Mapping[str, Any]) -> Saved:
    header = {name: (dtype, tuple(shape)) for name, (dtype, shape) in line["tensors"].items()}
    truth = {release: _truth(told) for release, told in line["truth"].items()}
    return Saved(line["name"], line["base"], line["made_with"], tuple(line["given"]), line["config"], header, truth)


@cache
def adapters() -> Mapping[str, Saved]:
    """Every recorded adapter by name."""
    return {line["name"]: _saved(line) for line in _lines("adapters")}


@cache
def drawn(file: str = "random") -> Sequence[tuple[Saved, Sequence[tuple[str, Saved]]]]:
    """Every adapter that was drawn at random, with its damaged copies."""
    found = []
    for line in _lines(file):
        whole = _saved(line)
        copies = [(copy_of(label, whole.config, whole.header), told) for label, told in line["damages"].items()]
        made = [
            (label, replace(whole, config=config, header=header, truth={NEWEST: _truth(told)}))
            for (label, config, header), told in copies
        ]
        found.append((whole, made))
    return found


def loaded(name: str) -> Adapter:
    """A recorded adapter, read; one that mixes others with these."""
    saved = adapters()[name]
    adapter = load_adapter(saved.folder())
    assert adapter is not None
    if saved.peft_type != "XLORA":
        return adapter
    return replace(adapter, experts={path: loaded(path) for path in saved.config["adapters"].values()})


@dataclass(frozen=True, slots=True)
class Begun:
    """How a new adapter begins, made twice of one config.

    Args:
        random: Parameters, as keys of a file, with other numbers each time.
        same: Those with the same ones.
        idle: Whether a new adapter leaves the output as it is; `None` if its forward pass raises.
    """

    random: frozenset[str]
    same: frozenset[str]
    idle: bool | None


@cache
def beginnings() -> Mapping[str, Begun]:
    """How new adapters begin, by the name of the recorded one."""
    lines = _lines("beginnings")
    return {x["name"]: Begun(frozenset(x["random"]), frozenset(x["same"]), x.get("idle")) for x in lines}


def damaged() -> Iterator[tuple[Saved, str, Saved]]:
    """Every damaged copy: the adapter, what was done (`drop:<tensor>`, `field:<key>`, ...), the copy."""
    for line in _lines("damages"):
        whole = adapters()[line["name"]]
        for label, config, header in damages(whole.config, whole.header, whole.given):
            truth = {NEWEST: _truth(line["damages"][label])}
            yield whole, label, replace(whole, config=config, header=header, truth=truth)


@cache
def base_folders() -> Mapping[str, MemoryFolder]:
    """The bases: config and header, or the header alone of those that are no models of transformers."""
    found = {}
    for line in _lines("bases"):
        shapes = {name: (dtype, tuple(shape)) for name, (dtype, shape) in line["tensors"].items()}
        files = {"model.safetensors": safetensors_file(shapes)}
        if line["config"] is not None:
            files["config.json"] = json.dumps(line["config"]).encode()
        found[line["name"]] = MemoryFolder(line["name"], files)
    return found


def write_bases(target: Path) -> Path:
    """The bases on disk, each in a folder of its name."""
    for name, folder in base_folders().items():
        (target / name).mkdir()
        for file, content in folder.files.items():
            (target / name / file).write_bytes(content)
    return target


@cache
def bases() -> Mapping[str, Base]:
    """The same, read."""
    found = {name: load_base(folder) for name, folder in base_folders().items()}
    return {name: base for name, base in found.items() if base is not None}
