"""Where a finding points to: a symbolic route that becomes a line and a column only when it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapterlint.files.json_text import JsonText, Span


@dataclass(frozen=True, slots=True)
class Place:
    """A file, and what in it is meant.

    Args:
        file: Path of the file as it is shown.
        pointer: JSON pointer (RFC 6901) into a JSON file.
        tensor: Name of a tensor in a weights file.
        key: Whether the pointer means the key instead of its value.
        span: Line and column where they are known already (a syntax error has no pointer).
        document: The parsed file; from it the span of `pointer` is computed on demand.
    """

    file: str
    pointer: str | None = None
    tensor: str | None = None
    key: bool = False
    span: Span | None = None
    document: JsonText | None = field(default=None, repr=False, compare=False)

    def located(self) -> Span | None:
        """Line and column, or `None` where there are none (a tensor, a whole file)."""
        if self.span is not None or self.document is None or self.pointer is None:
            return self.span
        return self.document.span(self.pointer, key=self.key)

    def frame(self, span: Span) -> str | None:
        """The source line on which `span` begins, if the file is a text."""
        return self.document.line(span.line) if self.document is not None else None
