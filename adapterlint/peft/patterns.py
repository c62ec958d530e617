"""Regular expressions from configs: compiled as PEFT does, matched within a bound of time."""

from __future__ import annotations

import re
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from adapterlint.caches import kept

# Compiling has no clock: what is beyond these bounds is not judged.
MAX_PATTERN = 2_000  # characters of one
MAX_PATTERNS = 100  # of one config
MAX_PATTERNS_LENGTH = 5_000  # characters of all of one config
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


@kept(4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    with silence():
        return re.compile(pattern)


_one_at_a_time = threading.Lock()


@contextmanager
def silence() -> Iterator[None]:
    """Where `re` does not warn about odd patterns (nested sets), which is nothing to tell here."""
    # The filters that are changed belong to all threads.
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def are_few(patterns: Iterable[str]) -> bool:
    """Whether all of some patterns may be judged, `MAX_PATTERNS` of `MAX_PATTERNS_LENGTH` characters at most."""
    count = length = 0
    for text in patterns:
        count, length = count + 1, length + len(text)
        if count > MAX_PATTERNS or length > MAX_PATTERNS_LENGTH:
            return False
    return True


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


@kept(4096)
def pattern(text: str, *, whole: bool = True) -> Pattern:
    """The `Pattern` of a text, compiled once a run, whose slow matches count together."""
    return Pattern(text, whole=whole)
