"""Selection: which labels mean which rules."""

from __future__ import annotations

import pytest

from adapterlint.lint.loader import load_rules
from adapterlint.lint.select import UnknownRuleError, find_rule, select
from adapterlint.settings import Settings
from adapterlint.severity import Severity

RULES = load_rules()


def chosen(**values: object) -> set[str]:
    return {r.code for r in select(RULES, Settings.model_validate(values)).rules}


def test_everything_runs_by_default() -> None:
    assert chosen() == {r.code for r in RULES}


def test_ignoring_wins_over_selecting() -> None:
    assert chosen(select="CFG104", ignore="zero-rank") == set()


def test_extending_adds_to_the_selection() -> None:
    assert chosen(select="CFG104", extend_select="rank-mismatch") == {"CFG104", "FIT101"}
    assert "CFG104" not in chosen(ignore="FIT", extend_ignore=("CFG",))


def test_labels_are_codes_names_families_and_all_in_any_case() -> None:
    assert chosen(select="cfg104") == {"CFG104"}
    assert chosen(select="Zero-Rank") == {"CFG104"}
    assert chosen(select="FIT") == {r.code for r in RULES if r.code.startswith("FIT")}
    assert chosen(select="all") == {r.code for r in RULES}


def test_a_family_without_rules_yet_is_no_mistake() -> None:
    assert chosen(select="SRV") == set()


@pytest.mark.parametrize(("label", "meant"), [("zero-rnak", "zero-rank"), ("CGF104", "CFG104"), ("CFGG", "CFG")])
def test_a_label_that_no_rule_has_is_told_with_the_nearest(label: str, meant: str) -> None:
    with pytest.raises(UnknownRuleError, match=f"There is no rule `{label}`; did you mean `{meant}"):
        chosen(select=label)


def test_severities_are_set_by_any_label() -> None:
    selection = select(RULES, Settings.model_validate({"severity": {"zero-rank": "info", "FIT": "warning"}}))
    assert selection.severity["CFG104"] is Severity.INFO
    assert selection.severity["FIT101"] is Severity.WARNING


@pytest.mark.parametrize("label", ["CFG", "ALL"])
def test_a_page_is_of_one_rule(label: str) -> None:
    with pytest.raises(UnknownRuleError):
        find_rule(RULES, label)
