"""GitLab's Code Quality report."""

from __future__ import annotations

from adapterlint.report.context import Context
from adapterlint.report.json_text import dumped
from adapterlint.report.model import Report
from adapterlint.report.plain import remarks
from adapterlint.severity import Severity
from adapterlint.words import printable

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "info"}


def gitlab(report: Report, context: Context) -> str:
    """One object a finding. GitLab wants a line of each; where none is known it is the first."""
    findings = report.findings
    return dumped(
        [
            {
                "description": "; ".join([printable(finding.message), *remarks(finding)]),
                "check_name": finding.rule,
                "fingerprint": identity,
                "severity": _SEVERITIES[finding.severity],
                "location": {
                    "path": context.shown(finding.file),
                    "lines": {
                        "begin": finding.location.line if finding.location else 1,
                        "end": finding.location.end_line if finding.location else 1,
                    },
                },
            }
            for finding, identity in zip(findings, context.identities(findings), strict=True)
        ]
    )
