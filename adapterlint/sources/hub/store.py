"""What is kept of the Hub's answers, by commit: parts of files never change under one, so they are asked for once.

Nothing that was sent is kept, and nothing that a run needs: a folder that cannot be written is done without.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from adapterlint.sources.hub.client import Info, Piece

MAX_PIECE_BYTES = 16 * 1024 * 1024  # of one part of a file
MAX_DAYS = 60  # a commit that was not asked for since is forgotten

_REF = ".ref"


class _Stored(msgspec.Struct):
    start: int
    size: int | None
    data: bytes


class Store:
    """A folder of parts of files.

    Args:
        folder: Where it is; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._swept = False

    @classmethod
    def of_user(cls, endpoint: str) -> Store:
        """That of the user, for one Hub."""
        from platformdirs import user_cache_dir

        host = urlsplit(endpoint).netloc.rpartition("@")[2] or "hub"
        return cls(Path(user_cache_dir("adapterlint", appauthor=False)) / "hub" / host.replace(":", "_"))

    def piece(self, repo: str, commit: str, path: str, start: int | None, length: int) -> Piece | None:
        """A part of a file that was kept."""
        raw = self._read(self._commit(repo, commit) / _key(path, start, length))
        if raw is None:
            return None
        try:
            stored = msgspec.msgpack.decode(raw, type=_Stored)
        except msgspec.DecodeError:
            return None
        return Piece(stored.start, stored.data, stored.size)

    def keep_piece(self, repo: str, commit: str, path: str, start: int | None, length: int, piece: Piece) -> None:
        """Keep a part of a file."""
        if len(piece.data) <= MAX_PIECE_BYTES:
            raw = msgspec.msgpack.encode(_Stored(piece.start, piece.size, piece.data))
            self._write(self._commit(repo, commit) / _key(path, start, length), raw)

    def info(self, repo: str, revision: str | None) -> Info | None:
        """What the Hub said last of a repository at a revision."""
        ref = self._read(self._repo(repo) / _key(revision or "main") / _REF)
        commit = ref.decode("ascii", "replace") if ref else (revision or "")
        raw = self._read(self._commit(repo, commit) / _key("info")) if commit else None
        try:
            return msgspec.msgpack.decode(raw, type=Info) if raw is not None else None
        except msgspec.DecodeError:
            return None

    def keep_info(self, repo: str, revision: str | None, info: Info) -> None:
        """Keep what the Hub says of a repository at a revision."""
        self._write(self._repo(repo) / _key(revision or "main") / _REF, info.commit.encode("ascii", "replace"))
        self._write(self._commit(repo, info.commit) / _key("info"), msgspec.msgpack.encode(info))

    def _repo(self, repo: str) -> Path:
        return self.folder / repo.replace("/", "--")

    def _commit(self, repo: str, commit: str) -> Path:
        return self._repo(repo) / _key(commit)

    def _read(self, path: Path) -> bytes | None:
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            os.utime(path.parent)  # what is read is not forgotten
        return raw

    def _write(self, path: Path, raw: bytes) -> None:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(raw)
                os.replace(name, path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
            self._sweep()

    def _sweep(self) -> None:
        """Forget what was not read for long, once a run."""
        if self._swept:
            return
        self._swept = True
        oldest = time.time() - MAX_DAYS * 24 * 3600
        for folder in self.folder.glob("*/*"):
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _key(*parts: object) -> str:
    """A file name for anything, whatever characters it has."""
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()[:40]
