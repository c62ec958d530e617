"""Which of `per-file-ignores` set nothing aside, though they would have if anything were there."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby

from adapterlint.globs import matches
from adapterlint.lint.covered import Covered, Root, is_below
from adapterlint.lint.rule import Rule
from adapterlint.lint.run import Unused
from adapterlint.lint.select import Ignored, Selection
from adapterlint.place import Place


def unused(
    chosen: Selection,
    used: Collection[Ignored],
    covered: Covered,
    root: Root,
    reasons: Mapping[str, str | None],
    at: Place,
) -> Iterator[Unused]:
    """What set nothing aside, a pattern at a time.

    A label is only told if all of its rules ran on everything that its pattern may mean: a run over a part of a
    project, or with some of the rules, says nothing about the rest.

    Args:
        chosen: The rules, and what is ignored.
        used: What did set something aside.
        covered: What the run has looked at.
        root: The folder of the settings, which patterns without a slash are about.
        reasons: By pattern.
        at: The settings file.
    """
    rules = {rule.code: rule for rule in chosen.rules}
    for pattern, group in groupby(chosen.ignores, key=lambda one: one.pattern):
        those = list(group)
        idle = [one for one in those if one not in used and _was_asked(one, rules, covered, root)]
        if idle:
            yield Unused(pattern, tuple(o.label for o in idle), len(idle) == len(those), reasons.get(pattern), at)


def _was_asked(one: Ignored, rules: Mapping[str, Rule], covered: Covered, root: Root) -> bool:
    if not one.codes or not one.codes <= rules.keys():
        return False
    if any(matches(left, (one.pattern,)) or matches(one.pattern, (left,)) for left in covered.exclude):
        return False
    top = _top(one.pattern, root)
    holder = os.path.dirname(top)
    if holder in covered.adapters:  # a file of an adapter, or a folder in one
        there = [covered.adapters[holder]]
    elif covered.was_walked(top):
        there = [inputs for adapter, inputs in covered.adapters.items() if is_below(adapter, top)]
    else:
        return False
    return all(_had_inputs(rules[code], inputs) for code in one.codes for inputs in there)


def _had_inputs(rule: Rule, inputs: frozenset[str]) -> bool:
    """Whether an adapter could be judged by a rule; for one about a fleet, whether it could be a member."""
    return "footprint" in inputs if "fleet" in rule.inputs else rule.needs <= inputs


def _top(pattern: str, root: Root) -> str:
    """The folder or file below which everything lies that a pattern may mean."""
    parts = pattern.rstrip("/").split("/")
    fixed = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    return root.absolute("/".join(parts[:fixed])) if "/" in pattern and fixed else root.folder
