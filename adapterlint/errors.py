"""The errors adapterlint raises; each carries the place it speaks of."""

from __future__ import annotations


class AdapterlintError(Exception):
    """Something that could not be done, told in one sentence.

    Args:
        message: One sentence without a full stop.
        place: What the sentence is about: a path, a setting, a rule; `None` if it is about nothing in particular.
    """

    def __init__(self, message: str, *, place: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class PartlyKnown(AdapterlintError):
    """Something that was not, or not wholly, read, and that a run can do without: it goes on with what it has."""
