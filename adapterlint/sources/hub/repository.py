"""Folders of repositories on the Hub, behind the protocol that a folder on this machine has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from adapterlint.files.byte_reader import ByteReader
from adapterlint.files.safetensors_header import FIRST_READ_BYTES
from adapterlint.sources import Entry, SourceError, Unreachable, inside
from adapterlint.sources.hub import client
from adapterlint.sources.hub.client import Info, Piece
from adapterlint.sources.hub.names import Reference
from adapterlint.sources.hub.store import Store


@dataclass(slots=True, eq=False)
class Hub:
    """The Hub, and what is kept of it.

    Args:
        store: What is kept.
        offline: Whether nothing may be asked for.
    """

    store: Store
    offline: bool = False

    @classmethod
    def of_user(cls, *, offline: bool = False) -> Hub:
        """The Hub that `HF_ENDPOINT` names, with the user's cache."""
        from huggingface_hub import is_offline_mode

        return cls(Store.of_user(client.endpoint()), offline or is_offline_mode())

    def repository(self, reference: Reference, info: Info | None = None) -> Repository:
        """A repository at the commit that its revision is now.

        Args:
            info: What the Hub has said of it already.

        Raises:
            Unreachable: It could not be had.
        """
        repo, revision = reference.repo, reference.revision
        if info is None and self.offline:
            info = self.store.info(repo, revision)
            if info is None:
                message = "Nothing is kept of it, and nothing is asked for because of --offline or HF_HUB_OFFLINE"
                raise Unreachable(message, place=reference.place)
        elif info is None:
            info = _info(reference)
            self.store.keep_info(repo, revision, info)
        return Repository(self, repo, info)

    def piece(self, repo: str, commit: str, path: str, start: int | None, length: int) -> Piece:
        """A part of a file, kept or asked for.

        Raises:
            Unreachable: It could not be had.
        """
        kept = self.store.piece(repo, commit, path, start, length)
        if kept is not None:
            return kept
        place = inside(f"hf://{repo}", path)
        if self.offline:
            message = "It is not kept, and not asked for because of --offline or HF_HUB_OFFLINE"
            raise Unreachable(message, place=place)
        piece = client.read(repo, commit, path, start, length, place)
        if piece.size is None:  # a server that sends whole files and does not say how long they are
            piece = replace(piece, size=client.size(repo, commit, path, place))
        self.store.keep_piece(repo, commit, path, start, length, piece)
        return piece


def _info(reference: Reference) -> Info:
    repo, revision, place = reference.repo, reference.revision, reference.place
    try:
        return client.info(repo, revision, place)
    except Unreachable:
        commit = client.commit_of(repo, revision, place) if revision and "/" in revision else None
        if commit is None:
            raise
        return client.info(repo, commit, place)


@dataclass(slots=True, eq=False)
class Repository:
    """A repository at one commit.

    Args:
        hub: Where it is.
        repo: `owner/name`.
        info: Its commit and its files.

    Attributes:
        names: Folder -> names of its files.
    """

    hub: Hub
    repo: str
    info: Info
    names: dict[str, list[str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        for path in sorted(self.info.files):
            folder, _, name = path.rpartition("/")
            self.names.setdefault(folder, []).append(name)

    def folders(self, below: str = "") -> list[str]:
        """The folders from one down."""
        return sorted(path for path in self.names if not below or path == below or path.startswith(f"{below}/"))

    def folder(self, path: str) -> HubFolder:
        """One of its folders."""
        return HubFolder(self, path)


class HubFolder:
    """A source that is a folder of a repository on the Hub.

    Args:
        repository: The repository.
        folder: The folder in it, empty for the top.
    """

    far = True

    def __init__(self, repository: Repository, folder: str) -> None:
        self.repository = repository
        self.folder = folder
        self.path = f"hf://{repository.repo}{f'/{folder}' if folder else ''}"
        self._readers: dict[str, HubReader] = {}

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rpartition("/")[2]

    @property
    def commit(self) -> str:
        """The commit whose files these are."""
        return self.repository.info.commit

    @property
    def _names(self) -> list[str]:
        return self.repository.names.get(self.folder, [])

    @property
    def front_matter(self) -> Mapping[str, Any] | None:
        """What the Hub says of the card, which need not be read then."""
        return None if self.folder else self.repository.info.front_matter

    def entries(self) -> Mapping[str, Entry]:
        """The files by name."""
        return {name: Entry(name) for name in self._names}

    def read(self, name: str, limit: int) -> bytes:
        """The first `limit` bytes of a file."""
        return self.reader(name).read_range(0, limit)

    @contextmanager
    def open(self, name: str) -> Iterator[ByteReader]:
        """A file to read by ranges."""
        yield self.reader(name)

    def reader(self, name: str) -> HubReader:
        """The file, with what was read of it already."""
        if name not in self._names:
            raise SourceError("No such file", place=inside(self.path, name))
        if name not in self._readers:
            self._readers[name] = HubReader(self.repository, f"{self.folder}/{name}".lstrip("/"))
        return self._readers[name]


@dataclass(slots=True, eq=False)
class HubReader:
    """The bytes of a file by range. What was read once is not asked for again.

    Of a zip, as torch saves it, the end is read first, of anything else the beginning.
    """

    repository: Repository
    path: str
    _pieces: list[Piece] = field(default_factory=list, init=False)

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        if not self._pieces:
            self._ask(None if self.path.endswith(".bin") else 0, FIRST_READ_BYTES)
        return self._pieces[0].size or 0

    def read_range(self, start: int, length: int) -> bytes:
        """Up to `length` bytes from `start`; fewer where the file ends."""
        size = self.size
        parts: list[bytes] = []
        while length > 0 and start < size:
            piece = next((p for p in self._pieces if p.start <= start < p.start + len(p.data)), None)
            if piece is None:
                piece = self._ask(start, length)
            part = piece.data[start - piece.start :][:length]
            if not part:
                break
            parts.append(part)
            start, length = start + len(part), length - len(part)
        return b"".join(parts)

    def _ask(self, start: int | None, length: int) -> Piece:
        hub, repository = self.repository.hub, self.repository
        piece = hub.piece(repository.repo, repository.info.commit, self.path, start, length)
        self._pieces.append(piece)
        return piece
