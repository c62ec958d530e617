"""LNT201."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Place, Run, Severity, listed, rule, shown
from adapterlint.lint.baseline import Entry, about
from adapterlint.lint.run import Stale

_MESSAGE = "`r` is `0`"
_ENTRY = Entry(
    file="adapters/de/adapter_config.json", code="CFG104", rule="zero-rank", about=about(_MESSAGE), message=_MESSAGE
)


@rule(
    "LNT201",
    Severity.INFO,
    since="0.1",
    bad=Run(stale=(Stale(_ENTRY, Place("baseline.jsonl")),)),
    good=Run(),
)
def stale_baseline_entry(run: Run) -> Iterator[Finding]:
    """An entry of the baseline sets nothing aside any more.

    The finding is gone: the adapter was mended or removed. As long as the entry stays, the same problem may come back
    unseen. An entry is only told if this run would have found the problem again: its adapters were checked, its rule
    ran, and there was a base model if there was one when the entry was written. A folder that was moved keeps its
    entries.

    `adapterlint check --baseline FILE --prune-baseline` rewrites the file without such entries. They do not fail a run,
    unless `--fail-on info` asks for it.
    """
    for stale in run.stale:
        entry = stale.entry
        where = listed(entry.adapters, word="adapters") if entry.adapters else shown(entry.file)
        exact = f" at {shown(entry.pointer or entry.tensor)}" if entry.pointer or entry.tensor else ""
        yield Finding(
            f"The entry no longer holds: {shown(entry.rule)} in {where}{exact}",
            at=stale.at,
            help="`--prune-baseline` takes it out.",
        )
