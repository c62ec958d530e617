"""Runs rules: on each adapter, then on each fleet. A rule that crashes becomes a finding, the run goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.specifiers import SpecifierSet

from adapterlint.adapter import Adapter
from adapterlint.base import Base
from adapterlint.base.tree import ModuleTree
from adapterlint.formats import Format
from adapterlint.lint.classes import Loaded, tree_for
from adapterlint.lint.fleet import Fleet
from adapterlint.lint.rule import Finding, Rule
from adapterlint.lint.run import Run
from adapterlint.lint.simulated import AdapterSimulation, FleetSimulation
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.partial import partial_base
from adapterlint.peft.quick import alone
from adapterlint.peft.releases import NEWEST, in_range, newest_patch
from adapterlint.peft.simulate import Alone
from adapterlint.peft.versions import FIRST_SIMULATED, Versions, usual_transformers
from adapterlint.place import Place
from adapterlint.words import printable, redacted, shortened


@dataclass(frozen=True, slots=True)
class Found:
    """A finding with the rule that made it, and whether that had a base to go by."""

    rule: Rule
    finding: Finding
    base: bool = False


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

    Attributes:
        crashes: The rules that raised, and where.
        releases: The patches of PEFT that stand for these releases.
        simulated: Those of them that are simulated.
        evidence: Folder of an adapter -> the inputs that there were for rules about it.
        fleets: For each fleet the folders of its members, and whether there was a base.
    """

    rules: Sequence[Rule]
    peft: tuple[str, ...] = ()
    crashes: list[Crash] = field(default_factory=list)
    evidence: dict[str, frozenset[str]] = field(default_factory=dict, init=False)
    fleets: list[tuple[frozenset[str], bool]] = field(default_factory=list, init=False)
    _cases: dict[tuple[str, frozenset[str]], tuple[Rule, ...]] = field(default_factory=dict)
    _answers: dict[str, bool] = field(default_factory=dict)
    releases: tuple[str, ...] = field(init=False)
    simulated: tuple[str, ...] = field(init=False)
    _lone: dict[object, tuple[Alone, object]] = field(default_factory=dict)  # with what is told by its identity

    def __post_init__(self) -> None:
        self.releases = tuple(newest_patch(r) for r in self.peft) or (NEWEST,)
        self.simulated = tuple(r for r in self.releases if in_range(r, FIRST_SIMULATED, None))
        self.rules = tuple(r for r in self.rules if r.peft is None or self._concerns(r.peft))

    def check_adapter(self, adapter: Adapter, touched: Footprint | None, base: Base | None = None) -> list[Found]:
        """The findings of all rules that read one adapter.

        Args:
            adapter: The adapter, or a folder in somebody else's format.
            touched: Its footprint, as `footprint_of` gives it.
            base: Its base, if there is one at hand.
        """
        loaded = [(adapter.config, touched)] if adapter.config is not None and touched is not None else []
        trees = self._trees(base, loaded) if base is not None and loaded else {}
        inputs = {
            "files": adapter.files,
            "adapter": adapter if adapter.files.format is Format.PEFT else None,
            "config": adapter.config,
            "header": adapter.header,
            "card": adapter.card,
            "footprint": touched,
            "base": list(trees.values())[-1] if trees else None,
            "simulation": self._alone(adapter, trees) if trees else None,
        }
        peft_type = adapter.config.peft_type if adapter.config else ""
        present = self.evidence[adapter.path] = _present(inputs)
        return self._run(self._rules_for(peft_type, present), inputs, Place(adapter.path))

    def check_fleet(self, fleet: Fleet, base: Base | None = None) -> list[Found]:
        """The findings of all rules that read a fleet.

        Args:
            fleet: The fleet.
            base: Its base, if there is one at hand; without one rules know what the adapters themselves name.
        """
        if base is not None and fleet.members:
            trees = self._trees(base, [(member.config, member.footprint) for member in fleet.members])
        else:
            partial = partial_base(member.footprint for member in fleet.members)
            trees = dict.fromkeys(self.simulated, partial)
        inputs = {
            "fleet": fleet,
            "base": list(trees.values())[-1] if base is not None and trees else None,
            "simulation": FleetSimulation(fleet, trees) if trees else None,
        }
        present = _present(inputs)
        self.fleets.append((frozenset(member.path for member in fleet.members), "base" in present))
        return self._run(self._rules_for("", present), inputs, Place(fleet.name or fleet.base or "fleet"))

    def check_run(self, run: Run) -> list[Found]:
        """The findings of all rules that read what the run itself came to."""
        inputs = {"run": run}
        return self._run(self._rules_for("", _present(inputs)), inputs, Place("settings"))

    def _trees(self, base: Base, loaded: Sequence[Loaded]) -> dict[str, ModuleTree]:
        """Release -> the base in the class that adapters are loaded into; nothing for a base that says nothing."""
        chosen = {release: tree_for(base, loaded, release) for release in set(map(usual_transformers, self.simulated))}
        trees = {r: chosen[usual_transformers(r)] for r in self.simulated}
        return {release: tree for release, tree in trees.items() if len(tree.nodes) > 1}

    def _alone(self, adapter: Adapter, trees: Mapping[str, ModuleTree]) -> AdapterSimulation:
        """The adapter in its base; those of one recipe are simulated once."""
        found, recipe = {}, _recipe(adapter)
        tensors = adapter.header.tensors if adapter.header is not None else None
        for release, tree in trees.items():
            key = (release, id(tree), recipe)
            if key not in self._lone:
                self._lone[key] = alone(adapter, "default", tree, Versions.usual(release)), (tree, tensors)
            found[release] = self._lone[key][0]
        return AdapterSimulation(found)

    def _rules_for(self, peft_type: str, present: frozenset[str]) -> tuple[Rule, ...]:
        """The rules that speak of a type and have all inputs that they need; there are few such cases in a run."""
        rules = self._cases.get((peft_type, present))
        if rules is None:
            known = [r for r in self.rules if present.issuperset(r.needs)]
            rules = tuple(r for r in known if r.types is None or peft_type in r.types)
            self._cases[peft_type, present] = rules
        return rules

    def _run(self, rules: Sequence[Rule], inputs: Mapping[str, Any], where: Place) -> list[Found]:
        found: list[Found] = []
        arguments = {names: [inputs[name] for name in names] for names in {rule.inputs for rule in rules}}
        has_base = inputs.get("base") is not None
        for rule in rules:
            try:
                for finding in rule.check(*arguments[rule.inputs]):
                    if finding.peft is None or self._is_asked_for(finding.peft):
                        found.append(Found(rule, finding, has_base and rule.reads_base))
            except Exception as error:
                text = shortened(redacted(printable(f"{type(error).__name__}: {error}")), 200)
                self.crashes.append(Crash(rule, where, text))
        return found

    def _is_asked_for(self, specifier: str) -> bool:
        answer = self._answers.get(specifier)
        if answer is None:
            answer = self._answers[specifier] = self._concerns(SpecifierSet(specifier))
        return answer

    def _concerns(self, releases: SpecifierSet) -> bool:
        return any(releases.contains(r, prereleases=True) for r in self.releases)


def _present(inputs: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name, value in inputs.items() if value is not None)


def _recipe(adapter: Adapter) -> object:
    """What a simulation of one adapter depends on."""
    values = adapter.config.values if adapter.config is not None else {}
    said = json.dumps({k: v for k, v in values.items() if k != "base_model_name_or_path"}, sort_keys=True, default=str)
    return said, id(adapter.header.tensors) if adapter.header is not None else None
