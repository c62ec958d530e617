"""Every rule keeps the promises of its examples and its page."""

from __future__ import annotations

import pytest

from adapterlint.lint.engine import Engine
from adapterlint.lint.example import Example, FleetPatch, Patch, base_of
from adapterlint.lint.fleet import Fleet, Member
from adapterlint.lint.loader import load_rules
from adapterlint.lint.page import page
from adapterlint.lint.rule import Rule
from adapterlint.lint.run import Run
from adapterlint.peft.footprint import footprint_of

RULES = load_rules()


def fleet_of(patch: FleetPatch) -> Fleet:
    members = []
    for name, adapter in patch.adapters().items():
        touched = footprint_of(adapter)
        assert adapter.config is not None
        assert touched is not None
        members.append(Member(name, adapter, adapter.config, touched))
    names = {m.name for m in members}
    unknown = tuple(n for s in patch.activate for n in s if n not in names)
    name = "demo" if patch.declared else None
    return Fleet(name, "acme/tiny-llama", tuple(members), patch.activate, unknown, patch.ordered)


def findings(example: Example) -> set[str]:
    """Names of all rules that find something, on the adapters of an example and on their fleet."""
    engine = Engine(RULES, example.peft if isinstance(example, Patch) else ())
    if isinstance(example, Run):
        return {one.rule.name for one in engine.check_run(example)}
    adapters = example.adapters().values() if isinstance(example, FleetPatch) else [example.adapter()]
    base = base_of(example)
    found = [one for a in adapters for one in engine.check_adapter(a, footprint_of(a), base)]
    if isinstance(example, FleetPatch):
        found += engine.check_fleet(fleet_of(example), base)
    assert not engine.crashes
    return {one.rule.name for one in found}


BAD = [pytest.param(r, e, id=f"{r.name}-{i}") for r in RULES for i, e in enumerate(r.bad)]
GOOD = [pytest.param(r, e, id=f"{r.name}-{i}") for r in RULES for i, e in enumerate(r.good)]


@pytest.mark.parametrize(("rule", "example"), BAD)
def test_bad_example_gives_this_finding_and_no_other(rule: Rule, example: Example) -> None:
    found = findings(example)
    assert rule.name in found
    assert found - rule.also == {rule.name}


@pytest.mark.parametrize(("rule", "example"), GOOD)
def test_good_example_gives_no_finding(rule: Rule, example: Example) -> None:
    assert findings(example) == set()


@pytest.mark.parametrize("base", [None, {}, {"tie_word_embeddings": True}], ids=["no base", "base", "tied base"])
def test_the_known_good_adapter_is_clean(base: dict[str, bool] | None) -> None:
    assert findings(Patch(base=base)) == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_every_page_is_complete(rule: Rule) -> None:
    assert len(rule.title) > 15
    assert not rule.title.endswith(".")
    assert len(rule.manual) > 80, "a manual says what breaks and how to repair it"
    written = page(rule)
    assert rule.code in written
    assert "Found in:" in written
    assert rule.also <= {r.name for r in RULES}


def test_every_rule_named_in_also_is_really_set_off_somewhere() -> None:
    for rule in RULES:
        seen: set[str] = set().union(*(findings(e) for e in rule.bad))
        assert rule.also <= seen, f"{rule.name} declares more than its examples give"
