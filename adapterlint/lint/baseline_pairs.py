"""Which finding is which entry of the baseline: at the same place, else where the entry's place is gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

from adapterlint.formats import CONFIG
from adapterlint.lint.baseline import Entry

IsThere = Callable[[str], bool]


def paired(found: Sequence[Entry], old: Sequence[Entry], is_there: IsThere) -> dict[int, int]:
    """Findings that entries hold for, as positions in `found` -> positions in `old`; each is used once.

    First what is the same in all; then what has another place in a list of the same file; then a finding about a fleet
    of which the entry names more adapters; then whatever says the same of an adapter whose old place is gone, the most
    alike path first.

    Args:
        found: The findings of this run.
        old: The entries of the baseline.
        is_there: Whether there is a file or folder at a path that is relative to the baseline.
    """
    pairing = _Pairing(found, old)
    pairing.by(lambda e: e.exact)
    pairing.by(lambda e: (e.file, *e.loose) if not e.adapters else None)
    gone = _Gone(is_there)
    pairing.fleets(gone)
    lost = {j for j, e in pairing.old.items() if not e.adapters and gone(e.file)}
    for length in range(max((old[j].file.count("/") + 1 for j in lost), default=-1), -1, -1):
        pairing.by(lambda e, n=length: _moved(e, n), lost)  # type: ignore[misc]
    return pairing.pairs


def is_part_of(entry: Entry, found: Entry) -> bool:
    """Whether a finding says of more adapters what an entry says of some of them."""
    same = (entry.code, entry.about, entry.declared) == (found.code, found.about, found.declared)
    return same and bool(entry.adapters) and set(entry.adapters) < set(found.adapters)


class _Pairing:
    """Findings and entries that have no partner yet."""

    def __init__(self, found: Sequence[Entry], old: Sequence[Entry]) -> None:
        self.found = dict(enumerate(found))
        self.old = dict(enumerate(old))
        self.pairs: dict[int, int] = {}

    def by(self, key: Callable[[Entry], Hashable], among: set[int] | None = None) -> None:
        """Pair what has the same key, in order; a key of `None` is none."""
        waiting: dict[Hashable, list[int]] = defaultdict(list)
        for j in reversed(self.old):
            if (among is None or j in among) and (value := key(self.old[j])) is not None:
                waiting[value].append(j)
        for i, entry in list(self.found.items()) if waiting else ():
            if those := waiting.get(key(entry)):
                self.take(i, those.pop())

    def fleets(self, gone: _Gone) -> None:
        """Pair findings about fleets: all of the adapters are in the entry, or may be ones that were moved."""
        waiting: dict[tuple[str, str], list[int]] = defaultdict(list)
        for j, entry in self.old.items():
            if entry.adapters:
                waiting[entry.code, entry.about].append(j)
        for i, entry in list(self.found.items()):
            those = waiting.get((entry.code, entry.about), []) if entry.adapters else []
            fitting = [(cost, j) for j in those if (cost := _difference(entry, self.old[j], gone)) is not None]
            if fitting:
                _, best = min(fitting)
                those.remove(best)
                self.take(i, best)

    def take(self, i: int, j: int) -> None:
        self.pairs[i] = j
        del self.found[i], self.old[j]


class _Gone:
    """What is no longer there; each path is asked for once."""

    def __init__(self, is_there: IsThere) -> None:
        self._is_there = is_there
        self._known: dict[str, bool] = {}

    def __call__(self, path: str) -> bool:
        if path not in self._known:
            self._known[path] = not self._is_there(path)
        return self._known[path]


def _difference(found: Entry, old: Entry, gone: _Gone) -> tuple[int, int] | None:
    """How many adapters are new to an entry, and how many it has besides; `None` if they cannot be its own."""
    if found.declared and not old.declared:
        return None  # it was advice, and is in the way of what somebody does now
    new, rest = set(found.adapters) - set(old.adapters), set(old.adapters) - set(found.adapters)
    return (len(new), len(rest)) if len(new) <= sum(gone(f"{path}/{CONFIG}") for path in rest) else None


def _moved(entry: Entry, length: int) -> Hashable:
    """What says the same with the same end of the path: some of its last components."""
    parts = entry.file.split("/")
    if entry.adapters or len(parts) < length:
        return None
    return tuple(parts[len(parts) - length :]), entry.loose
