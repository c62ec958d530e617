"""What every release makes of an adapter, against what PEFT 0.10 to 0.21 did (`releases.jsonl.gz`)."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adapterlint.adapter import Adapter, load_adapter
from adapterlint.base import Base, load_base
from adapterlint.lint.classes import tree_for
from adapterlint.lint.example import safetensors_file
from adapterlint.peft.footprint import footprint_of
from adapterlint.peft.partial import partial_base
from adapterlint.peft.releases import PATCHES
from adapterlint.peft.verdicts import Verdict, verdict
from adapterlint.peft.versions import usual_transformers
from adapterlint.sources.memory import MemoryFolder

BASES, *ADAPTERS = [
    json.loads(line)
    for line in gzip.decompress(Path(__file__).with_name("releases.jsonl.gz").read_bytes()).splitlines()
]
KNOWN = {
    "experts*": "0.19.1 makes converters that transformers 5.23 does not take; 4.56 has no such parameters to refuse",
}
"""Adapters about which something else is said in some release, and why."""


def folder(path: str, config: str, values: Any, tensors: dict[str, Any]) -> MemoryFolder:
    weights = "model.safetensors" if config == "config.json" else "adapter_model.safetensors"
    shapes = {name: (dtype, tuple(shape)) for name, (dtype, shape) in tensors.items()}
    return MemoryFolder(path, {config: json.dumps(values).encode(), weights: safetensors_file(shapes)})


@cache
def base(name: str) -> Base:
    found = load_base(folder(name, "config.json", BASES[name]["config"], BASES[name]["tensors"]))
    assert found is not None
    return found


def adapter_of(line: dict[str, Any]) -> Adapter:
    found = load_adapter(folder(line["name"], "adapter_config.json", line["config"], line["tensors"]))
    assert found is not None
    return found


def in_base(adapter: Adapter, name: str, release: str) -> Verdict:
    touched = footprint_of(adapter)
    if touched is None or adapter.config is None:
        return verdict(adapter, release, None)
    tree = tree_for(base(name), [(adapter.config, touched)], usual_transformers(release), by_task=False)
    return verdict(adapter, release, tree)


def without_base(adapter: Adapter, release: str) -> Verdict:
    touched = footprint_of(adapter)
    return verdict(adapter, release, partial_base([touched]) if touched is not None else None)


def error_of(truth: dict[str, Any]) -> str | None:
    return truth["error"].partition(":")[0] if truth["error"] else None


def is_known(line: dict[str, Any]) -> bool:
    return any(fnmatch(line["name"], pattern) for pattern in KNOWN)


@pytest.mark.parametrize("release", PATCHES.values())
def test_in_its_base_an_adapter_is_taken_refused_and_cut_as_it_was(release: str) -> None:
    wrong, agreed = [], Counter[bool]()
    for line in ADAPTERS:
        truth, found = line["truth"][release], in_base(adapter_of(line), line["base"], release)
        said = None if found.outcome == "unknown" else (found.error.type if found.error else "loads")
        same = said == (error_of(truth) or "loads")
        if same and said == "loads":
            same = sorted(key.key for key in found.dropped) == sorted(truth["dropped"])
            if found.lost is not None and truth["lost"] is not None:
                same = same and len(found.lost) + len(found.redrawn) == len(truth["lost"])
        agreed[same] += 1
        if not same and not is_known(line):
            wrong.append(f"{line['name']}: {said}, not {truth}")
    assert wrong == []
    assert agreed[True] > 0.9 * agreed.total()


@pytest.mark.parametrize("release", PATCHES.values())
def test_without_a_base_nothing_is_refused_that_was_taken(release: str) -> None:
    agreed = Counter[str]()
    for line in ADAPTERS:
        truth, found = line["truth"][release], without_base(adapter_of(line), release)
        if found.outcome == "raises":
            assert error_of(truth) is not None or is_known(line), (line["name"], found.error)
        agreed[
            found.outcome if found.outcome == "unknown" else str((error_of(truth) is None) == (not found.error))
        ] += 1
    assert agreed["unknown"] < 0.1 * agreed.total()
    assert agreed["False"] < 0.25 * agreed.total()  # what only a base tells: shapes, modules that are not there


def test_every_exception_is_one() -> None:
    names = [line["name"] for line in ADAPTERS]
    assert all(any(fnmatch(name, pattern) for name in names) for pattern in KNOWN)
    assert sum(map(is_known, ADAPTERS)) < 0.1 * len(ADAPTERS)
