"""Annotations of GitHub Actions: workflow commands, one a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapterlint.report.context import Context
from adapterlint.report.model import Report, ReportedFinding
from adapterlint.report.plain import remarks
from adapterlint.report.text import status, summary_line
from adapterlint.severity import Severity
from adapterlint.words import printable

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
# The runner undoes these (actions/runner, ActionCommand.cs).
_IN_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTIES = _IN_DATA | str.maketrans({":": "%3A", ",": "%2C"})


def github(report: Report, context: Context) -> str:
    """An annotation a finding, on its line where that is known, then the numbers."""
    lines = [_annotation(finding, context) for finding in report.findings]
    for problem in report.problems:
        told = f"{status(problem)}: {printable(problem.place)}: {printable(problem.message)}"
        lines.append(_command("error" if problem.fatal else "notice", {"title": "adapterlint"}, told))
    return "\n".join([*lines, summary_line(report)]) + "\n"


def _annotation(finding: ReportedFinding, context: Context) -> str:
    properties = {
        "file": printable(context.shown(finding.file)),
        **dict(_span(finding)),
        "title": f"{finding.code} {finding.rule}",
    }
    message = "\n".join([printable(finding.message), *remarks(finding)])
    return _command(_COMMANDS[finding.severity], properties, message)


def _span(finding: ReportedFinding) -> Iterator[tuple[str, str]]:
    place = finding.location
    if place is None:
        return
    yield from (("line", str(place.line)), ("endLine", str(place.end_line)))
    if place.line == place.end_line:  # columns are refused on several lines
        yield from (("col", str(place.column)), ("endColumn", str(max(place.column, place.end_column - 1))))


def _command(name: str, properties: Mapping[str, str], data: str) -> str:
    said = ",".join(f"{key}={value.translate(_IN_PROPERTIES)}" for key, value in properties.items() if value)
    return f"::{name} {said}::{data.translate(_IN_DATA)}"
