from __future__ import annotations

import json
import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapterlint.files import json_text
from adapterlint.files.json_text import JsonError, JsonErrorKind, JsonText, Span, parse_json, pointer


def failure(raw: bytes) -> JsonError:
    with pytest.raises(JsonError) as caught:
        parse_json(raw)
    return caught.value


def part(text: str, span: Span | None) -> str:
    """The stretch of a text whose lines end in `\\n`."""
    assert span is not None
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return text[starts[span.line - 1] + span.column - 1 : starts[span.end_line - 1] + span.end_column - 1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_the_value_is_that_of_json_load(value: object, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert parse_json(text.encode()).value == value


def routes(value: object, route: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], object]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(route, value), *(found for name, child in items for found in routes(child, (*route, name)))]


@given(json_values, st.sampled_from([None, 1]), st.booleans())
def test_the_span_of_every_value_holds_its_text(value: object, indent: int | None, ascii_only: bool) -> None:
    document = parse_json(json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode())
    for route, child in routes(value):
        assert json.loads(part(document.text, document.span(pointer(*route)))) == child
        key = document.span(pointer(*route), key=True)
        assert (key is not None) == bool(route and isinstance(route[-1], str))
        assert key is None or json.loads(part(document.text, key)) == route[-1]


def test_spans_count_lines_and_columns_in_characters_from_one() -> None:
    document = parse_json('{\n  "é": 8,\n  "target_modules": ["q_proj",\n    "ü"]\n}'.encode())
    assert document.span("/é") == Span(2, 8, 2, 9)
    assert document.span("/é", key=True) == Span(2, 3, 2, 6)
    assert document.span("/target_modules") == Span(3, 21, 4, 9)
    assert document.span("/target_modules/1") == Span(4, 5, 4, 8)
    assert document.span("") == Span(1, 1, 5, 2)
    assert document.line(2) == '  "é": 8,'
    assert document.line(0) == document.line(6) == ""


@pytest.mark.parametrize(
    "absent", ["/b", "/a/2", "/a/01", "/a/-", "/a/0/x", "a", "/", "/a/"], ids=lambda pointer: repr(pointer)
)
def test_a_pointer_to_nothing_has_no_span(absent: str) -> None:
    assert parse_json(b'{"a": [1, 2]}').span(absent) is None


def test_names_with_slash_tilde_or_nothing_are_found() -> None:
    assert pointer("a/b~", 0, "") == "/a~1b~0/0/"
    document = parse_json(b'{"a/b~": [{"": 5}], "~1": 6}')
    assert document.span("/a~1b~0/0/") == Span(1, 16, 1, 17)
    assert document.span("/~01") == Span(1, 27, 1, 28)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_of_an_editor_ends_a_line(end: str) -> None:
    document = parse_json(end.join(["{", '"r": 8', "}"]).encode())
    assert document.span("/r") == Span(2, 6, 2, 7)
    assert document.line(2) == '"r": 8'


def test_of_equal_names_the_last_counts_and_all_are_told() -> None:
    document = parse_json(b'{"r": 1, "r": 2,\n "x": {"y": 1, "\\u0079": {"z": 3}}, "r": 4}')
    assert document.value == {"r": 4, "x": {"y": {"z": 3}}}
    assert document.span("/r") == Span(2, 42, 2, 43)
    assert document.span("/x/y/z") == Span(2, 32, 2, 33)
    assert [(found.pointer, found.spans) for found in document.duplicates] == [
        ("/r", (Span(1, 2, 1, 5), Span(1, 10, 1, 13), Span(2, 37, 2, 40))),
        ("/x/y", (Span(2, 8, 2, 11), Span(2, 16, 2, 24))),
    ]


def test_what_a_later_equal_name_replaces_is_gone() -> None:
    document = parse_json(b'{"a": {"x": 1, "x": 2}, "a": {"y": 3}}')
    assert document.span("/a/x") is None
    assert [found.pointer for found in document.duplicates] == ["/a"]


def test_a_document_without_equal_names_has_no_duplicates() -> None:
    assert parse_json(b'{"a": [{"b": 1}, {"b": 1}]}').duplicates == ()


def test_numbers_that_only_python_knows_are_read() -> None:
    value = parse_json(b'{"a": NaN, "b": -Infinity, "c": 1e999}').value
    assert math.isnan(value["a"])
    assert value["b"] == -math.inf
    assert value["c"] == math.inf


@pytest.mark.parametrize(
    ("raw", "message", "span"),
    [
        (b"", "the file is empty", Span(1, 1, 1, 1)),
        (b'{"a": 1,\n}', "a comma stands before the closing bracket", Span(1, 8, 1, 9)),
        (b"[1, 2 ,  ]", "a comma stands before the closing bracket", Span(1, 7, 1, 8)),
        (b'{"a" 1}', "a colon was expected here, after the name", Span(1, 6, 1, 7)),
        (b'{"a": 1\n "b": 2}', "a comma or a closing bracket was expected here", Span(2, 2, 2, 3)),
        (b"{'a': 1}", "a name in double quotes was expected here", Span(1, 2, 1, 3)),
        (b'{"a": True}', "a value was expected here", Span(1, 7, 1, 8)),
        (b'{"a": "x}', "the string that starts here has no closing quote", Span(1, 7, 1, 8)),
        (b"{} {}", "the JSON ends before this place, and more text follows", Span(1, 4, 1, 5)),
        (b"\x00", "a value was expected here", Span(1, 1, 1, 2)),
        (b"[1,\n " + b"9" * 5000 + b"]", "a whole number has more than 4300 digits", Span(2, 2, 2, 5002)),
    ],
)
def test_a_syntax_error_is_told_in_plain_words_with_its_place(raw: bytes, message: str, span: Span) -> None:
    error = failure(raw)
    assert (error.kind, error.message, error.span) == ("syntax", message, span)


@pytest.mark.parametrize(
    ("raw", "kind", "message", "span"),
    [
        (b'{\n "\xc3\xa9": "\xe9"}', "encoding", "the byte 0xe9 is not UTF-8", Span(2, 8, 2, 9)),
        (b"\xff\xfe{\x00}\x00", "encoding", "the file is UTF-16, not UTF-8", Span(1, 1, 1, 2)),
        (b'["\\ud800"]', "half-pair", "a string has an escape of half a surrogate pair", Span(1, 2, 1, 10)),
    ],
)
def test_an_encoding_error_has_the_place_of_the_character(
    raw: bytes, kind: JsonErrorKind, message: str, span: Span
) -> None:
    error = failure(raw)
    assert (error.kind, error.message, error.span) == (kind, message, span)


def test_a_byte_order_mark_is_an_error_as_in_python() -> None:
    with pytest.raises(json.JSONDecodeError, match="Unexpected UTF-8 BOM"):
        json.loads("\ufeff{}")
    error = failure(b"\xef\xbb\xbf{}")
    assert error.kind == "byte-order-mark"
    assert error.message.startswith("Unexpected UTF-8 BOM")


def test_a_whole_surrogate_pair_and_an_escaped_backslash_are_read() -> None:
    assert parse_json(b'["", "\\ud83d\\ude00", "\\\\ud800"]').value == ["", "\N{GRINNING FACE}", "\\ud800"]


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_bounded(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    limit = json_text.MAX_JSON_DEPTH
    parse_json(opening * limit + b"1" + closing * limit)
    for depth in (limit + 1, 100_000):
        error = failure(opening * depth + b"1" + closing * depth)
        assert error.kind == "depth"
        assert error.span == Span(1, 1 + limit * len(opening), 1, 2 + limit * len(opening))


def test_brackets_in_strings_are_no_depth() -> None:
    assert parse_json(json.dumps(["[{" * 1000]).encode()).value == ["[{" * 1000]


@pytest.mark.parametrize("raw", [b" " * (json_text.MAX_JSON_BYTES + 1), b"[" + b"{}," * 600_000 + b"{}]"])
def test_size_is_bounded(raw: bytes) -> None:
    assert failure(raw).kind == "too-large"


@pytest.mark.parametrize(
    "raw",
    [
        b"[]" * 101 + b'"' + b'\\"' * 1_500_000,
        b'"\\ud800' + b'\\"' * 1_500_000,
        b"\n" * 4_000_000,
        b"[" * 100 + b"," * 400_000,
        b'{"a":1' + b',"a":1' * 200_000,
    ],
    ids=["quotes", "quotes after half a pair", "lines", "commas", "equal names"],
)
def test_long_broken_texts_are_refused_at_once(raw: bytes) -> None:
    start = time.perf_counter()
    assert failure(raw).kind == "syntax"
    assert time.perf_counter() - start < 5


def test_many_equal_names_are_told_at_once() -> None:
    start = time.perf_counter()
    (found,) = parse_json(b'{"a":1' + b',"a":1' * 200_000 + b"}").duplicates
    assert len(found.spans) == 200_001
    assert time.perf_counter() - start < 5


PIECES = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    "\\u",
    "d8",
    "00",
    "1",
    "-",
    "e",
    ".",
    "NaN",
    "null",
    " ",
    "\n",
    "\r",
]
PIECES += ['"a"', '"a":', "\x00", "\x7f", "é", "\ud800", "\u2028", "9" * 4400, "[" * 150, '{"a":' * 60]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES)).map(lambda pieces: "".join(pieces).encode("utf-8", "surrogatepass")))
def test_json_like_text_never_raises_anything_but_json_error(raw: bytes) -> None:
    check_never_anything_else(raw)


@settings(max_examples=200)
@given(st.binary(max_size=100))
def test_any_bytes_never_raise_anything_but_json_error(raw: bytes) -> None:
    check_never_anything_else(raw)


def check_never_anything_else(raw: bytes) -> None:
    document = parsed(raw)
    if isinstance(document, JsonError):
        assert document.span is not None
        assert document.message
        assert not document.message.endswith(".")
    else:
        assert document.span("") is not None
        assert isinstance(document.duplicates, tuple)
        document.text.encode()


@given(json_values, st.data())
def test_whatever_python_refuses_is_refused(value: object, data: st.DataObject) -> None:
    raw = bytearray(json.dumps(value).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    document = parsed(bytes(raw))
    try:
        expected = json.dumps(json.loads(raw.decode("utf-8")))
    except ValueError:
        assert isinstance(document, JsonError)
    else:
        assert "\\ud" in expected if isinstance(document, JsonError) else json.dumps(document.value) == expected


def parsed(raw: bytes) -> JsonText | JsonError:
    try:
        return parse_json(raw)
    except JsonError as error:
        return error


@pytest.mark.parametrize("gap", ["\u2028", "\u0085", "\r", "\r\n", "\n", "\x0b"])
def test_the_values_of_a_name_that_is_given_twice(gap: str) -> None:
    blank = gap if gap.strip("\r\n") == "" else ""
    document = parse_json(f'{{"note": "a\u2028\u0085", {blank}"r": [8], {blank}"r" :{blank}{{"r": 16}}}}'.encode())
    (found,) = document.duplicates
    assert document.values(found) == [[8], {"r": 16}]
