"""How often each rule found something: what to look at first where there is much."""

from __future__ import annotations

from collections import Counter

from adapterlint.report.model import Report
from adapterlint.report.text import summary_line


def statistics(report: Report) -> str:
    """A line a rule and severity, the most frequent first, then the numbers."""
    counts = Counter((f.code, f.rule, f.severity.value) for f in report.findings)
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    number = max((len(f"{n:,}") for n in counts.values()), default=0)
    name = max((len(rule) for _, rule, _ in counts), default=0)
    lines = [f"{n:>{number},}  {code}  {rule:<{name}}  {severity}" for (code, rule, severity), n in most]
    return "\n".join([*lines, summary_line(report)]) + "\n"
