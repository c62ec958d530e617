"""Every rule keeps the promises of its examples and its page."""

from __future__ import annotations

import pytest

from adapterlint.lint.example import Example, Patch
from adapterlint.lint.example_run import run_example
from adapterlint.lint.loader import load_rules
from adapterlint.lint.page import page
from adapterlint.lint.rule import Rule

RULES = load_rules()


def findings(example: Example) -> set[str]:
    """Names of all rules that find something, on the adapters of an example and on their fleet."""
    return {one.rule.name for one in run_example(example, RULES)}


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
