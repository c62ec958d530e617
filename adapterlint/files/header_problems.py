"""What is wrong with the tensors of a safetensors header, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from adapterlint.files.tensor import BITS, Tensor, shape_bits
from adapterlint.words import shown

MAX_PROBLEMS = 100  # of one header: a broken writer breaks every tensor in the same way
MAX_SHOWN_DIMENSIONS = 16

ProblemKind = Literal[
    "unknown-dtype",
    "duplicate-name",
    "metadata",
    "offsets-reversed",
    "size-overflow",
    "half-byte",
    "size-mismatch",
    "hole",
    "overlap",
    "data-too-short",
    "data-too-long",
]


@dataclass(frozen=True, slots=True)
class HeaderProblem:
    """One thing that is wrong with a header that can be read.

    Attributes:
        kind: What is wrong.
        tensor: Name of the tensor, as it stands in the file, or `None` if it is the header as a whole.
        message: One sentence without a full stop and without the tensor's name.
        refused: Whether safetensors refuses the file for it.
    """

    kind: ProblemKind
    tensor: str | None
    message: str
    refused: bool = True


def unknown_dtype(name: str, dtype: str) -> HeaderProblem:
    """The dtype of a tensor is none that safetensors knows."""
    return HeaderProblem("unknown-dtype", name, f"{shown(dtype)} is not a dtype of safetensors")


def offset_problems(tensors: Mapping[str, Tensor]) -> tuple[HeaderProblem, ...]:
    """Return what `Metadata::validate` of safetensors 0.8.0 refuses, by offset, the first `MAX_PROBLEMS`."""
    return tuple(islice(_walk(tensors), MAX_PROBLEMS))


def data_problem(declared: int, found: int) -> HeaderProblem | None:
    """Compare the bytes that the tensors need with those that the file has after its header."""
    if found < declared:
        message = f"the tensors need {declared} bytes of data, the file ends after {found}"
        return HeaderProblem("data-too-short", None, message)
    if found > declared:
        message = f"the tensors need {declared} bytes of data, the file goes on for {found - declared} more"
        return HeaderProblem("data-too-long", None, message)
    return None


def _walk(tensors: Mapping[str, Tensor]) -> Iterator[HeaderProblem]:
    position = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        start, end = tensor.data_offsets
        if tensor.dtype not in BITS:
            yield unknown_dtype(name, tensor.dtype)
        elif end >= start:
            yield from _size_problems(name, tensor)
        if end < start:
            yield HeaderProblem("offsets-reversed", name, f"its data ends at byte {end}, before it starts at {start}")
        elif start > position:
            yield HeaderProblem("hole", name, f"bytes {position} to {start} before its data belong to no tensor")
        elif start < position:
            message = f"its data starts at byte {start}, inside the data before it, which ends at {position}"
            yield HeaderProblem("overlap", name, message)
        position = max(position, end)


def _size_problems(name: str, tensor: Tensor) -> Iterator[HeaderProblem]:
    shape = list(tensor.shape[:MAX_SHOWN_DIMENSIONS])
    bits = shape_bits(tensor.dtype, tensor.shape)
    if bits is None:
        yield HeaderProblem("size-overflow", name, f"shape {shape} of {tensor.dtype} needs more than 2**64 bits")
    elif bits % 8:
        yield HeaderProblem("half-byte", name, f"shape {shape} of {tensor.dtype} needs {bits} bits, not whole bytes")
    elif bits // 8 != tensor.nbytes:
        message = f"shape {shape} of {tensor.dtype} needs {bits // 8} bytes, its offsets span {tensor.nbytes}"
        yield HeaderProblem("size-mismatch", name, message)
