"""The output formats by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapterlint.report.concise import concise
from adapterlint.report.context import Context
from adapterlint.report.github import github
from adapterlint.report.gitlab import gitlab
from adapterlint.report.json_text import json_lines, json_report
from adapterlint.report.junit import junit
from adapterlint.report.markdown import markdown
from adapterlint.report.model import Report
from adapterlint.report.sarif import sarif
from adapterlint.report.statistics import statistics
from adapterlint.report.text import text

FORMATS: Mapping[str, Callable[[Report, Context], str]] = {
    "text": lambda report, context: text(report, color=context.color, numbers=context.numbers),
    "concise": lambda report, context: concise(report, numbers=context.numbers),
    "json": lambda report, _: json_report(report),
    "jsonl": lambda report, _: json_lines(report),
    "sarif": sarif,
    "github": github,
    "gitlab": gitlab,
    "junit": junit,
    "markdown": lambda report, _: markdown(report),
    "statistics": lambda report, _: statistics(report),
}
"""Every format takes the report and what else it needs."""
