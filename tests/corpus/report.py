"""Write all findings on a folder of real adapters, by rule, so that a change in the rules shows as a diff.

python tests/corpus/report.py CORPUS > tests/corpus/findings.txt
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path

from adapterlint import check
from adapterlint.report.model import Report
from adapterlint.words import printable


def by_rule(report: Report) -> str:
    """The findings as lines under a heading a rule."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for finding in report.findings:
        where = finding.file + (finding.pointer or "") + (f" {finding.tensor}" if finding.tensor else "")
        groups[finding.code, finding.rule].append(f"    {finding.severity.value:<7} {where}: {finding.message}")
    lines = [f"{report.summary.adapters} adapters, {len(report.findings)} findings"]
    for (code, rule), found in sorted(groups.items()):
        lines += ["", f"{code} {rule}: {len(found)}", *sorted(found)]
    return "".join(printable(line) + "\n" for line in lines)


def main() -> None:
    os.chdir(sys.argv[1])  # so that the paths in the report are those of the corpus
    sys.stdout.write(by_rule(check(sorted(p.name for p in Path().iterdir() if p.is_dir()))))


if __name__ == "__main__":
    main()
