"""SARIF 2.1.0, with what GitHub's code scanning wants of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from adapterlint.lint.page import page, page_markdown
from adapterlint.lint.rule import FAMILIES, Rule
from adapterlint.report.context import Context
from adapterlint.report.json_text import dumped
from adapterlint.report.model import Report, ReportedFinding
from adapterlint.report.plain import remarks
from adapterlint.severity import Severity
from adapterlint.sources.hub import is_hub
from adapterlint.words import printable, shortened

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
MAX_DESCRIPTION = 1000  # characters; GitHub takes 1024

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_SEVERITIES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}
_CRASH = "LNT101"  # tells of the tool, not of an artifact


def sarif(report: Report, context: Context) -> str:
    """One run. Rules come with their pages; what the linter could not do is told as notifications.

    Every result has a line, as code scanning demands; where none is known (a tensor, a whole file) it is the first, and
    the property `locationKnown` of the result is false.
    """
    findings = [f for f in report.findings if f.code != _CRASH]
    rules = [*map(_rule, context.rules), *_unknown_rules(context.rules, findings)]
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    identities = context.identities(findings)
    run = {
        "tool": {"driver": {"name": "adapterlint", "version": report.version, "rules": rules}},
        "invocations": [_invocation(report)],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(f, index[f.code], one, context) for f, one in zip(findings, identities, strict=True)],
    }
    return dumped({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(rule: Rule) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "tags": [FAMILIES[rule.family], *(["security"] if rule.family == "SEC" else [])],
        "problem.severity": _SEVERITIES[rule.severity],
        "precision": "high",
        "since": rule.since,
        "reads": list(rule.inputs),
    }
    if rule.peft is not None:
        properties["peft"] = str(rule.peft)
    if rule.types is not None:
        properties["types"] = sorted(rule.types)
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": _sentence(rule.title)},
        "fullDescription": {"text": _sentence(shortened(" ".join(rule.manual.split()), MAX_DESCRIPTION))},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "help": {"text": page(rule, told=False), "markdown": page_markdown(rule, told=False)},
        "properties": properties,
    }


def _unknown_rules(rules: Sequence[Rule], findings: Sequence[ReportedFinding]) -> Iterator[dict[str, Any]]:
    """What findings of the linter itself are of, which no file of rules describes."""
    known = {rule.code for rule in rules}
    for code, name in sorted({(f.code, f.rule) for f in findings if f.code not in known}):
        text = {"text": _sentence(name.replace("-", " ").capitalize())}
        yield {"id": code, "name": name, "shortDescription": text, "fullDescription": text, "help": text}


def _result(finding: ReportedFinding, index: int, identity: str, context: Context) -> dict[str, Any]:
    properties: dict[str, Any] = {"locationKnown": finding.location is not None, "adapters": list(finding.adapters)}
    if finding.peft:
        properties["peft"] = finding.peft
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": _message(finding)},
        "locations": [_location(finding, context)],
        # Code scanning goes by the first alone, and would take it from the line, which is no help in weights.
        "partialFingerprints": {"primaryLocationLineHash": identity, "adapterlint/v1": finding.fingerprint},
        "properties": properties,
    }


def _message(finding: ReportedFinding) -> str:
    """The message as the first sentence, which is what lists show; brackets are to make no link."""
    told = [_sentence(printable(finding.message)), *remarks(finding)]
    return "\n".join(told).replace("](", "] (")


def _location(finding: ReportedFinding, context: Context) -> dict[str, Any]:
    place = finding.location
    region = {"startLine": 1}
    if place is not None:
        region = {
            "startLine": place.line,
            "startColumn": place.column,
            "endLine": place.end_line,
            "endColumn": place.end_column,
        }
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": _artifact(finding.file, context), "region": region}
    }
    if finding.tensor is not None:
        location["logicalLocations"] = [{"fullyQualifiedName": printable(finding.tensor), "kind": "tensor"}]
    elif finding.pointer:
        location["logicalLocations"] = [{"fullyQualifiedName": printable(finding.pointer), "kind": "value"}]
    return location


def _artifact(path: str, context: Context) -> dict[str, str]:
    inside = context.in_repository(path)
    if inside is not None:
        return {"uri": quote(inside), "uriBaseId": ROOT}
    whole = context.absolute(path)
    return {"uri": quote(whole, safe="/:") if is_hub(whole) else "file://" + quote(whole)}


def _invocation(report: Report) -> dict[str, Any]:
    notes = [
        {"level": "error" if p.fatal else "note", "message": {"text": _sentence(printable(f"{p.place}: {p.message}"))}}
        for p in report.problems
    ]
    notes += [
        {"level": "error", "message": {"text": _sentence(printable(f.message))}, "descriptor": {"id": f.code}}
        for f in report.findings
        if f.code == _CRASH
    ]
    done = all(note["level"] != "error" for note in notes)
    return {"executionSuccessful": done, **({"toolExecutionNotifications": notes} if notes else {})}


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
