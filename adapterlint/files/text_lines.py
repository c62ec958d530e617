"""Lines and columns of a text."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text: lines and columns count characters from 1, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Lines:
    r"""The lines of a text as editors count them: `\n`, `\r\n` and a lone `\r` end one."""

    __slots__ = ("_ends", "_starts", "_text")

    def __init__(self, text: str) -> None:
        breaks = list(_LINE_END.finditer(text))
        self._text = text
        self._starts = [0, *(found.end() for found in breaks)]
        self._ends = [*(found.start() for found in breaks), len(text)]

    def span(self, start: int, end: int) -> Span:
        """Return the span of the characters `[start, end)`."""
        return Span(*self._place(start), *self._place(end))

    def line(self, number: int) -> str:
        """Return the text of a line, counted from 1, without its end; `""` if there is no such line."""
        index = number - 1
        return self._text[self._starts[index] : self._ends[index]] if 0 <= index < len(self._starts) else ""

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
