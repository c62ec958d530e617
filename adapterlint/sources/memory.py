"""A folder in memory: what examples, demos and tests are made of."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from adapterlint.files.byte_reader import ByteReader, BytesReader
from adapterlint.sources import Entry, SourceError, inside


class MemoryFolder:
    """A source that holds its files as bytes.

    Args:
        path: The folder as messages show it.
        files: Contents by file name.
        links: Where files that are links really lie, by file name.
    """

    far = False
    commit = None
    front_matter = None

    def __init__(self, path: str, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.files = dict(files)
        self.links = dict(links or {})

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rstrip("/").rpartition("/")[2]

    def entries(self) -> Mapping[str, Entry]:
        """The files by name; a link without a file is a dangling one."""
        return {name: Entry(name, self.links.get(name)) for name in sorted({*self.files, *self.links})}

    def read(self, name: str, limit: int) -> bytes:
        """The first `limit` bytes of a file."""
        return self._bytes(name)[:limit]

    @contextmanager
    def open(self, name: str) -> Iterator[ByteReader]:
        """A file to read by ranges."""
        yield BytesReader(self._bytes(name))

    def _bytes(self, name: str) -> bytes:
        try:
            return self.files[name]
        except KeyError:
            raise SourceError(os.strerror(errno.ENOENT), place=inside(self.path, name)) from None
