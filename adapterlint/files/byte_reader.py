"""Bytes of one file by range, so that a local file and an HTTP range request look alike."""

from __future__ import annotations

from typing import Protocol


class ByteReader(Protocol):
    """Random access to the bytes of one file.

    Implementations raise `AdapterlintError` when the bytes cannot be had (a vanished file, a refused request).
    """

    @property
    def size(self) -> int:
        """Length of the file in bytes."""

    def read_range(self, start: int, length: int) -> bytes:
        """Return the bytes of `[start, start + length)`, cut at the end of the file as `bytes` slices are.

        Args:
            start: Offset of the first byte, >= 0; at or past the end gives `b""`.
            length: Number of bytes wanted, >= 0.
        """


class BytesReader:
    """A `ByteReader` over bytes in memory."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Length of the data in bytes."""
        return len(self._data)

    def read_range(self, start: int, length: int) -> bytes:
        """Return the bytes of `[start, start + length)`, cut at the end."""
        return self._data[start : start + length]
