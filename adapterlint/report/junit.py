"""JUnit's XML, as test reports of CI systems read it: a suite an adapter, a case a finding."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from adapterlint.formats import Format
from adapterlint.report.context import Context
from adapterlint.report.model import Problem, Report, ReportedFinding
from adapterlint.report.plain import adapters, remarks
from adapterlint.report.text import status, where
from adapterlint.words import printable, shortened

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def junit(report: Report, context: Context) -> str:
    """Findings that make the run fail are failures, others are passed cases with a word; a clean adapter passes."""
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    top = Element("testsuites", name="adapterlint")
    judged = (a for a in report.adapters if a.format == Format.PEFT)
    groups: dict[str, list[ReportedFinding]] = {printable(a.path): [] for a in judged}
    for finding in report.findings:
        groups.setdefault(adapters(finding), []).append(finding)
    for name, findings in groups.items():
        suite = SubElement(top, "testsuite", name=name)
        seen: Counter[str] = Counter()
        for finding in findings:
            _finding(suite, name, finding, context, seen)
        if not findings:
            SubElement(suite, "testcase", classname=name, name="check")
    if report.problems:
        suite = SubElement(top, "testsuite", name="adapterlint")
        for number, problem in enumerate(report.problems, 1):
            _problem(suite, problem, number)
    for suite in top:
        _count(suite)
    _count(top)
    indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(top, encoding="unicode")}\n'


def _finding(suite: Element, group: str, finding: ReportedFinding, context: Context, seen: Counter[str]) -> None:
    from xml.etree.ElementTree import SubElement

    about = printable(shortened(finding.pointer or finding.tensor or "", 160))
    name = f"{finding.rule} {about}".rstrip()
    seen[name] += 1
    if seen[name] > 1:  # of two cases of one name, readers drop one
        name += f" ({seen[name]})"
    case = SubElement(suite, "testcase", classname=group, name=name, file=printable(context.shown(finding.file)))
    if finding.location:
        case.set("line", str(finding.location.line))
    told = "\n".join([f"{where(finding)}: {printable(finding.message)}", *remarks(finding)])
    if finding.code == "LNT101":
        SubElement(case, "error", type=finding.code, message=printable(finding.message)).text = told
    elif finding.severity.rank <= context.fail_on.rank:
        SubElement(case, "failure", type=finding.severity.value, message=printable(finding.message)).text = told
    else:
        SubElement(case, "system-out").text = f"{finding.severity.value}: {told}"


def _problem(suite: Element, problem: Problem, number: int) -> None:
    from xml.etree.ElementTree import SubElement

    place = printable(problem.place)
    case = SubElement(
        suite, "testcase", classname="adapterlint", name=f"{status(problem)} {number}: {place}".rstrip(": ")
    )
    SubElement(case, "error" if problem.fatal else "skipped", message=printable(problem.message))


def _count(element: Element) -> None:
    element.set("tests", str(sum(1 for _ in element.iter("testcase"))))
    for attribute, tag in _COUNTED.items():
        element.set(attribute, str(sum(1 for _ in element.iter(tag))))
