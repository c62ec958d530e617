"""The recorded adapters with one thing wrong: what PEFT refuses is told, and what changes nothing is no error."""

from __future__ import annotations

from collections.abc import Set
from functools import cache
from pathlib import Path

import pytest
from recorded_methods import NEWEST, Saved, adapters, damaged, write_bases

from adapterlint import check

STEP = 15  # every so many of the copies that are broken
REFUSED, LOST = 0.65, 0.45
"""Shares that are named today, of copies that PEFT refuses and of those whose tensors it leaves out; to be raised."""
Findings = Set[tuple[str, str]]


class Checks:
    """What `check` says of adapters that lie on disk, each with its base."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bases").mkdir()
        write_bases(folder / "bases")
        self.whole: dict[str, Findings] = {}

    def found(self, saved: Saved, label: str) -> Findings:
        report = check(saved.write(self.folder / label.replace("/", "_")), base=self.folder / "bases" / saved.base)
        return {(str(finding.severity), finding.rule) for finding in report.findings}

    def new(self, whole: Saved, label: str, copy: Saved) -> Findings:
        """What it says of a damaged copy and not of the adapter."""
        if whole.name not in self.whole:
            self.whole[whole.name] = self.found(whole, "whole")
        return self.found(copy, label) - self.whole[whole.name]


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Checks:
    return Checks(tmp_path_factory.mktemp("damaged"))


@cache
def copies() -> list[tuple[Saved, str, Saved]]:
    """Damaged copies of what loads."""
    return [one for one in damaged() if one[0].truth[NEWEST].loads]


def test_every_kind_of_damage_was_tried_on_every_method() -> None:
    """The copies are made here as they were made for PEFT; what PEFT did with each is recorded."""
    tried: dict[str, set[str]] = {}
    for whole, label, _ in copies():
        tried.setdefault(whole.peft_type, set()).add(label.partition(":")[0].partition("-")[0])
    # Vectors and squares stay what they are when they are transposed.
    assert {name for name, kinds in tried.items() if not {"drop", "rename", "size", "field"} <= kinds} == set()
    assert set(tried) == {one.peft_type for one in adapters().values() if one.made_with == NEWEST}


def test_what_changes_nothing_is_no_error(checks: Checks) -> None:
    wrong = {}
    for whole, label, copy in copies():
        if copy.truth[NEWEST] == whole.truth[NEWEST]:
            errors = sorted(rule for severity, rule in checks.new(whole, label, copy) if severity == "error")
            if errors:
                wrong[whole.name, label] = errors
    assert wrong == {}


def test_most_of_what_peft_refuses_or_leaves_out_is_named(checks: Checks) -> None:
    refused = [one for one in copies() if not one[2].truth[NEWEST].loads]
    lost = [(whole, label, copy) for whole, label, copy in copies() if _lost(copy) not in ((), _lost(whole))]
    for broken, levels, share in ((refused, {"error"}, REFUSED), (lost, {"error", "warning"}, LOST)):
        drawn = broken[::STEP]
        named = [levels & {severity for severity, _ in checks.new(*one)} for one in drawn]
        assert len(drawn) > 100
        assert sum(map(bool, named)) > share * len(drawn)


def _lost(saved: Saved) -> tuple[str, ...]:
    """Tensors that reach nothing, and parameters without one."""
    return saved.truth[NEWEST].missing + saved.truth[NEWEST].unexpected
