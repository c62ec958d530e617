"""A finding in lines without markup, for formats that take a text."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint.report.model import ReportedFinding
from adapterlint.words import printable, shortened


def remarks(finding: ReportedFinding) -> Iterator[str]:
    """What there is to say besides the message: the tensor, the remedy, the releases, the adapters concerned."""
    if finding.tensor:
        yield f"tensor: {printable(shortened(finding.tensor, 160))}"
    if finding.help:
        yield f"help: {printable(finding.help)}"
    if finding.peft:
        yield f"PEFT: {finding.peft}"
    if len(finding.adapters) > 1:
        yield f"adapters: {adapters(finding)}"


def adapters(finding: ReportedFinding) -> str:
    """The adapters concerned; of more than three, two and a number."""
    names = finding.adapters
    if len(names) > 3:
        return printable(f"{names[0]}, {names[1]} and {len(names) - 2} more adapters")
    return printable(" + ".join(names) or finding.file)
