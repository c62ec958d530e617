"""A table for a job summary of GitHub Actions, or a comment: one row a finding, the worst first, of bounded size."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint.markdown import code, prose, table
from adapterlint.report.model import Report, ReportedFinding
from adapterlint.report.text import commits, status, summary_line
from adapterlint.words import shortened

# GitHub takes comments of 65,536 characters and job summaries of 1 MiB; the rest is for the last sentence.
MAX_BYTES = 60_000
MAX_CELL = 400  # characters of a message


def markdown(report: Report) -> str:
    """The numbers, a table of findings, and what could not be judged; what does not fit is counted."""
    worst = sorted(report.findings, key=lambda f: f.severity.rank)
    told = [f"- **{status(p)}** {code(shortened(p.place, 160))}: {_said(p.message)}" for p in report.problems]
    problems = _fitting(told, MAX_BYTES // 4)
    head, *rows = table(("", "where", "what", "rule"), (list(_cells(finding)) for finding in worst))
    found = _fitting(rows, MAX_BYTES * 3 // 4)
    parts = [f"### adapterlint: {prose(summary_line(report))}"]
    parts += ["\n".join([head, *found])] if worst else []
    parts += ["\n".join(problems)] if problems else []
    judged = [f"- {prose(line)}" for line in commits(report)]
    parts += ["\n".join(judged)] if judged else []
    left_out = len(rows) - len(found) + len(told) - len(problems)
    parts += [f"…and {left_out:,} more; other formats have all."] if left_out else []
    return "\n\n".join(parts) + "\n"


def _cells(finding: ReportedFinding) -> Iterator[str]:
    place = f":{finding.location.line}" if finding.location else ""
    yield finding.severity.value
    yield code(shortened(finding.file, 160) + place) + (
        f" tensor {code(shortened(finding.tensor, 120))}" if finding.tensor else ""
    )
    yield _said(finding.message) + (f". {_said(finding.help)}" if finding.help else "")
    yield f"{code(finding.rule)} {finding.code}"


def _said(text: str) -> str:
    return prose(shortened(" ".join(text.split()), MAX_CELL))


def _fitting(lines: list[str], left: int) -> list[str]:
    """The first lines of which the bytes are not more than what is left."""
    for number, line in enumerate(lines):
        left -= len(line.encode()) + 1
        if left < 0:
            return lines[:number]
    return lines
