"""LNT202."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Place, Run, Severity, listed, rule, shown
from adapterlint.lint.run import Unused


@rule(
    "LNT202",
    Severity.INFO,
    since="0.1",
    bad=Run(unused=(Unused("adapters/legacy", ("CFG104",), True, "trained in 2023", Place("pyproject.toml")),)),
    good=Run(),
)
def unused_ignore(run: Run) -> Iterator[Finding]:
    """A rule under `per-file-ignores` sets nothing aside.

    The problem is gone, or the pattern no longer means the folder that it was written for. As long as it stays, the
    same problem may come back unseen. A rule is only told if it ran on everything that its pattern may mean: a run over
    some adapters of a project says nothing of the others.

    Take it out of `per-file-ignores`, or mend the pattern.
    """
    for one in run.unused:
        verb = "sets" if len(one.labels) == 1 else "set"
        why = f"; the reason given was {shown(one.reason)}" if one.reason else ""
        what = shown(one.pattern) if one.whole else f"{'it' if verb == 'sets' else 'them'} from {shown(one.pattern)}"
        yield Finding(
            f"{listed(one.labels)} under `per-file-ignores` {verb} nothing aside in {shown(one.pattern)}",
            at=one.at,
            help=f"Remove {what}{why}.",
        )
