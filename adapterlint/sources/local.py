"""A folder on this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from adapterlint.files.byte_reader import ByteReader
from adapterlint.sources import Entry, SourceError, inside

MAX_ENTRIES = 100_000  # files of one folder that are looked at


class FileReader:
    """The bytes of an open file by range."""

    def __init__(self, descriptor: int, size: int, place: str) -> None:
        self._descriptor = descriptor
        self._place = place
        self.size = size

    def read_range(self, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`; fewer where the file ends.

        Raises:
            SourceError: The system could not read them.
        """
        try:
            os.lseek(self._descriptor, start, os.SEEK_SET)
            parts: list[bytes] = []
            while length > 0 and (part := os.read(self._descriptor, length)):
                parts.append(part)
                length -= len(part)
        except (OSError, OverflowError) as error:
            raise SourceError(_reason(error), place=self._place) from error
        return parts[0] if len(parts) == 1 else b"".join(parts)


class LocalFolder:
    """A source that is a folder on this machine.

    Args:
        path: The folder, as messages show it.
        names: The names of its files, if they have been listed already.
    """

    far = False
    commit = None
    front_matter = None

    def __init__(self, path: str, names: Mapping[str, bool] | None = None) -> None:
        self.path = path
        self._names = names  # file name -> is it a link

    @cached_property
    def name(self) -> str:
        """Last component of the folder's absolute path."""
        return os.path.basename(os.path.abspath(self.path))

    def entries(self) -> Mapping[str, Entry]:
        """The files by name; an unreadable folder has none."""
        if self._names is None:
            self._names = list_files(self.path)
        return {name: Entry(name, self._leaves(name) if link else None) for name, link in self._names.items()}

    def read(self, name: str, limit: int) -> bytes:
        """The first `limit` bytes of a file."""
        with self.open(name) as reader:
            return reader.read_range(0, min(limit, max(reader.size, 0)))

    @contextmanager
    def open(self, name: str) -> Iterator[ByteReader]:
        """A file to read by ranges."""
        place = inside(self.path, name)
        try:
            # Not blocking: a FIFO with nobody at its other end must not stop the run.
            descriptor = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except (OSError, ValueError) as error:
            raise SourceError(_reason(error), place=place) from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SourceError("It is not a regular file", place=place)
            yield FileReader(descriptor, status.st_size, place)
        finally:
            os.close(descriptor)

    def _leaves(self, name: str) -> str | None:
        """The target of a link that leads out of the folder and out of the Hub cache the folder lies in."""
        target = os.path.realpath(os.path.join(self.path, name))
        return None if Path(target).is_relative_to(_home(os.path.realpath(self.path))) else target


def list_files(path: str) -> dict[str, bool]:
    """File name -> whether it is a link, in order of name; nothing for an unreadable folder."""
    try:
        with os.scandir(path) as entries:
            found = {e.name: e.is_symlink() for e, _ in zip(entries, range(MAX_ENTRIES), strict=False) if is_file(e)}
    except (OSError, ValueError):  # a NUL in the path
        return {}
    return dict(sorted(found.items()))


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether a folder's entry is anything but a folder (a broken link counts as a file that cannot be read)."""
    try:
        return not entry.is_dir()
    except OSError:
        return True


def _home(folder: str) -> str:
    """The folder whose files belong together: of `models--org--name/snapshots/<rev>/...` the first component."""
    parts = Path(folder).parts
    for i, part in enumerate(parts[:-1]):
        if part.startswith("models--") and parts[i + 1] == "snapshots":
            return os.path.join(*parts[: i + 1])
    return folder


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "It cannot be read"
