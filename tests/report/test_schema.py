"""The published JSON Schemas are those of what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from adapterlint import compat
from adapterlint.compatibility import Compatibility
from adapterlint.lint.example import Patch
from adapterlint.report.model import Report

SCHEMA = Path(__file__).parents[2] / "adapterlint" / "report" / "schema.json"
OF_COMPAT = SCHEMA.with_name("compat_schema.json")


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


def test_the_published_schema_of_compat_is_its_own() -> None:
    assert json.loads(OF_COMPAT.read_text()) == Compatibility.model_json_schema(mode="serialization")


@pytest.mark.parametrize("config", [{"use_qalora": True}, {"r": 0}, {"peft_type": "BONE"}])
def test_what_compat_writes_is_as_its_schema_says(config: dict[str, object]) -> None:
    """Verdicts that are right, that drop what matters, and that raise."""
    schema = json.loads(OF_COMPAT.read_text())
    Draft202012Validator.check_schema(schema)
    written = json.loads(compat(Patch(config).adapter(), releases=["0.18"]).model_dump_json())
    Draft202012Validator(schema).validate(written)
    assert (
        {"schema", "version", "releases", "named", "adapters", "problems"} == set(written) == set(schema["properties"])
    )
    verdict = schema["$defs"]["ReleaseVerdict"]["properties"]
    assert {"verdict", "right", "error", "dropped", "lost", "forward", "effective"} <= set(verdict)
