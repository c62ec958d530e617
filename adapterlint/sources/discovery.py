"""Which folders under the given paths hold an adapter, or something else that people keep beside adapters."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adapterlint.errors import AdapterlintError
from adapterlint.formats import CARD, is_telling, weights_of
from adapterlint.globs import matches
from adapterlint.sources import Source, inside
from adapterlint.sources.hub import NONE, Network, is_hub
from adapterlint.sources.local import MAX_ENTRIES, LocalFolder, is_file, list_files

if TYPE_CHECKING:
    from adapterlint.sources.hub.fetch import Fetched

MAX_FOLDERS = 200_000  # folders walked in one run
MAX_DEPTH = 64  # folders below an argument

SKIPPED = frozenset(
    {".git", ".hg", ".svn", "__MACOSX", "__pycache__", "node_modules", ".venv", ".tox", ".nox", ".mypy_cache",
     ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints", "blobs", ".locks", ".no_exist"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A folder that may hold an adapter.

    Args:
        source: The folder.
        weights: The weights file an argument named, if it named one by a name of its own.
        asked: Whether it is to be judged; the others are there for the fleets that those belong to.
    """

    source: Source
    weights: str | None = None
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a walk found, and what it could not reach.

    Args:
        candidates: In the order of the arguments, each folder once.
        problems: One error an argument or folder that could not be looked at.
    """

    candidates: tuple[Candidate, ...]
    problems: tuple[AdapterlintError, ...]


def discover(
    paths: Sequence[str], *, exclude: tuple[str, ...] = (), among: Sequence[str] = (), network: Network = NONE
) -> Discovery:
    """Walk folders and files, in the order given.

    Args:
        paths: Folders (walked down), adapter folders, or single files of an adapter; or what is meant for the Hub,
            which is asked for all of it before anything is read.
        exclude: Glob patterns of paths that are left out.
        among: Where else adapters are that are not asked for themselves. They are walked first, so that adapters come
            in one order whichever of them are asked for. `paths` may then name files of adapters that are gone: they
            are what changed since somebody looked.
        network: What may be asked for.
    """
    far = network.fetch([path for path in (*paths, *among) if is_hub(path)])
    walk = _Walk(exclude, far, gone=bool(among))
    asked = [candidate for path in paths for candidate in walk.argument(path)]
    if not among:
        return Discovery(tuple(asked), tuple(walk.problems))
    mine: dict[str, list[Candidate]] = {}
    for candidate in asked:
        mine.setdefault(os.path.realpath(candidate.source.path), []).append(candidate)
    around = _Walk(exclude, far)
    candidates: list[Candidate] = []
    for other in [candidate for path in among for candidate in around.argument(path)]:
        candidates += mine.pop(os.path.realpath(other.source.path), [replace(other, asked=False)])
    candidates += [candidate for rest in mine.values() for candidate in rest]
    return Discovery(tuple(candidates), (*walk.problems, *around.problems))


class _Walk:
    """The state of one discovery: what has been seen, so that each folder counts once and loops of links end."""

    def __init__(self, exclude: tuple[str, ...], far: Mapping[str, Fetched], *, gone: bool = False) -> None:
        self.exclude = exclude
        self.far = far
        self.gone = gone
        self.walked: set[tuple[int, int]] = set()
        self.found: set[tuple[int, int, str | None]] = set()
        self.fetched_before: set[tuple[str, str, str | None]] = set()
        self.problems: list[AdapterlintError] = []
        self.root = ""
        self.full = False

    def fetched(self, found: Fetched) -> Iterator[Candidate]:
        """The folders of an input on the Hub, each commit of each once."""
        self.problems += found.problems
        for source, weights in found.folders:
            key = (source.path, source.commit, weights)
            skipped = SKIPPED.intersection(source.folder.split("/")) or self.excluded(source.path)
            if key not in self.fetched_before and not skipped:
                self.fetched_before.add(key)
                yield Candidate(source, weights)

    def argument(self, path: str) -> Iterator[Candidate]:
        if path in self.far:
            yield from self.fetched(self.far[path])
            return
        if not path:  # what a variable that is not set leaves; not the folder one stands in
            self.problems.append(AdapterlintError("An empty path names no file or folder"))
            return
        path = os.path.normpath(path)
        try:
            if os.path.isdir(path):
                self.root = os.path.realpath(path)
                yield from self.folder(path, 0)
            elif os.path.lexists(path):
                yield from self.file(path)
            elif self.gone and is_telling(os.path.basename(path)):
                yield from self.file(path) if os.path.isdir(os.path.dirname(path) or ".") else ()
            else:
                self.problems.append(AdapterlintError("There is no such file or folder", place=path))
        except ValueError:  # a NUL in a path
            self.problems.append(AdapterlintError("This is not a path", place=path))

    def file(self, path: str) -> Iterator[Candidate]:
        """The adapter that a file belongs to; nothing for a file that belongs to none."""
        folder, name = os.path.split(path)
        folder = folder or "."
        if is_telling(name) or name == CARD:
            yield from self.once(Candidate(LocalFolder(folder), weights_of(name)), folder)

    def folder(self, path: str, depth: int) -> Iterator[Candidate]:
        identity = self.identity(path)
        if identity is None or identity in self.walked:
            return
        if len(self.walked) >= MAX_FOLDERS:
            if not self.full:
                self.full = True
                self.problems.append(AdapterlintError(f"Only the first {MAX_FOLDERS:,} folders are looked at"))
            return
        self.walked.add(identity)
        try:
            with os.scandir(path) as entries:
                found = sorted((e for e, _ in zip(entries, range(MAX_ENTRIES), strict=False)), key=lambda e: e.name)
        except OSError as error:
            self.problems.append(AdapterlintError(f"{error.strerror}: the folder is skipped", place=path))
            return
        files = {e.name: e.is_symlink() for e in found if is_file(e)}
        if "pyvenv.cfg" in files:  # a virtual environment by any name
            return
        if any(map(is_telling, files)):
            yield from self.once(Candidate(LocalFolder(path, files)), path)
        if depth > MAX_DEPTH:
            self.problems.append(
                AdapterlintError(f"Folders over {MAX_DEPTH} levels deep are not looked at", place=path)
            )
            return
        for entry in found:
            below = inside(path, entry.name)
            if entry.name not in files and entry.name not in SKIPPED and not self.excluded(below):
                yield from self.linked(below) if entry.is_symlink() else self.folder(below, depth + 1)

    def linked(self, path: str) -> Iterator[Candidate]:
        """A folder behind a link: walked down if it lies inside the argument, else only looked at itself."""
        target = os.path.realpath(path)
        if target == self.root or target.startswith(self.root.rstrip(os.sep) + os.sep):
            yield from self.folder(path, 1)
            return
        files = list_files(path)
        if any(map(is_telling, files)):
            yield from self.once(Candidate(LocalFolder(path, files)), path)

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
        return bool(self.exclude) and matches(path, self.exclude)
