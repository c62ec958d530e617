"""The report for people: by adapter, with the line that is meant, what it breaks and how to repair it."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint.report.model import Problem, Report, ReportedFinding
from adapterlint.report.paint import Paint
from adapterlint.report.plain import adapters
from adapterlint.severity import Severity
from adapterlint.words import counted, printable, shortened

MAX_COMMITS = 20  # that are listed
MAX_FRAME = 100  # characters of a source line that are shown

_STYLES = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.INFO: "1;36"}
_BOLD, _DIM = "1", "2"


def text(report: Report, *, color: bool = False, numbers: bool = True) -> str:
    """Every finding with its place, code frame and remedy, grouped by adapter; then, unless unwanted, the numbers."""
    paint = Paint(color)
    lines: list[str] = []
    group: tuple[str, ...] | None = None
    for finding in report.findings:
        if finding.adapters != group:
            group = finding.adapters
            lines += [paint(_BOLD, adapters(finding)), ""]
        lines += [*_finding(finding, paint), ""]
    lines += [f"{paint(_BOLD, status(p))}: {_place(p.place)}{printable(p.message)}" for p in report.problems]
    if numbers:
        lines += [*(paint(_DIM, line) for line in commits(report)), summary_line(report)]
    return "".join(f"{line}\n" for line in lines)


def commits(report: Report) -> Iterator[str]:
    """The repositories on the Hub that were judged, and at which commits."""
    repositories = (("/".join(one.path.split("/")[:4]), one.commit) for one in report.adapters if one.commit)
    judged = list(dict.fromkeys(f"{name} at {commit}" for name, commit in repositories))
    yield from (printable(f"judged: {one}") for one in judged[:MAX_COMMITS])
    if len(judged) > MAX_COMMITS:
        yield f"judged: {counted(len(judged) - MAX_COMMITS, 'more repository', 'more repositories')}"


def status(problem: Problem) -> str:
    """What a problem means for the run."""
    return "not checked" if problem.fatal else "not known"


def summary_line(report: Report) -> str:
    """The numbers in one sentence."""
    s = report.summary
    numbers = [(s.errors, "error"), (s.warnings, "warning"), (s.infos, "info")]
    found = ", ".join(counted(n, word, word if word == "info" else None) for n, word in numbers if n)
    aside = f" ({counted(s.suppressed, 'finding')} set aside)" if s.suppressed else ""
    return f"{counted(s.adapters, 'adapter')} checked: {found or 'nothing found'}{aside}"


def _finding(finding: ReportedFinding, paint: Paint) -> Iterator[str]:
    label = f"{finding.severity.value}[{finding.code}]"
    yield f"  {paint(_STYLES[finding.severity], label)} {printable(finding.message)}"
    yield paint(_DIM, f"    --> {where(finding)}")
    yield from _frame(finding, paint)
    if finding.help:
        yield f"    {paint(_BOLD, 'help')}: {printable(finding.help)}"
    held = f" (PEFT {finding.peft})" if finding.peft else ""
    yield paint(_DIM, f"    {finding.rule}{held}")


def where(finding: ReportedFinding) -> str:
    """`file:line:column`, or the tensor."""
    at = f":{finding.location.line}:{finding.location.column}" if finding.location else ""
    tensor = f" tensor {shortened(finding.tensor, 160)}" if finding.tensor else ""
    return printable(f"{finding.file}{at}{tensor}")


def _frame(finding: ReportedFinding, paint: Paint) -> Iterator[str]:
    """The source line with the value underlined; a long line is cut around the value."""
    if finding.location is None or finding.frame is None:
        return
    place = finding.location
    start = place.column - finding.frame_column
    end = place.end_column - finding.frame_column if place.end_line == place.line else len(finding.frame)
    long = len(finding.frame) > MAX_FRAME or finding.frame_column > 1
    offset = max(0, start - MAX_FRAME // 2) if long else 0
    # Escapes change widths, so the text before, below and after the mark is escaped by itself.
    cut = [finding.frame[offset:start], finding.frame[start:end], finding.frame[end:]]
    before, marked, after = (printable(part.replace("\t", " ")) for part in cut)
    shown = f"{'…' if offset else ''}{before}{marked}{after}"
    width = min(max(len(marked), 1), MAX_FRAME)
    gutter = str(place.line)
    yield f"    {paint(_DIM, gutter + ' |')} {shortened_end(shown)}"
    mark = paint(_STYLES[finding.severity], "^" * width)
    yield f"    {paint(_DIM, ' ' * len(gutter) + ' |')} {' ' * (len(before) + bool(offset))}{mark}"


def shortened_end(line: str) -> str:
    """A line cut at its end to what is shown of it."""
    limit = MAX_FRAME * 2
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _place(place: str) -> str:
    return f"{printable(place)}: " if place else ""
