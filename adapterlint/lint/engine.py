"""Runs rules: on each adapter, then on each fleet. A rule that crashes becomes a finding, the run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from packaging.specifiers import SpecifierSet

from adapterlint.adapter import Adapter, Format
from adapterlint.lint.fleet import Fleet
from adapterlint.lint.rule import Finding, Rule
from adapterlint.peft.footprint import Footprint, footprint
from adapterlint.peft.releases import NEWEST, newest_patch
from adapterlint.place import Place
from adapterlint.words import printable, redacted, shortened


@dataclass(frozen=True, slots=True)
class Found:
    """A finding with the rule that made it."""

    rule: Rule
    finding: Finding


@dataclass(frozen=True, slots=True)
class Crash:
    """A rule that raised."""

    rule: Rule
    place: Place
    error: str


@dataclass(slots=True)
class Engine:
    """Runs the chosen rules for some releases of PEFT.

    Args:
        rules: The chosen rules.
        peft: Releases that must handle the adapters; empty for the newest known.
    """

    rules: Sequence[Rule]
    peft: tuple[str, ...] = ()
    crashes: list[Crash] = field(default_factory=list)
    _by_type: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    _releases: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._releases = tuple(newest_patch(r) for r in self.peft) or (NEWEST,)
        self.rules = tuple(r for r in self.rules if r.peft is None or self._concerns(r.peft))

    def check_adapter(self, adapter: Adapter, touched: Footprint | None) -> list[Found]:
        """The findings of all rules that read one adapter.

        Args:
            adapter: The adapter, or a folder in somebody else's format.
            touched: Its footprint, as `footprint_of` gives it.
        """
        inputs = {
            "files": adapter.files,
            "adapter": adapter if adapter.files.format is Format.PEFT else None,
            "config": adapter.config,
            "header": adapter.header,
            "card": adapter.card,
            "footprint": touched,
        }
        peft_type = adapter.config.peft_type if adapter.config else ""
        rules = self._by_type.get(peft_type)
        if rules is None:
            rules = tuple(r for r in self.rules if r.types is None or peft_type in r.types)
            self._by_type[peft_type] = rules
        return list(self._run(rules, inputs, Place(adapter.path)))

    def check_fleet(self, fleet: Fleet) -> list[Found]:
        """The findings of all rules that read a fleet."""
        return list(self._run(self.rules, {"fleet": fleet}, Place(fleet.name or fleet.base or "fleet")))

    def _run(self, rules: Sequence[Rule], inputs: Mapping[str, Any], where: Place) -> Iterator[Found]:
        for rule in rules:
            arguments = [inputs.get(name) for name in rule.inputs]
            if None in arguments:
                continue
            try:
                for finding in rule.check(*arguments):
                    if finding.peft is None or self._concerns(_specifier(finding.peft)):
                        yield Found(rule, finding)
            except Exception as error:
                text = shortened(redacted(printable(f"{type(error).__name__}: {error}")), 200)
                self.crashes.append(Crash(rule, where, text))

    def _concerns(self, releases: SpecifierSet) -> bool:
        return any(releases.contains(r, prereleases=True) for r in self._releases)


def footprint_of(adapter: Adapter) -> Footprint | None:
    """What an adapter touches, if its config and its header could be read."""
    if adapter.config is None or adapter.header is None:
        return None
    return footprint(adapter.config, adapter.header)


@lru_cache(maxsize=256)
def _specifier(text: str) -> SpecifierSet:
    return SpecifierSet(text)
