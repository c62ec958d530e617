"""Markdown (CommonMark with GitHub's tables) of texts that nobody vouches for.

There is no list of characters to escape: a word that is more than letters and punctuation between them stands as code,
in which Markdown, HTML, mentions and links mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from adapterlint.words import printable

# Letters, digits and hyphens, with what may surround a word in a sentence; points, colons and commas inside of numbers.
_PLAIN = re.compile(r"[\"'(]*(?:[^\W_]|[-'…]|(?<=\d)[.,:/](?=\d))*[\"')]*[.,:;?!]*[\"')]*")
_TRAIL = re.compile(r"[.,:;?!)\"']*$")


def prose(text: str) -> str:
    """A sentence with values in backticks: they stay code, and so does every other word that could be markup."""
    parts = printable(text).split("`")
    if len(parts) % 2 == 0:  # an odd number of backticks: the last of them opens nothing
        parts[-2:] = ["'".join(parts[-2:])]
    return "".join(code(part) if i % 2 else _words(part) for i, part in enumerate(parts))


def _words(text: str) -> str:
    return re.sub(r"\S+", lambda word: _word(word[0]), text)


def _word(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    end = _TRAIL.search(word)
    assert end is not None
    return code(word[: end.start()]) + end[0] if end.start() else code(word)


def code(text: str) -> str:
    """A text as code: nothing in it is markup. Backticks become apostrophes, as everywhere in messages."""
    said = printable(text).replace("`", "'")
    if not said.strip():
        return f"`'{said}'`"  # a span of nothing, or of blanks, is none
    return f"` {said} `" if said[0] == said[-1] == " " else f"`{said}`"  # one blank at each end is taken away


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; the cells are Markdown already."""
    yield _row(head)
    yield _row(["---"] * len(head))
    for row in rows:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def fenced(text: str, language: str = "text") -> str:
    """Lines as a block of code, whatever is in them."""
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
