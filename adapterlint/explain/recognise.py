"""Finds known texts in what people paste: long, coloured, wrapped anywhere, with prefixes of logs before each line."""

from __future__ import annotations

import functools
import re
from itertools import islice

from adapterlint.explain.known import Known, everything

MAX_TEXT = 4_000_000  # characters of a log that are read
MAX_PLACES = 200  # places of one text that are looked at
MIN_REFUSAL = 24  # letters of a text of PEFT's refusals, without which it could be anybody's

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]{0,1000}(?:\x07|\x1b\\)?|[@-_])|[\x00-\x08\x0e-\x1f\x7f]"
)
# What programs put before a line: ranks, processes, files, times, levels, marks of quotes and boxes.
_PREFIX = re.compile(
    r"^(?:[ \t]*(?:\[(?=[^\]\n]*[A-Za-z])[^\]\n,'\"]{1,60}\]:?|\[\d{2,4}[-:/][\d:., T+/Z-]{3,40}\]"
    r"|\([^()\n]{0,60}pid=[^()\n]{1,40}\)"
    r"|\d{4}-\d\d-\d\d[T ][\d:.,+Z-]+|\d\d-\d\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d[\d.,]*"
    r"|(?:TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b[: ]|[|>+│┃]|-(?= )))+",
    re.MULTILINE,
)
# Nothing in a known text depends on spaces (lines are wrapped within words too) or on kinds of quotes.
_NOISE = re.compile(r"\\[nrt]|[\s\\'\"`\u2018\u2019\u201c\u201d\u2500-\u257f\u2771]+")


def recognised(text: str) -> list[Known]:
    """What a log says that is known, in the order of the table; each place of it is explained once."""
    bare = _bare(_PREFIX.sub("", _ESCAPES.sub("", text[:MAX_TEXT])))
    taken: list[tuple[int, int]] = []
    found: list[Known] = []
    for known, patterns in _table():
        there = (pattern.finditer(bare) for words, pattern in patterns if all(w in bare for w in words))
        spans = [match.span() for matches in there for match in islice(matches, MAX_PLACES)]
        new = [(start, end) for start, end in spans if not any(start < e and s < end for s, e in taken)]
        if new and not any(known.means == other.means for other in found):
            found.append(known)
        taken += new
    return found


@functools.cache
def _table() -> list[tuple[Known, list[tuple[tuple[str, ...], re.Pattern[str]]]]]:
    return [(known, [_compiled(text) for text in known.texts if _is_telling(known, text)]) for known in everything()]


def _is_telling(known: Known, text: str) -> bool:
    return known.rules != ("refused-by-config",) or max(map(len, map(_bare, text.split("…")))) >= MIN_REFUSAL


def _compiled(text: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """The words of a text, which are quick to look for, and the whole of it."""
    parts = [_bare(part) for part in re.split("(…|<>)", text)]
    wild = {"…": ".{0,200}?", "<>": r"[\w.*/{}-]{0,200}?"}
    words = tuple(part for part in parts if part and part not in wild)
    return words, re.compile("".join(wild.get(part) or re.escape(part) for part in parts))


def _bare(text: str) -> str:
    return _NOISE.sub("", text)
