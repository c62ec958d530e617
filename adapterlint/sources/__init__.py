"""Where bytes come from. One protocol for a local folder, a folder in memory and a repository on the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from adapterlint.errors import AdapterlintError
from adapterlint.files.byte_reader import ByteReader


class SourceError(AdapterlintError):
    """A file of a source could not be read."""


class Unreachable(SourceError):
    """Something on the Hub could not be had, so that it cannot be judged."""


def inside(folder: str, name: str) -> str:
    """The path of a file as it is shown; the working folder itself is not named."""
    return name if folder in ("", ".") else f"{folder}/{name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source.

    Args:
        name: File name, without folders.
        leaves: Where the file really lies if it is a link that leads out of its folder (and out of the repository's
            own cache), else `None`.
    """

    name: str
    leaves: str | None = None


class Source(Protocol):
    """One folder: what files it has, and their bytes."""

    @property
    def path(self) -> str:
        """The folder as messages show it."""

    @property
    def name(self) -> str:
        """Last component of the folder's real path: the adapter's name if nothing else names it."""

    @property
    def far(self) -> bool:
        """Whether every file costs a request, so that none is read that says nothing more."""

    @property
    def commit(self) -> str | None:
        """The commit whose files these are, of a repository on the Hub."""

    @property
    def front_matter(self) -> Mapping[str, Any] | None:
        """What is known of the model card without reading it; `None` if it has to be read."""

    def entries(self) -> Mapping[str, Entry]:
        """The folder's files (not its sub-folders) by name, in order of name."""

    def read(self, name: str, limit: int) -> bytes:
        """The first `limit` bytes of a file.

        Raises:
            SourceError: The file cannot be read, or is no regular file.
        """

    def open(self, name: str) -> AbstractContextManager[ByteReader]:
        """A file to read by ranges.

        Raises:
            SourceError: The file cannot be read, or is no regular file.
        """
