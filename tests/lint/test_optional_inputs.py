"""A rule may read what is not always there."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, ModuleTree, Severity, rule
from adapterlint.lint.engine import Engine
from adapterlint.lint.example import Patch, base_of
from adapterlint.lint.page import page
from adapterlint.lint.rule import RULE_ATTRIBUTE, Rule
from adapterlint.peft.footprint import footprint_of

seen: list[object] = []


@rule("CFG901", Severity.WARNING, since="0.1", bad={}, good={})
def reads_a_base(config: Config, base: ModuleTree | None) -> Iterator[Finding]:
    """Reads a base where there is one.

    That is all that it does.
    """
    seen.append(base)
    yield from ()


MADE: Rule = getattr(reads_a_base, RULE_ATTRIBUTE)


def test_it_runs_without_it_and_gets_it_where_it_is_there() -> None:
    engine = Engine((MADE,))
    for patch in (Patch(), Patch(base={})):
        adapter = patch.adapter()
        engine.check_adapter(adapter, footprint_of(adapter), base_of(patch))
    assert not engine.crashes
    without, with_base = seen
    assert without is None
    assert isinstance(with_base, ModuleTree)


def test_what_it_needs_is_the_rest() -> None:
    assert MADE.inputs == ("config", "base")
    assert MADE.needs == {"config"}
    assert "reads config, base (where there is one)" in page(MADE)
