"""JSON that a terminal can be shown: all ASCII, so that it obeys nothing in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from adapterlint.report.model import Report


def dumped(value: Any, *, indent: int | None = 2) -> str:
    """A value as JSON in ASCII."""
    return json.dumps(value, indent=indent) + "\n"


def json_report(report: Report) -> str:
    """The report as JSON, as `schema.json` describes it."""
    return dumped(report.model_dump(mode="json"))


def json_lines(report: Report) -> str:
    """The same in lines, each an object with its `kind`: the run, then findings, problems and adapters."""
    return "".join(dumped(line, indent=None) for line in _lines(report.model_dump(mode="json")))


def _lines(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"kind": "run", **{key: report[key] for key in ("schema", "version", "summary")}}
    for kind in ("finding", "problem", "adapter"):
        yield from ({"kind": kind, **one} for one in report[f"{kind}s"])
