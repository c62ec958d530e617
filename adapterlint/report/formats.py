"""The output formats by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapterlint.report.concise import concise
from adapterlint.report.model import Report
from adapterlint.report.text import text


def json(report: Report) -> str:
    """The report as JSON, as `schema.json` describes it; all ASCII, so that a terminal obeys nothing in it."""
    from json import dumps

    return dumps(report.model_dump(mode="json"), indent=2).replace("\x7f", "\\u007f") + "\n"


# Every format takes the report and whether it may use colour.
FORMATS: Mapping[str, Callable[[Report, bool], str]] = {
    "text": lambda report, color: text(report, color=color),
    "concise": lambda report, color: concise(report),
    "json": lambda report, color: json(report),
}
