"""A safetensors header read entry by entry, for headers that the typed decoder turns down or may have misread.

Accepts and refuses what serde_json does with `HashMetadata` of safetensors 0.8.0: extra fields are ignored, an entry
may be a list `[dtype, shape, data_offsets]`, a name may be repeated (the last one counts), and a lone surrogate or a
number that no double can hold is refused wherever it stands. One oddity is not followed: serde would also take
`{"F32": null}` for the dtype F32.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Literal

from adapterlint.errors import AdapterlintError
from adapterlint.files.tensor import U64_MAX, Tensor

METADATA = "__metadata__"
MAX_HEADER_DEPTH = 127  # serde_json gives up at 128
MAX_NUMBER_DIGITS = 309  # the largest double has 309 digits before the point

HeaderErrorKind = Literal[
    "empty",
    "too-short",
    "truncated",
    "header-too-large",
    "too-many-entries",
    "encoding",
    "not-json",
    "depth",
    "wrong-shape-of-header",
    "wrong-shape-of-entry",
]

_FIELDS = ("dtype", "shape", "data_offsets")


class HeaderError(AdapterlintError):
    """There is no header to speak of; safetensors refuses the file too.

    Args:
        kind: What is wrong, one of `HeaderErrorKind`.
        message: One sentence without a full stop.
        tensor: Name of the tensor whose entry is wrong, if it is one entry.
    """

    def __init__(self, kind: HeaderErrorKind, message: str, *, tensor: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.tensor = tensor


class Pairs(list[tuple[str, Any]]):
    """A JSON object with its repeated names."""

    __slots__ = ()


def read_pairs(raw: bytes) -> Pairs:
    """Return the header as the names and values of its outer object.

    Raises:
        HeaderError: The bytes are not UTF-8, not JSON, nested deeper than serde_json goes, or not an object.
    """
    try:
        text = raw.decode("utf-8")
        tree = _DECODER.decode(text)
        if "\\u" in text:
            # Only an escape can make a surrogate; json lets it pass, serde_json does not.
            json.dumps(tree, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise HeaderError("encoding", f"byte {error.start} of the header is not UTF-8") from None
    except UnicodeEncodeError:
        raise HeaderError("not-json", "the header has a name with half of a surrogate pair") from None
    except json.JSONDecodeError as error:
        raise HeaderError("not-json", f"the header is not JSON from its character {error.pos} on") from None
    except ValueError:
        raise HeaderError("not-json", "the header has a number that is not JSON or out of range") from None
    except RecursionError:
        raise _too_deep() from None
    if _depth(tree) > MAX_HEADER_DEPTH:
        raise _too_deep()
    if type(tree) is not Pairs:
        raise HeaderError("wrong-shape-of-header", "the header is JSON, but not an object with a tensor an entry")
    return tree


def read_entry(name: str, value: object) -> Tensor:
    """Return the tensor that an entry describes.

    Raises:
        HeaderError: The entry has not the fields, or the types, of a tensor.
    """
    fields = _fields(name, value)
    dtype, shape, offsets = (fields[field] for field in _FIELDS)
    if type(dtype) is not str:
        raise _wrong_entry(name, "its `dtype` is not a string")
    if not _is_sizes(shape):
        raise _wrong_entry(name, "its `shape` is not a list of whole numbers from 0 on")
    if not _is_sizes(offsets) or len(offsets) != 2:
        raise _wrong_entry(name, "its `data_offsets` are not two whole numbers from 0 on")
    return Tensor(dtype, tuple(shape), (offsets[0], offsets[1]))


def _fields(name: str, value: object) -> dict[str, Any]:
    if type(value) is list and len(value) == len(_FIELDS):
        return dict(zip(_FIELDS, value, strict=True))
    if type(value) is not Pairs:
        raise _wrong_entry(name, "its entry is not an object with `dtype`, `shape` and `data_offsets`")
    count = Counter(field for field, _ in value)
    for field in _FIELDS:
        if count[field] != 1:
            raise _wrong_entry(name, f"its entry has `{field}` twice" if count[field] else f"it has no `{field}`")
    return dict(value)


def _is_sizes(value: object) -> bool:
    return type(value) is list and all(type(size) is int and size >= 0 for size in value)


def _wrong_entry(name: str, message: str) -> HeaderError:
    return HeaderError("wrong-shape-of-entry", f"a tensor cannot be read: {message}", tensor=name)


def _too_deep() -> HeaderError:
    return HeaderError("depth", f"the header is nested deeper than {MAX_HEADER_DEPTH} levels")


def _depth(tree: object) -> int:
    depth = 0
    level = [tree] if isinstance(tree, list) else []
    while level:
        depth += 1
        children = (child for node in level for child in ((v for _, v in node) if type(node) is Pairs else node))
        level = [child for child in children if isinstance(child, list)]
    return depth


def _whole_number(text: str) -> int | float:
    if len(text) > MAX_NUMBER_DIGITS + 1:
        raise ValueError(text[:MAX_NUMBER_DIGITS])
    value = int(text)
    # serde_json holds what does not fit into 64 bits, and -0, as a double, which is no size.
    return _real_number(text) if text == "-0" or not -(2**63) <= value <= U64_MAX else value


def _real_number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("out of range")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=_whole_number, parse_float=_real_number, parse_constant=_no_constant
)
