"""Lines and columns of a text."""

from __future__ import annotations

import re
from array import array
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

    __slots__ = ("_starts", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = array("L", [0])
        self._starts.extend(found.end() for found in _LINE_END.finditer(text))

    def span(self, start: int, end: int) -> Span:
        """Return the span of the characters `[start, end)`."""
        return Span(*self._place(start), *self._place(end))

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a place that a span has."""
        return self._starts[line - 1] + column - 1

    def line(self, number: int) -> str:
        """Return the text of a line, counted from 1, without its end; `""` if there is no such line."""
        if not 1 <= number <= len(self._starts):
            return ""
        end = self._starts[number] if number < len(self._starts) else None
        return self._text[self._starts[number - 1] : end].rstrip("\r\n")

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
