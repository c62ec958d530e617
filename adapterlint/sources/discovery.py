"""Which folders under the given paths hold an adapter, or something else that people keep beside adapters."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from adapterlint.errors import AdapterlintError
from adapterlint.sources import inside
from adapterlint.sources.local import LocalFolder, is_file

MAX_FOLDERS = 200_000  # folders walked in one run
MAX_DEPTH = 64  # folders below an argument

SKIPPED = frozenset(
    {".git", ".hg", ".svn", "__MACOSX", "__pycache__", "node_modules", ".venv", ".tox", ".nox", ".mypy_cache",
     ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints", "blobs", ".locks", ".no_exist"}
)  # fmt: skip
HEADER_SUFFIX = ".safetensors.header"  # a header without its data

# Names that make a folder worth loading; what it really is, `adapter.py` decides.
_TELLING = re.compile(
    r"adapter_config\.json|adapter_model\.(safetensors|safetensors\.header|bin)|adapters\.(safetensors|npz)"
    r"|pytorch_adapter\.bin|adapter\.safetensors|head_config\.json|pytorch_lora_weights\.(safetensors|bin)|config\.json"
)
_WEIGHTS = (".safetensors", HEADER_SUFFIX)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A folder that may hold an adapter.

    Args:
        source: The folder.
        weights: The weights file an argument named, if it named one by a name of its own.
    """

    source: LocalFolder
    weights: str | None = None


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a walk found, and what it could not reach.

    Args:
        candidates: In the order of the arguments, each folder once.
        problems: One error an argument or folder that could not be looked at.
    """

    candidates: tuple[Candidate, ...]
    problems: tuple[AdapterlintError, ...]


def discover(paths: list[str], *, exclude: tuple[str, ...] = ()) -> Discovery:
    """Walk folders and files, in the order given.

    Args:
        paths: Folders (walked down), adapter folders, or single files of an adapter.
        exclude: Glob patterns of paths that are left out.
    """
    walk = _Walk(exclude)
    candidates = [candidate for path in paths for candidate in walk.argument(path)]
    return Discovery(tuple(candidates), tuple(walk.problems))


class _Walk:
    """The state of one discovery: what has been seen, so that each folder counts once and loops of links end."""

    def __init__(self, exclude: tuple[str, ...]) -> None:
        self.exclude = exclude
        self.walked: set[tuple[int, int]] = set()
        self.found: set[tuple[int, int, str | None]] = set()
        self.problems: list[AdapterlintError] = []

    def argument(self, path: str) -> Iterator[Candidate]:
        path = os.path.normpath(path)
        try:
            if os.path.isdir(path):
                yield from self.folder(path, 0)
            elif os.path.lexists(path):
                yield from self.file(path)
            else:
                self.problems.append(AdapterlintError("There is no such file or folder", place=path))
        except ValueError:  # a NUL in a path
            self.problems.append(AdapterlintError("This is not a path", place=path))

    def file(self, path: str) -> Iterator[Candidate]:
        """The adapter that a file belongs to; nothing for a file that belongs to none."""
        folder, name = os.path.split(path)
        folder = folder or "."
        named = name if name.endswith(_WEIGHTS) and not _TELLING.fullmatch(name) else None
        if (named or _TELLING.fullmatch(name)) and not name.startswith("._"):
            yield from self.once(Candidate(LocalFolder(folder), named), folder)

    def folder(self, path: str, depth: int) -> Iterator[Candidate]:
        identity = self.identity(path)
        if identity is None or identity in self.walked:
            return
        if depth > MAX_DEPTH or len(self.walked) >= MAX_FOLDERS:
            self.problems.append(AdapterlintError(f"Not looked at: over {MAX_DEPTH} levels deep", place=path))
            return
        self.walked.add(identity)
        try:
            with os.scandir(path) as entries:
                found = sorted(entries, key=lambda e: e.name)
        except OSError as error:
            self.problems.append(AdapterlintError(f"{error.strerror}: the folder is skipped", place=path))
            return
        files = {e.name: e.is_symlink() for e in found if is_file(e)}
        if "pyvenv.cfg" in files:  # a virtual environment by any name
            return
        if telling(files):
            yield from self.once(Candidate(LocalFolder(path, files)), path)
        for entry in found:
            below = inside(path, entry.name)
            if entry.name not in files and entry.name not in SKIPPED and not self.excluded(below):
                yield from self.folder(below, depth + 1)

    def once(self, candidate: Candidate, folder: str) -> Iterator[Candidate]:
        identity = self.identity(folder)
        if identity is not None and (key := (*identity, candidate.weights)) not in self.found:
            self.found.add(key)
            yield candidate

    def identity(self, path: str) -> tuple[int, int] | None:
        try:
            status = os.stat(path)
        except OSError as error:
            self.problems.append(AdapterlintError(f"{error.strerror}: the folder is skipped", place=path))
            return None
        return status.st_dev, status.st_ino

    def excluded(self, path: str) -> bool:
        return any(fnmatch(path, p) or fnmatch(os.path.basename(path), p) for p in self.exclude)


def telling(files: dict[str, bool]) -> bool:
    """Whether a folder's file names say that it may hold an adapter or something like one."""
    return any(_TELLING.fullmatch(name) or name.endswith(_WEIGHTS) for name in files if not name.startswith("._"))
