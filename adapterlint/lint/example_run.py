"""Rules run on an example: what its tests judge, and what its page shows."""

from __future__ import annotations

from collections.abc import Sequence

from adapterlint.lint.engine import Engine, Found
from adapterlint.lint.example import BASE, FLEET, Example, FleetPatch, Patch, base_of
from adapterlint.lint.fleet import Fleet, Member
from adapterlint.lint.rule import Rule, RuleError
from adapterlint.lint.run import Run
from adapterlint.peft.footprint import footprint_of


def run_example(example: Example, rules: Sequence[Rule]) -> list[Found]:
    """What rules find in an example: in each adapter, and in the fleet that they form.

    Raises:
        RuleError: A rule crashed.
    """
    engine = Engine(rules, example.peft if isinstance(example, Patch) else ())
    if isinstance(example, Run):
        found = engine.check_run(example)
    else:
        adapters = example.adapters().values() if isinstance(example, FleetPatch) else [example.adapter()]
        base = base_of(example)
        found = [one for a in adapters for one in engine.check_adapter(a, footprint_of(a), base)]
        if isinstance(example, FleetPatch):
            found += engine.check_fleet(_fleet_of(example), base)
    for crash in engine.crashes:
        raise RuleError(f"The rule crashes on its example: {crash.error}", place=crash.rule.name)
    return found


def _fleet_of(patch: FleetPatch) -> Fleet:
    members = []
    for name, adapter in patch.adapters().items():
        touched = footprint_of(adapter)
        if adapter.config is None or touched is None:
            raise RuleError("A member of the fleet of an example has no config, or one that cannot be read", place=name)
        members.append(Member(name, adapter, adapter.config, touched))
    names = {m.name for m in members}
    unknown = tuple(n for s in patch.activate for n in s if n not in names)
    return Fleet(FLEET if patch.declared else None, BASE, tuple(members), patch.activate, unknown, patch.ordered)
