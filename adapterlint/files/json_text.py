"""JSON as PEFT reads it, with the place of every value.

PEFT opens its configs as UTF-8 text and calls `json.load` (`PeftConfigMixin.from_json_file`, peft/config.py): `NaN`
and `Infinity` are numbers, the last of several equal names counts, and a byte order mark is an error. Stricter in one
thing: an escape of half a surrogate pair is refused, because such a string can be neither encoded nor shown.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from adapterlint.errors import AdapterlintError
from adapterlint.files.json_places import TOKEN, Node, duplicates, scan, unquote
from adapterlint.files.text_lines import Lines, Span

__all__ = ["Duplicate", "JsonError", "JsonErrorKind", "JsonText", "Span", "parse_json", "pointer"]

MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_JSON_DEPTH = 100
MAX_JSON_TOKENS = 500_000  # of `,` `:` `[` and `{`; each makes some 100 bytes of values

JsonErrorKind = Literal["encoding", "byte-order-mark", "half-pair", "syntax", "depth", "too-large"]

_TRAILING_COMMA = re.compile(r",[ \t\r\n]*[]}]")
_COLON = re.compile(r"[ \t\r\n]*:[ \t\r\n]*")
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_DIGITS = re.compile(r"-?([0-9]+)")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_PLAIN_WORDS = {
    "Expecting value": "a value was expected here",
    "Expecting property name enclosed in double quotes": "a name in double quotes was expected here",
    "Expecting ':' delimiter": "a colon was expected here, after the name",
    "Expecting ',' delimiter": "a comma or a closing bracket was expected here",
    "Extra data": "the JSON ends before this place, and more text follows",
    "Invalid control character at": "a string has a raw control character or line break, which must be escaped",
    "Unterminated string starting at": "the string that starts here has no closing quote",
    "Invalid \\escape": "a backslash in a string starts no escape that JSON knows",
    "Invalid \\uXXXX escape": "`\\u` in a string is not followed by four hexadecimal digits",
}


class JsonError(AdapterlintError):
    """The bytes are not JSON that PEFT would read.

    Args:
        kind: What is wrong, one of `JsonErrorKind`.
        message: One sentence without a full stop.
        span: The place, where there is one.
    """

    def __init__(self, kind: JsonErrorKind, message: str, span: Span | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.span = span


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A name that an object has more than once.

    Attributes:
        pointer: JSON pointer of the name.
        spans: Where the name stands, with its quotes, in order; the value after the last one counts.
    """

    pointer: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, eq=False)
class JsonText:
    """A JSON document: its text, its value, and the place of each part, found only when asked for.

    Attributes:
        text: The decoded text.
        value: What `json.load` returns for it.
        repeats_names: Whether an object has a name more than once.
    """

    text: str
    value: Any
    repeats_names: bool = False

    @cached_property
    def duplicates(self) -> tuple[Duplicate, ...]:
        """Names that stand more than once in an object that counts, in the order of the text."""
        if not self.repeats_names:
            return ()
        return tuple(
            Duplicate(pointer(*route), tuple(self._lines.span(*place) for place in places))
            for route, places in duplicates(self._root)
        )

    def values(self, duplicate: Duplicate) -> list[Any]:
        """Return the value after each of the names of a duplicate, in order."""
        decode = json.JSONDecoder().raw_decode
        ends = (self._lines.offset(span.end_line, span.end_column) for span in duplicate.spans)
        return [decode(self.text, found.end())[0] for end in ends if (found := _COLON.match(self.text, end))]

    def span(self, pointer: str, *, key: bool = False) -> Span | None:
        """Return the place of a value.

        Args:
            pointer: Where the value stands, as in RFC 6901 (`""` is the whole document).
            key: Return the place of the value's name instead, with its quotes.

        Returns:
            The place (of the last one, if a name is given twice), or `None` if no value, or no name, is there.
        """
        if pointer and not pointer.startswith("/"):
            return None
        node: Node | None = self._root
        for part in pointer.split("/")[1:]:
            node = node.children.get(part.replace("~1", "/").replace("~0", "~")) if node else None
        place = node and (node.key if key else (node.start, node.end))
        return self._lines.span(*place) if place else None

    def line(self, number: int) -> str:
        r"""Return a line without its end, `""` if there is none; lines count from 1, ended by `\n`, `\r\n` or `\r`."""
        return self._lines.line(number)

    @cached_property
    def _lines(self) -> Lines:
        return Lines(self.text)

    @cached_property
    def _root(self) -> Node:
        return scan(self.text)


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of a route of names and indices."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def parse_json(raw: bytes) -> JsonText:
    """Read the bytes of a JSON file.

    Raises:
        JsonError: The bytes are not UTF-8, not JSON, or pass a bound on size or depth; nothing else is raised.
    """
    text = _decode(raw)
    repeats_names = False

    def make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats_names
        value = dict(pairs)
        if len(value) != len(pairs):
            repeats_names = True
        return value

    try:
        value = json.loads(text, object_pairs_hook=make_object)
    except json.JSONDecodeError as error:
        raise _syntax_error(text, error) from None
    except RecursionError:
        raise JsonError("depth", "the JSON is nested too deep") from None
    except ValueError:
        limit = sys.get_int_max_str_digits()
        span = _span_of_token(text, lambda token: _whole_digits(token) > limit)
        raise JsonError("syntax", f"a whole number has more than {limit} digits", span) from None
    return JsonText(text, value, repeats_names)


def _decode(raw: bytes) -> str:
    """Return the text, if it is one that may be parsed within the bounds."""
    if len(raw) > MAX_JSON_BYTES:
        raise JsonError("too-large", f"the file has {len(raw)} bytes, and {MAX_JSON_BYTES} are read at most")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        utf16 = raw.startswith(_UTF16_MARKS)
        message = "the file is UTF-16, not UTF-8" if utf16 else f"the byte 0x{raw[error.start]:02x} is not UTF-8"
        before = raw[: error.start].decode("utf-8")
        raise JsonError("encoding", message, _span(before + "?", len(before))) from None
    if text.startswith("\ufeff"):
        raise JsonError(
            "byte-order-mark", "Unexpected UTF-8 BOM: a byte order mark stands before the JSON", _span(text, 0)
        )
    if len(text) > MAX_JSON_TOKENS and sum(map(text.count, ",:[{")) > MAX_JSON_TOKENS:
        raise JsonError("too-large", f"the JSON has more than {MAX_JSON_TOKENS} commas, colons and brackets")
    if text.count("[") + text.count("{") > MAX_JSON_DEPTH:
        _check_depth(text)
    if _HALF_PAIR.search(text):
        span = _span_of_token(text, _is_half_pair)
        if span:
            raise JsonError("half-pair", "a string has an escape of half a surrogate pair", span)
    return text


def _check_depth(text: str) -> None:
    depth = 0
    for match in TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > MAX_JSON_DEPTH:
            message = f"the JSON is nested deeper than {MAX_JSON_DEPTH} levels"
            raise JsonError("depth", message, _span(text, match.start()))


def _whole_digits(token: str) -> int:
    match = _DIGITS.match(token)
    return len(match[1]) if match else 0


def _is_half_pair(token: str) -> bool:
    if not token.startswith('"'):
        return False
    try:
        unquote(token).encode("utf-8")
    except UnicodeEncodeError:
        return True
    except ValueError:
        pass  # not closed or wrongly escaped, which json.loads will say
    return False


def _span_of_token(text: str, wanted: Callable[[str], bool]) -> Span | None:
    matches: Iterator[re.Match[str]] = TOKEN.finditer(text)
    return next((Lines(text).span(*match.span()) for match in matches if wanted(match[0])), None)


def _span(text: str, offset: int) -> Span:
    """Return the span of one character; of none at the end of the text."""
    return Lines(text).span(offset, min(offset + 1, len(text)))


def _syntax_error(text: str, error: json.JSONDecodeError) -> JsonError:
    if not text.strip():
        return JsonError("syntax", "the file is empty", _span(text, 0))
    # Before Python 3.13 a comma too many is reported at the bracket after it.
    comma = text.rfind(",", 0, error.pos + 1)
    if comma >= 0 and (match := _TRAILING_COMMA.match(text, comma)) and match.end() > error.pos:
        return JsonError("syntax", "a comma stands before the closing bracket", _span(text, comma))
    return JsonError("syntax", _PLAIN_WORDS.get(error.msg, "this is not JSON"), _span(text, error.pos))
