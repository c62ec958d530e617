"""The tests of rules of one's own, which are their examples."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from adapterlint.lint.example import Example
from adapterlint.lint.example_run import run_example
from adapterlint.lint.loader import load_rules
from adapterlint.lint.rule import Rule, RuleError


@dataclass(frozen=True, slots=True)
class Tested:
    """Rules of one's own, and what is wrong with them.

    Args:
        rules: The rules.
        examples: How many examples were tried.
        faults: One sentence for each example that is not as it should be; empty if all are.
    """

    rules: tuple[Rule, ...]
    examples: int
    faults: tuple[str, ...]


def rule_faults(rule_dirs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """Try rules of one's own on their examples, as `adapterlint rule test` does.

    Args:
        rule_dirs: A folder with rules, or several.

    Returns:
        One sentence for each `bad` in which the rule finds nothing, and each `good` in which it finds something.

    Raises:
        RuleError: A file of the folder holds no rule or a malformed one, or there is none at all.
    """
    folders = [rule_dirs] if isinstance(rule_dirs, str | os.PathLike) else rule_dirs
    return list(tested([os.fspath(folder) for folder in folders]).faults)


def tested(folders: Sequence[str]) -> Tested:
    """Try the rules of some folders on their examples.

    Raises:
        RuleError: As for `rule_faults`.
    """
    built_in = {rule.code for rule in load_rules()}
    own = tuple(rule for rule in load_rules(folders) if rule.code not in built_in)
    if not own:
        raise RuleError("There is no rule to test", place=", ".join(folders) or None)
    faults = [fault for rule in own for fault in _faults(rule)]
    return Tested(own, sum(len(rule.bad) + len(rule.good) for rule in own), tuple(faults))


def _faults(rule: Rule) -> Iterator[str]:
    for kind, examples, wanted in (("bad", rule.bad, True), ("good", rule.good, False)):
        for number, example in enumerate(examples, 1):
            which = f"{kind} example" + (f" {number}" if len(examples) > 1 else "")
            fault = _fault(rule, example, wanted)
            if fault is not None:
                yield f"{rule.name}: the {which} {fault}"


def _fault(rule: Rule, example: Example, wanted: bool) -> str | None:
    """What is wrong with an example; other rules may find something in it."""
    try:
        found = run_example(example, [rule])
    except RuleError as error:
        return f"cannot be tried: {error.message}"
    except ValueError as error:  # a patch that leaves no adapter
        return f"cannot be made: {error}"
    if wanted and not found:
        return "gives no finding"
    return f"gives a finding: {found[0].finding.message}" if found and not wanted else None
