"""Colours for a terminal."""

from __future__ import annotations


class Paint:
    """Colours a text if it is to be coloured."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, style: str, text: str) -> str:
        """The text in a style, a number of ECMA-48 (`"1;31"`)."""
        return f"\033[{style}m{text}\033[0m" if self.color else text
