"""Regular expressions from configs: compiled as PEFT does, matched within a bound of time."""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Any

MAX_PATTERN = 20_000  # characters; longer ones are not judged
MATCH_SECONDS = 0.05  # one match; PEFT itself has no bound
PATTERN_SECONDS = 0.25  # all slow matches of one pattern in one run
SLOW_SECONDS = 0.001  # what makes a match a slow one; ordinary ones take microseconds


def compile_error(pattern: str) -> str | None:
    """Why Python's `re`, which PEFT uses, refuses a pattern, or `None` if it compiles (or is too long to try)."""
    if len(pattern) > MAX_PATTERN:
        return None
    try:
        _compiled(pattern)
    except re.error as error:
        return str(error)
    except (OverflowError, RecursionError, MemoryError) as error:
        return str(error) or "it is nested too deeply"
    return None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    # `re` warns about odd patterns (nested sets); that is nothing to tell here.
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(pattern)


class Pattern:
    """One pattern, matched with a clock: a pattern that backtracks without end must not stop the run.

    How long `re`, which PEFT uses, would take is another question: see `adapterlint.peft.backtracking`.

    Args:
        text: The regular expression.

    Attributes:
        slow: Whether a match took longer than it may; from then on every answer is `None`.
    """

    __slots__ = ("_left", "_match", "_whole", "slow")

    def __init__(self, text: str, *, whole: bool = True) -> None:
        self.slow = False
        self._whole = whole
        self._left = PATTERN_SECONDS
        self._match = self._prepare(text)

    def _prepare(self, text: str) -> Any:
        if len(text) > MAX_PATTERN or compile_error(text) is not None:
            return None
        import regex  # knows timeouts; `re` does not

        try:
            return regex.compile(text, regex.VERSION0)
        except (regex.error, RecursionError, OverflowError, MemoryError):
            return None

    def matches(self, text: str) -> bool | None:
        """Whether the pattern matches (the whole of) a text; `None` if that could not be found out in time."""
        if self._match is None or self.slow:
            return None
        started = time.monotonic()
        try:
            match = self._match.fullmatch if self._whole else self._match.match
            found: bool = match(text, timeout=MATCH_SECONDS) is not None
        except TimeoutError:
            return self._timed(text)
        return found if time.monotonic() - started < SLOW_SECONDS else self._timed(text)

    def _timed(self, text: str) -> bool | None:
        """Match once more and count the processor's time only: a busy machine makes no pattern slow."""
        started = time.thread_time()
        try:
            match = self._match.fullmatch if self._whole else self._match.match
            found = match(text, timeout=MATCH_SECONDS * 4) is not None
        except TimeoutError:
            found = None
        took = time.thread_time() - started
        if took > SLOW_SECONDS:
            self._left -= took
        self.slow = found is None or took > MATCH_SECONDS or self._left < 0
        return None if self.slow else found


@lru_cache(maxsize=4096)
def pattern(text: str, *, whole: bool = True) -> Pattern:
    """The `Pattern` of a text, compiled once a run."""
    return Pattern(text, whole=whole)
