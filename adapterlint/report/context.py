"""What a format needs besides the report: where the repository begins, the rules, what counts as failed."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from adapterlint.lint.rule import Rule
from adapterlint.report.model import ReportedFinding
from adapterlint.severity import Severity
from adapterlint.sources.hub import is_hub


@dataclass(frozen=True, slots=True)
class Context:
    """What a format needs besides the report.

    Args:
        color: Whether it may use colour.
        numbers: Whether formats for people end with the numbers.
        rules: The rules, of which some formats carry the pages.
        fail_on: The severity from which on a finding makes the run fail.
        folder: The absolute folder to which the paths in the report are relative.
        root: The absolute folder to which paths in repositories are relative: `folder`, or one above it.
    """

    color: bool = False
    numbers: bool = True
    rules: tuple[Rule, ...] = ()
    fail_on: Severity = Severity.ERROR
    folder: str = "/"
    root: str = "/"

    def in_repository(self, path: str) -> str | None:
        """A path of the report as it is relative to the root, or `None` for what is not below it."""
        whole = self.absolute(path)
        above = self.root.rstrip("/") + "/"
        return whole.removeprefix(above) if whole.startswith(above) else None

    def absolute(self, path: str) -> str:
        """A path of the report in full; links are not followed, and what is on the Hub stays as it is."""
        return path if is_hub(path) else os.path.normpath(os.path.join(self.folder, path))

    def shown(self, path: str) -> str:
        """A path of the report as tools that know the repository take it."""
        return self.in_repository(path) or self.absolute(path)

    def identities(self, findings: Iterable[ReportedFinding]) -> Iterator[str]:
        """For each finding what is the same from run to run and no other finding of the report has.

        `fingerprint` leaves out where an adapter lies; a repository may have it in several places.
        """
        seen: Counter[str] = Counter()
        for finding in findings:
            about = f"{self.shown(finding.file)}\0{finding.fingerprint}"
            identity = hashlib.sha256(about.encode()).hexdigest()[:20]
            seen[identity] += 1
            yield f"{identity}:{seen[identity]}"


def root_of(folder: str) -> str:
    """The folder of the git repository that `folder` is in, or `folder` itself."""
    above = folder
    while not os.path.exists(os.path.join(above, ".git")):
        parent = os.path.dirname(above)
        if parent == above:
            return folder
        above = parent
    return above
