"""What was recognised, in words; with a report, whether the causes are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapterlint.explain.known import Known
from adapterlint.report.model import Report, ReportedFinding
from adapterlint.report.text import where
from adapterlint.words import counted, printable

MAX_TOLD = 5  # findings of one cause that are told


def told(found: Sequence[Known], codes: Mapping[str, str], report: Report | None = None) -> str:
    """A paragraph for each text: what it means, the rules that find the cause, the remedy.

    Args:
        found: What was recognised.
        codes: Name of a rule -> its code.
        report: What these rules found in the adapters that are at hand.
    """
    return "\n\n".join("\n".join(_paragraph(known, codes, report)) for known in found) + "\n"


def causes(known: Known, report: Report) -> list[ReportedFinding]:
    """The findings of a report that are causes of a text."""
    return [f for f in report.findings if f.rule in known.rules]


def _paragraph(known: Known, codes: Mapping[str, str], report: Report | None) -> Iterator[str]:
    yield f"{known.said_by}: {known.texts[0].replace('<>', '…')}"
    yield f"  means: {known.means}."
    rules = ", ".join(f"{name} ({codes[name]})" for name in known.rules if name in codes)
    yield f"  rules: {rules}" if rules else "  rules: none finds this"
    yield f"  remedy: {known.remedy}."
    if report is not None and rules:
        yield from _there(causes(known, report), report)


def _there(findings: Sequence[ReportedFinding], report: Report) -> Iterator[str]:
    if not findings:
        looked = counted(report.summary.adapters, "adapter") if report.summary.adapters else ""
        yield f"  there: no cause found in {looked}" if looked else "  there: no PEFT adapter found"
    for finding in findings[:MAX_TOLD]:
        yield f"  there: {where(finding)}: {finding.severity.value}[{finding.code}] {printable(finding.message)}"
    if len(findings) > MAX_TOLD:
        yield f"  there: {counted(len(findings) - MAX_TOLD, 'more finding')}; see `adapterlint check`"
