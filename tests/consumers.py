"""Those for whom the formats are made: published schemas, readers that others wrote, readers made from documents.

Nothing here uses code of adapterlint: what it reads is what a pipeline would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cmarkgfm
from cmarkgfm.cmark import Options
from jsonschema import Draft202012Validator
from junitparser import JUnitXml, TestCase, TestSuite
from sarif_kit.validate import validation_errors

SCHEMA = json.loads((Path(__file__).parents[1] / "adapterlint" / "report" / "schema.json").read_text())


# SARIF: the schema of OASIS as the package `sarif-kit` has it, and what GitHub's documentation marks as required.


def sarif(text: str) -> dict[str, Any]:
    """The run of a log that code scanning would take."""
    log: dict[str, Any] = json.loads(text)
    assert validation_errors(log) == []
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert all(rule[key]["text"] for key in ("shortDescription", "fullDescription", "help"))
        assert all(len(rule[key]["text"]) <= 1024 for key in ("shortDescription", "fullDescription"))
        assert len(rule["name"]) <= 255
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"]["uri"]
        assert physical["region"]["startLine"] >= 1
    prints = [(r["ruleId"], r["partialFingerprints"]["primaryLocationLineHash"]) for r in run["results"]]
    assert len(set(prints)) == len(prints), "two results would become one alert"
    return dict(run)


# GitHub's annotations: the grammar of the runner (actions/runner, ActionCommand: TryParseV2) and of the documentation.


@dataclass(frozen=True)
class Command:
    name: str
    data: str
    properties: Mapping[str, str] = field(default_factory=dict)


def runner_command(line: str) -> Command | None:
    """What the runner makes of a line of output."""
    line = line.lstrip()
    if not line.startswith("::") or "::" not in line[2:]:
        return None
    info, data = line[2:].split("::", 1)
    name, _, rest = info.partition(" ")
    pairs = (one.split("=", 1) for one in rest.strip().split(",") if one)
    return Command(name, unescaped(data, "\r\n%"), {k: unescaped(v, "\r\n:,%") for k, v in (p for p in pairs if p[1:])})


def unescaped(text: str, characters: str) -> str:
    for character in characters:  # in this order, the sign itself last
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def github(text: str) -> list[Command]:
    """The annotations; the last line is for people, and no command."""
    *lines, last = text.removesuffix("\n").split("\n")
    assert runner_command(last) is None
    assert "##[" not in last
    commands = [runner_command(line) for line in lines]
    found = [one for one in commands if one is not None]
    assert len(found) == len(lines)
    for one in found:
        assert one.name in ("error", "warning", "notice")
        assert set(one.properties) <= {"file", "line", "endLine", "col", "endColumn", "title"}
        assert one.data
        numbers = {k: int(one.properties[k]) for k in ("line", "endLine", "col", "endColumn") if k in one.properties}
        assert all(n >= 1 for n in numbers.values())
        assert numbers.get("line", 1) <= numbers.get("endLine", 1)
        assert "col" not in numbers or numbers["line"] == numbers["endLine"], "columns of several lines are refused"
    return found


# GitLab's Code Quality: the format as its documentation has it.

CODE_QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "minLength": 1},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    # relative to the repository, and not with a leading ./
                    "path": {"type": "string", "minLength": 1, "not": {"pattern": r"^\./"}},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                    },
                },
            },
        },
    },
}


def gitlab(text: str) -> list[dict[str, Any]]:
    """The entries; the file has no byte order mark, which GitLab refuses."""
    assert text[0] == "["
    entries: list[dict[str, Any]] = json.loads(text)
    Draft202012Validator(CODE_QUALITY).validate(entries)
    assert len({one["fingerprint"] for one in entries}) == len(entries)
    return entries


# JUnit: the package `junitparser`, and that GitLab and Jenkins keep one of two cases of one name.


def junit(text: str) -> list[TestCase]:
    """All cases."""
    tree = JUnitXml.fromstring(text.encode())
    cases: list[TestCase] = []
    for suite in tree:
        assert isinstance(suite, TestSuite)
        inside = list(suite)
        assert all(isinstance(case, TestCase) and case.name and case.classname for case in inside)
        numbers = (suite.tests, suite.failures, suite.errors, suite.skipped)
        suite.update_statistics()
        assert numbers == (suite.tests, suite.failures, suite.errors, suite.skipped)
        cases += inside
    assert (tree.tests, tree.failures) == (len(cases), sum(is_a(c, "failure") for c in cases))
    assert len({(c.classname, c.name) for c in cases}) == len(cases)
    return cases


def is_a(case: TestCase, kind: str) -> bool:
    """Whether a case is a `failure`, an `error` or `skipped`."""
    return any(type(result).__name__.lower() == kind for result in case.result)


# Markdown: GitHub's own parser, which `cmarkgfm` binds; raw HTML is let through, so that it would be seen.

TAGS = {"h1", "h2", "h3", "p", "ul", "li", "strong", "code", "table", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """The tags of a page, its cells as texts, and its text."""

    def __init__(self, source: str, allowed: set[str]) -> None:
        super().__init__()
        self.allowed = allowed
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.code: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(cmarkgfm.github_flavored_markdown_to_html(source, options=Options.CMARK_OPT_UNSAFE))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.allowed, f"<{tag}> is not among {self.allowed}"
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "code":
            self.code.append("")
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        if "code" in self.open:
            self.code[-1] += data
        if {"h1", "h2", "h3"} & set(self.open):
            self.headings[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"raw HTML: {data}")

    handle_decl = handle_pi = unknown_decl = handle_comment


def markdown(text: str) -> Page:
    """The page as GitHub draws it; it fits into a comment, and nothing in it is a link or HTML."""
    assert len(text.encode()) <= 65_536
    page = Page(text, TAGS)
    assert all(len(row) == len(page.rows[0]) for row in page.rows)
    return page


# JSON: the published schema; each line of the other form is a part of it.


def json_report(text: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(text)
    Draft202012Validator(SCHEMA).validate(report)
    return report


PARTS = {"finding": "ReportedFinding", "problem": "Problem", "adapter": "ReportedAdapter"}


def json_lines(text: str) -> dict[str, Any]:
    """The report that the lines make, which is as the schema says."""
    head, *lines = map(json.loads, text.splitlines())
    assert head.pop("kind") == "run"
    report: dict[str, Any] = {**head, "findings": [], "problems": [], "adapters": []}
    for line in lines:
        report[line.pop("kind") + "s"].append(line)
    return json_report(json.dumps(report))


# Editors go by `file:line:column: severity[CODE] message`; the last line is the numbers.
CONCISE = re.compile(r"(?P<place>.+): (?P<severity>error|warning|info)\[(?P<code>[A-Z]{3}\d{3})\] (?P<message>.+)")


def concise(text: str) -> list[re.Match[str]]:
    """The lines of findings; the rest are problems and the numbers."""
    return [match for line in text.splitlines() if (match := CONCISE.fullmatch(line))]


def statistics(text: str) -> dict[str, int]:
    """How often each rule found something; the last line has the numbers."""
    rows = [line.split() for line in text.splitlines()[:-1]]
    return {name: int(number.replace(",", "")) for number, _, name, _ in rows}


def lines(text: str) -> Iterator[str]:
    yield from text.splitlines()


CONSUMERS: Mapping[str, Callable[[str], Any]] = {
    "text": lines,
    "concise": concise,
    "json": json_report,
    "jsonl": json_lines,
    "sarif": sarif,
    "github": github,
    "gitlab": gitlab,
    "junit": junit,
    "markdown": markdown,
    "statistics": statistics,
}
"""Each format by name with who reads it; it raises on what it cannot take."""
