"""How values from untrusted files are put into words: short, printable, without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sized
from typing import Any, NamedTuple

MAX_SHOWN = 80  # characters of one value in a message
MAX_LISTED = 5  # items of one enumeration in a message

# Tokens begin a word (an escape before them ends in a letter of its own), and have a digit: the folder
# `task-oriented-dialogue-adapter` holds no key. Those of the Hub are of 34 characters, and may all be letters.
_START = r"(?:(?<![\w-])|(?<=\\u[0-9a-fA-F]{4})|(?<=\\x[0-9a-fA-F]{2})|(?<=\\[bfnrt]))"
_SECRETS = re.compile(
    _START + r"(?:(?:hf_|api_org_)(?:(?=[A-Za-z]*\d)[A-Za-z0-9]{24,}|[A-Za-z]{34}(?![A-Za-z0-9]))"
    r"|(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|AIza|sk-)(?=[A-Za-z_-]*\d)[\w-]{20,}"
    r"|AKIA[0-9A-Z]{16})|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
# One of these is in every secret; most texts have none of them, and the search for one is fast.
_MARKS = (
    *("hf_", "api_org_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
    *("xox", "AIza", "sk-", "AKIA", "://"),
)


def redacted(text: str) -> str:
    """`text` with everything that looks like an access token or a password in a URL replaced by `***`."""
    return _SECRETS.sub("***", text) if any(mark in text for mark in _MARKS) else text


def masked(text: str) -> str:
    """`text` with stars in the place of what `redacted` removes, so that columns stay what they are."""
    return _SECRETS.sub(lambda secret: "*" * len(secret[0]), text) if any(mark in text for mark in _MARKS) else text


def printable(text: str) -> str:
    """`text` with control, bidirectional and other unprintable characters escaped; what a terminal may receive."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str, limit: int = MAX_SHOWN) -> str:
    """`text` cut in its middle to `limit` characters."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def shown(value: Any) -> str:
    """A value from a file as messages show it: in backticks, as JSON unless it is a string, short and printable."""
    # A huge value is cut before it is dumped: a message never costs more than it shows.
    if isinstance(value, list | tuple | set | frozenset) and len(value) > MAX_LISTED * 2:
        return f"`[{', '.join(_dumped(v) for v in list(value)[:MAX_LISTED])}, …]`"
    return f"`{_dumped(value)}`"


def _dumped(value: Any) -> str:
    if not isinstance(value, str):
        try:
            value = json.dumps(value, ensure_ascii=False, default=str)
        except (ValueError, RecursionError):  # an integer of over 4,300 digits
            value = f"a very large {type(value).__name__}"
    # Cut before the costly steps, and after them: escapes make a text longer.
    return shortened(redacted(printable(shortened(value, MAX_SHOWN * 8)))).replace("`", "'")


def listed(values: Iterable[Any], *, word: str | None = None) -> str:
    """An enumeration for a message: "`a`, `b` and `c`", or "`a`, `b` and 7 more layers" (`word` is the plural)."""
    items = list(values)
    if len(items) > MAX_LISTED:
        more = f"{len(items) - MAX_LISTED + 1} more" + (f" {word}" if word else "")
        return f"{', '.join(shown(v) for v in items[: MAX_LISTED - 1])} and {more}"
    words = [shown(v) for v in items]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """ "1 tensor", "2 tensors", "1,024 tensors"."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


class Portion(NamedTuple):
    """Some of all tensors as the subject of a sentence, and the words that follow its number."""

    text: str
    have: str
    names: str
    their_names: str
    lost: str


def portion(some: Sized, every: Sized) -> Portion:
    """ "1 of 8 tensors", "3 of 8 tensors", "The only tensor"."""
    text = f"{len(some):,} of {len(every):,} tensors" if len(every) > 1 else "The only tensor"
    if len(some) == 1:
        return Portion(text, "has", "a name", "its name", "PEFT does not load it")
    return Portion(text, "have", "names", "their names", "PEFT loads none of them")


def none_of(every: Sized) -> str:
    """ "None of the 8 tensors", "Not even the only tensor"."""
    return f"None of the {len(every):,} tensors" if len(every) != 1 else "Not even the only tensor"


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be, or `None`."""
    from difflib import get_close_matches

    words = {w.lower(): w for w in known}
    near = get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return words[near[0]] if near else None
