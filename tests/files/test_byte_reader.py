from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapterlint.files.byte_reader import ByteReader, BytesReader


@given(st.binary(max_size=20), st.integers(0, 30), st.integers(0, 30))
def test_ranges_are_slices(data: bytes, start: int, length: int) -> None:
    reader: ByteReader = BytesReader(data)
    assert reader.size == len(data)
    assert reader.read_range(start, length) == data[start : start + length]
