"""What a run itself came to, for the rules about the linter: what the settings set aside and nothing needs."""

from __future__ import annotations

from dataclasses import dataclass

from adapterlint.lint.baseline import Entry
from adapterlint.place import Place


@dataclass(frozen=True, slots=True)
class Stale:
    """An entry of the baseline that no finding needs, though its rule has looked at its place.

    Args:
        at: Its line.
    """

    entry: Entry
    at: Place


@dataclass(frozen=True, slots=True)
class Unused:
    """Labels of `per-file-ignores` that set nothing aside, though their rules have looked at what the pattern means.

    Args:
        pattern: The pattern they stand under.
        labels: The labels, as they are written.
        whole: Whether these are all labels of the pattern.
        reason: Why they are there, if the settings say so.
        at: The settings file.
    """

    pattern: str
    labels: tuple[str, ...]
    whole: bool
    reason: str | None
    at: Place


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to."""

    stale: tuple[Stale, ...] = ()
    unused: tuple[Unused, ...] = ()
