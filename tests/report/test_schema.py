"""The published JSON Schema is the one of the report."""

from __future__ import annotations

import json
from pathlib import Path

from adapterlint.report.model import Report

SCHEMA = Path(__file__).parents[2] / "adapterlint" / "report" / "schema.json"


def test_the_published_schema_is_the_reports_own() -> None:
    assert json.loads(SCHEMA.read_text()) == Report.model_json_schema(mode="serialization")


def test_what_the_design_promises_is_in_it() -> None:
    definitions = json.loads(SCHEMA.read_text())
    finding = definitions["$defs"]["ReportedFinding"]["properties"]
    assert {"code", "rule", "severity", "message", "help", "adapters", "file", "pointer", "tensor", "location", "peft",
            "fingerprint", "fix"} <= set(finding)  # fmt: skip
    adapter = definitions["$defs"]["ReportedAdapter"]["properties"]
    assert {"name", "path", "peft_type", "base_model", "fleet", "footprint"} <= set(adapter)
    assert {"schema", "version", "adapters", "findings", "summary"} <= set(definitions["properties"])
