"""The header of a safetensors file: names, dtypes, shapes and offsets of its tensors, and what is wrong with them.

The judge is the `safetensors` library (0.8.0, `safetensors/src/tensor.rs`): a file that it refuses either raises
`HeaderError` here or has a problem with `refused=True`, and no other does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from adapterlint.caches import kept
from adapterlint.files.byte_reader import ByteReader
from adapterlint.files.header_problems import (
    MAX_PROBLEMS,
    HeaderProblem,
    ProblemKind,
    data_problem,
    offset_problems,
    unknown_dtype,
)
from adapterlint.files.header_tree import METADATA, HeaderError, HeaderErrorKind, Pairs, read_entry, read_pairs
from adapterlint.files.tensor import BITS, Tensor, shape_nbytes

__all__ = [
    "BITS",
    "MAX_HEADER_BYTES",
    "MAX_HEADER_TOKENS",
    "Header",
    "HeaderError",
    "HeaderErrorKind",
    "HeaderProblem",
    "ProblemKind",
    "Tensor",
    "read_header",
    "read_raw_header",
]

MAX_HEADER_BYTES = 100_000_000  # `MAX_HEADER_SIZE` of safetensors
MAX_HEADER_TOKENS = 2_000_000  # commas and colons: some 200,000 tensors
MAX_CACHED_HEADERS = 64
MAX_CACHED_HEADER_BYTES = 1 << 20
FIRST_READ_BYTES = 1 << 16  # holds the header of nearly every adapter, so that one HTTP request is enough

_LENGTH_BYTES = 8
_COLONS_OF_ENTRY = 4  # after the name, `dtype`, `shape` and `data_offsets`
_TENSORS = msgspec.json.Decoder(dict[str, Tensor])
_METADATA = msgspec.json.Decoder(dict[str, str])
# `{"__metadata__": {...}` as safetensors writes it, up to and including the comma.
_METADATA_FIRST = re.compile(
    rb"""[ \t\n\r]*\{[ \t\n\r]*"__metadata__"[ \t\n\r]*:[ \t\n\r]*
         (\{(?:[^"{}]++|"(?:[^"\\]++|\\.)*+")*+\})
         [ \t\n\r]*(?:,(?![ \t\n\r]*\})|(?=\}))""",
    re.VERBOSE | re.DOTALL,
)
_NEGATIVE = re.compile(rb"[\[, \t\n\r]-")


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """The header of one safetensors file.

    Attributes:
        tensors: Tensors by name, in file order; shared between files with the same header.
        metadata: The strings under `__metadata__`, shared likewise.
        header_size: Bytes before the data: the length field and the JSON.
        data_size: Bytes that the file has after the header, or `None` if only the header was kept.
        problems: What is wrong, first what safetensors refuses; at most `MAX_PROBLEMS` and one.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    header_size: int
    data_size: int | None
    problems: tuple[HeaderProblem, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Parsed:
    """What the JSON alone says; `data_end` is the end of the last tensor, in bytes after the header."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    data_end: int
    problems: tuple[HeaderProblem, ...]


def read_header(reader: ByteReader, *, header_only: bool = False) -> Header:
    """Read the header of a safetensors file; its data is never looked at.

    Args:
        reader: The file.
        header_only: The file is the header of a checkpoint kept without its data, so the data is not missed.

    Raises:
        HeaderError: There is no header to speak of.
    """
    raw = read_raw_header(reader)
    parse = _parse_cached if len(raw) <= MAX_CACHED_HEADER_BYTES else _parse
    parsed = parse(raw)
    header_size = _LENGTH_BYTES + len(raw)
    data_size = None if header_only else reader.size - header_size
    problem = None if data_size is None else data_problem(parsed.data_end, data_size)
    problems = (*parsed.problems, problem) if problem else parsed.problems
    return Header(parsed.tensors, parsed.metadata, header_size, data_size, problems)


def read_raw_header(reader: ByteReader) -> bytes:
    """Return the JSON of the header, and read no byte beyond the first request and it.

    Raises:
        HeaderError: There is no header to speak of.
    """
    size = reader.size
    if size == 0:
        raise HeaderError("empty", "the file is empty")
    first = reader.read_range(0, FIRST_READ_BYTES)
    if len(first) < _LENGTH_BYTES:
        raise HeaderError("too-short", f"the file has {len(first)} bytes, fewer than the length of a header takes")
    length = int.from_bytes(first[:_LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        message = f"the file starts with a header length of {length} bytes, and {MAX_HEADER_BYTES} are allowed"
        raise HeaderError("header-too-large", message)
    end = _LENGTH_BYTES + length
    raw = first[_LENGTH_BYTES:end]
    if len(raw) < length and end <= size:
        raw += reader.read_range(len(first), end - len(first))
    if len(raw) < length:
        raise HeaderError("truncated", f"the header is {length} bytes long, the file ends after {len(raw)} of them")
    return raw


def _parse(raw: bytes) -> _Parsed:
    if len(raw) > MAX_HEADER_TOKENS and raw.count(b":") + raw.count(b",") > MAX_HEADER_TOKENS:
        raise HeaderError("too-many-entries", f"the header has more than {MAX_HEADER_TOKENS} commas and colons")
    tensors, metadata, problems = _decode_typed(raw) or _decode_tree(raw)
    data_end = _contiguous_end(tensors.values())
    if data_end is None:
        # Old writers list the tensors in another order than their data.
        data_end = _contiguous_end(sorted(tensors.values(), key=lambda tensor: tensor.data_offsets))
    if data_end is None:
        problems = (*problems, *offset_problems(tensors))
        data_end = max(end for tensor in tensors.values() for end in tensor.data_offsets)
    # What counts most comes first, so that the bound never hides that a file is refused.
    ordered = sorted(problems, key=lambda problem: not problem.refused)
    return _Parsed(MappingProxyType(tensors), MappingProxyType(metadata), data_end, tuple(ordered[:MAX_PROBLEMS]))


_parse_cached = kept(MAX_CACHED_HEADERS)(_parse)

_Decoded = tuple[dict[str, Tensor], dict[str, str], tuple[HeaderProblem, ...]]


def _decode_typed(raw: bytes) -> _Decoded | None:
    """Decode a header as safetensors writes it, or return `None` if it may be another."""
    first = _METADATA_FIRST.match(raw)
    body = b"{" + raw[first.end() :] if first else raw
    try:
        metadata = _METADATA.decode(first[1]) if first else {}
        tensors = _TENSORS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    # One colon more is a name or field given twice, of which the decoder keeps the last (or a name with a colon).
    if body.count(b":") != _COLONS_OF_ENTRY * len(tensors) or METADATA in tensors:
        return None
    if b"-" in body and _NEGATIVE.search(body):
        return None
    return tensors, metadata, ()


def _decode_tree(raw: bytes) -> _Decoded:
    """Decode any header that safetensors might accept, and say what is odd about its entries."""
    tensors: dict[str, Tensor] = {}
    metadata: list[object] = []
    problems: list[HeaderProblem] = []
    for name, value in read_pairs(raw):
        if name == METADATA:
            metadata.append(value)
            continue
        if name in tensors:
            if tensors[name].dtype not in BITS:
                problems.append(unknown_dtype(name, tensors[name].dtype))
            message = "the name is given twice, and only the last tensor of that name can be loaded"
            problems.append(HeaderProblem("duplicate-name", name, message, refused=False))
        tensors[name] = read_entry(name, value)
    strings, problem = _metadata_strings(metadata)
    return tensors, strings, (*([problem] if problem else []), *problems)


def _metadata_strings(values: list[object]) -> tuple[dict[str, str], HeaderProblem | None]:
    if len(values) > 1:
        return {}, HeaderProblem("metadata", None, f"`{METADATA}` is given twice")
    if not values or values[0] is None:
        return {}, None
    pairs = values[0]
    if type(pairs) is not Pairs:
        return {}, HeaderProblem("metadata", None, f"`{METADATA}` is not an object")
    strings = {key: value for key, value in pairs if type(value) is str}
    if all(type(value) is str for _, value in pairs):
        return strings, None
    return strings, HeaderProblem("metadata", None, f"`{METADATA}` has a value that is not a string")


def _contiguous_end(tensors: Iterable[Tensor]) -> int | None:
    """Return where the data ends if each tensor starts where the one before ends and has the size of its shape."""
    position = 0
    dtype = ""
    sizes: dict[tuple[int, ...], int] = {}  # an adapter has hundreds of tensors and a handful of shapes
    for tensor in tensors:
        start, end = tensor.data_offsets
        size = end - start
        if tensor.dtype != dtype:
            dtype, sizes = tensor.dtype, {}
        if size != sizes.get(tensor.shape):
            if size != shape_nbytes(dtype, tensor.shape):
                return None
            sizes[tensor.shape] = size
        if start != position:
            return None
        position = end
    return position
