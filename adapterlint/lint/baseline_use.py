"""A baseline set against a run: what it sets aside, what of it no longer holds, and what it is afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from adapterlint.files.json_text import Span
from adapterlint.lint.baseline import MAX_BYTES, Baseline, BaselineError, Entry, parse
from adapterlint.lint.baseline_pairs import is_part_of, paired
from adapterlint.lint.covered import Covered, Root
from adapterlint.lint.run import Stale
from adapterlint.peft.releases import NEWEST, newest_patch
from adapterlint.place import Place


@dataclass(frozen=True, slots=True)
class Use:
    """What a baseline is for a run.

    Args:
        baseline: The baseline as it was.
        found: The findings of the run.
        pairs: Positions in `found` -> positions of the entries that set them aside.
        stale: Positions of the entries that no longer hold.
        peft: The releases of PEFT that the run asked for.
    """

    baseline: Baseline
    found: tuple[Entry, ...]
    pairs: Mapping[int, int]
    stale: tuple[int, ...]
    peft: tuple[str, ...] = ()

    def pruned(self) -> Baseline:
        """The baseline without what no longer holds; what was moved is where it is now."""
        old = self.baseline.entries
        now = {j: self.found[i] for i, j in self.pairs.items() if self.found[i].exact != old[j].exact}
        kept = [now.get(j, entry) for j, entry in enumerate(old) if j not in set(self.stale)]
        return Baseline(tuple(kept), peft=self.baseline.peft)

    def rewritten(self) -> Baseline:
        """All findings of the run, and the entries of which it could not say whether they hold."""
        settled = {*self.stale, *self.pairs.values()}
        unknown = [entry for j, entry in enumerate(self.baseline.entries) if j not in settled]
        return Baseline((*self.found, *unknown), peft=self.peft)

    def told(self, file: str) -> Iterator[Stale]:
        """The stale entries with their lines in the file of the baseline."""
        for j in self.stale:
            line = self.baseline.lines[j]
            yield Stale(self.baseline.entries[j], Place(file, span=Span(line, 1, line, 1)))


def use(baseline: Baseline, found: Sequence[Entry], root: Root, covered: Covered, peft: Sequence[str] = ()) -> Use:
    """Set a baseline against what a run has found.

    An entry is stale if no finding needs it though the run would have found again what it is about: its rule ran on its
    adapters, with a base if there was one then, and for all releases that the baseline was written for.

    Args:
        baseline: The baseline.
        found: The findings of the run, with paths relative to the root.
        root: The folder of the baseline.
        covered: What the run has looked at.
        peft: The releases of PEFT that it asked for.
    """
    pairs = paired(found, baseline.entries, lambda path: os.path.lexists(root.join(path)))
    new = [entry for i, entry in enumerate(found) if i not in pairs]
    held = set(pairs.values())
    stale = [
        j
        for j, entry in enumerate(baseline.entries)
        if j not in held and _was_asked(entry, root, covered) and not any(is_part_of(entry, one) for one in new)
    ]
    if not _releases(baseline.peft) <= _releases(peft):
        stale = []
    return Use(baseline, tuple(found), pairs, tuple(stale), tuple(peft))


def _was_asked(entry: Entry, root: Root, covered: Covered) -> bool:
    """Whether a run would have found what an entry is about, if it still were so."""
    if entry.adapters:
        return covered.ran_together(entry.code, map(root.join, entry.adapters), base=entry.base)
    path = root.join(entry.file)
    if not covered.ran(entry.code, path):
        return False
    return covered.adapter_of(path) is None or covered.had_base(entry.code, path) == entry.base


def _releases(peft: Iterable[str]) -> set[str]:
    return {newest_patch(release) for release in peft} or {NEWEST}


def read_baseline(file: str) -> Baseline:
    """Read the baseline in a file.

    Raises:
        BaselineError: There is no such file, or it is no baseline.
    """
    try:
        with open(file, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise BaselineError(error.strerror or "It cannot be read", place=file) from None
    except ValueError:
        raise BaselineError("This is not a path", place=file) from None
    if len(content) > MAX_BYTES:
        raise BaselineError(f"This is no baseline: it has more than {MAX_BYTES // 2**20} MB", place=file)
    return parse(content, file)
