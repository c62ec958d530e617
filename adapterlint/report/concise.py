"""One line a finding, as editors and `grep` like it."""

from __future__ import annotations

from adapterlint.report.model import Report
from adapterlint.report.text import status, summary_line, where
from adapterlint.words import printable


def concise(report: Report, *, numbers: bool = True) -> str:
    """`file:line:column: severity[CODE] message`, one line a finding, then, unless unwanted, the numbers."""
    lines = [f"{where(f)}: {f.severity.value}[{f.code}] {printable(f.message)}" for f in report.findings]
    lines += [f"{printable(p.place)}: {status(p)}: {printable(p.message)}" for p in report.problems]
    lines += [summary_line(report)] if numbers else []
    return "".join(f"{line}\n" for line in lines)
