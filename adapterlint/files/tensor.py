"""What a checkpoint says of one tensor, and how many bytes its shape needs."""

from __future__ import annotations

import msgspec

BITS = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
"""Bits of one element of every dtype that safetensors 0.8.0 knows (`Dtype::bitsize`)."""

U64_MAX = 2**64 - 1


class Tensor(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One tensor of a checkpoint.

    Attributes:
        dtype: Name of the element type as safetensors writes it, `"F32"`, `"BF16"`.
        shape: Size of each dimension; `()` for a scalar.
        data_offsets: First byte and end of the data, counted from the end of the header.
    """

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Bytes between the offsets; what the shape needs is `shape_nbytes`."""
        start, end = self.data_offsets
        return end - start


def shape_bits(dtype: str, shape: tuple[int, ...]) -> int | None:
    """Return the bits that a tensor needs, or `None` if the dtype is unknown or a number passes 64 bits.

    Multiplied from left to right as `Metadata::validate` of safetensors does: a dimension of 0 after an overflow does
    not mend it.
    """
    if dtype not in BITS:
        return None
    elements = 1
    for size in shape:
        elements *= size
        if size > U64_MAX or elements > U64_MAX:
            return None
    bits = elements * BITS[dtype]
    return bits if bits <= U64_MAX else None


def shape_nbytes(dtype: str, shape: tuple[int, ...]) -> int | None:
    """Return the bytes that a tensor needs, or `None` if there is no such number (see `shape_bits`, or half a byte)."""
    bits = shape_bits(dtype, shape)
    return None if bits is None or bits % 8 else bits // 8
