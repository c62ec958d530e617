"""The findings of a run as they come in: reported, or set aside by the settings or by a baseline."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from adapterlint.lint.baseline import Baseline, Entry
from adapterlint.lint.baseline_use import Use, read_baseline, use
from adapterlint.lint.covered import Covered, Root
from adapterlint.lint.engine import Engine, Found
from adapterlint.lint.fleet import Fleet
from adapterlint.lint.run import Run, Stale, Unused
from adapterlint.lint.select import Ignored, Selection
from adapterlint.lint.unused import unused
from adapterlint.place import Place
from adapterlint.report.draw import draw
from adapterlint.report.entries import entry_of
from adapterlint.report.model import ReportedFinding
from adapterlint.settings import Settings

Rewrite = Literal["prune", "write"]


class Tally:
    """What adapters and fleets gave, one after the other.

    Args:
        chosen: The rules, and what the settings ignore.
        settings: The settings.
        rewrite: What the caller will do with the baseline, as for `adapterlint.api.run`.

    Attributes:
        suppressed: How many findings are set aside.

    Raises:
        BaselineError: The baseline cannot be read; one that is to be written need not be there.
    """

    def __init__(self, chosen: Selection, settings: Settings, rewrite: Rewrite | None = None) -> None:
        self.suppressed = 0
        self._chosen, self._settings, self._rewrite = chosen, settings, rewrite
        self._drawn: list[ReportedFinding] = []
        self._entries: list[Entry] = []
        self._used: set[Ignored] = set()
        self._names: dict[str, frozenset[str]] = {}
        file = settings.baseline
        self._root = Root.of(os.path.dirname(file)) if file is not None else None
        self._baseline = _read(file, rewrite) if file is not None else None

    def name(self, fleets: Iterable[Fleet]) -> None:
        """Take the names that adapters have in their fleets, of which messages about fleets are full."""
        for fleet in fleets if self._root is not None else ():
            names = frozenset(member.name for member in fleet.members)
            self._names |= {member.path: self._names.get(member.path, names) | names for member in fleet.members}

    def add(self, found: Iterable[Found], concerned: tuple[str, ...]) -> None:
        """Take what one adapter or one fleet gave, the worst first."""
        kept: list[tuple[ReportedFinding, Found]] = []
        for one in found:
            adapters = one.finding.adapters or concerned
            ignored = self._chosen.ignored_by(one.rule.code, (one.finding.at.file, *adapters))
            if ignored:
                self.suppressed += 1
                self._used.update(ignored)
                continue
            kept.append((self._draw(one, adapters), one))
        kept.sort(key=lambda pair: pair[0].severity.rank)
        self._drawn += [drawn for drawn, _ in kept]
        if self._root is not None:
            self._entries += [entry_of(drawn, one, self._root, self._names) for drawn, one in kept]

    def settled(self, engine: Engine, walked: Sequence[str]) -> tuple[list[ReportedFinding], Use | None]:
        """What is reported when everything has been looked at, and what the baseline was for it.

        Args:
            engine: The engine, after its work.
            walked: The folders that were walked down.
        """
        used = None
        if self._baseline is not None and self._root is not None:
            covered = self._covered(engine, walked, self._root)
            used = use(self._baseline, self._entries, self._root, covered, self._settings.peft)
            aside = set(range(len(self._drawn)) if self._rewrite == "write" else used.pairs)
            self._drawn = [drawn for i, drawn in enumerate(self._drawn) if i not in aside]
            self.suppressed += len(aside)
        found = engine.check_run(Run(tuple(self._stale(used)), tuple(self._unused(engine, walked))))
        return [*self._drawn, *(self._draw(one, ()) for one in found)], used

    def _draw(self, one: Found, adapters: Sequence[str]) -> ReportedFinding:
        return draw(
            one, self._chosen.severity.get(one.rule.code) or one.finding.severity or one.rule.severity, adapters
        )

    def _stale(self, used: Use | None) -> Iterator[Stale]:
        if used is not None and self._rewrite is None:
            yield from used.told(self._settings.baseline or "")

    def _unused(self, engine: Engine, walked: Sequence[str]) -> Iterator[Unused]:
        if self._chosen.ignores:
            file, ignores = self._settings.file, self._settings.per_file_ignores
            root = Root.of(os.path.dirname(file or ""))
            covered = self._covered(engine, walked, root)
            reasons = {pattern: ignore.reason for pattern, ignore in ignores.items()}
            yield from unused(self._chosen, self._used, covered, root, reasons, Place(file or "settings"))

    def _covered(self, engine: Engine, walked: Sequence[str], root: Root) -> Covered:
        return Covered(
            rules={rule.code: rule for rule in engine.rules},
            folders=[root.absolute(path) for path in walked],
            exclude=self._settings.exclude,
            adapters={root.absolute(path): inputs for path, inputs in engine.evidence.items()},
            fleets=[(frozenset(map(root.absolute, paths)), base) for paths, base in engine.fleets],
        )


def _read(file: str, rewrite: Rewrite | None) -> Baseline:
    if rewrite == "write" and not os.path.lexists(file):
        return Baseline()
    return read_baseline(file)
