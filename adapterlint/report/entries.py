"""Reported findings as entries of a baseline."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from adapterlint.lint.baseline import Entry, about
from adapterlint.lint.covered import Root
from adapterlint.lint.engine import Found
from adapterlint.report.model import ReportedFinding


def entry_of(drawn: ReportedFinding, found: Found, root: Root, names: Mapping[str, Collection[str]]) -> Entry:
    """What a baseline keeps of a finding; secrets are gone from it already.

    Args:
        drawn: The finding as it is reported.
        found: The finding and its rule.
        root: The folder of the baseline.
        names: Folder of an adapter -> the names that there are in its fleets.
    """
    fleet = "fleet" in found.rule.inputs
    concerned = (drawn.adapters or (drawn.file,)) if fleet else ()
    own = {os.path.basename(path) for path in drawn.adapters}
    if fleet:
        own = own.union(*(names.get(path, ()) for path in found.finding.adapters))
    return Entry(
        file=root.relative(drawn.file),
        adapters=tuple(sorted({root.relative(path) for path in concerned})),
        code=drawn.code,
        rule=drawn.rule,
        pointer=drawn.pointer,
        tensor=drawn.tensor,
        about=about(drawn.message, own),
        base=found.base,
        declared=fleet and (found.finding.severity or found.rule.severity).rank < found.rule.severity.rank,
        message=drawn.message,
    )
