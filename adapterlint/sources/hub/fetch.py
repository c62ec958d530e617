"""Everything that a run needs from the Hub, asked for side by side before anything is judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from adapterlint.errors import AdapterlintError
from adapterlint.files.safetensors_header import FIRST_READ_BYTES, HeaderError, read_raw_header
from adapterlint.files.torch_pickle import PickleError, read_torch_pickle
from adapterlint.formats import (
    BASE_FILES,
    CARD,
    CONFIG,
    MODEL_CONFIG,
    SAFETENSORS,
    WEIGHTS,
    is_telling,
    shards_of,
    weights_of,
)
from adapterlint.sources import SourceError, Unreachable
from adapterlint.sources.hub import Progress, client
from adapterlint.sources.hub.client import Info
from adapterlint.sources.hub.names import Reference, parse
from adapterlint.sources.hub.repository import Hub, HubFolder, HubReader

MAX_REPOSITORIES = 1_000  # of one owner or collection
MAX_FOLDERS = 500  # of one repository


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an input on the Hub led to.

    Args:
        folders: Folders that may hold an adapter, with the weights file that the input named, if it named one.
        problems: What could not be had.
    """

    folders: tuple[tuple[HubFolder, str | None], ...] = ()
    problems: tuple[AdapterlintError, ...] = ()

    @classmethod
    def of(cls, parts: Iterable[Fetched]) -> Fetched:
        """All that several led to."""
        parts = tuple(parts)
        return cls(tuple(f for part in parts for f in part.folders), tuple(p for part in parts for p in part.problems))


def fetch(inputs: Sequence[str], hub: Hub, progress: Progress | None = None) -> list[Fetched]:
    """Ask for the adapters of inputs on the Hub, side by side; what they are judged by is in their folders then."""
    with ThreadPoolExecutor(client.MAX_CONNECTIONS) as pool:
        listed = list(pool.map(lambda text: _listed(text, hub), inputs))
        todo = [one for those, _ in listed for one in those]
        fetched: list[Fetched] = []
        for found in pool.map(lambda one: _fetched(one[0], one[1], hub), todo):
            fetched.append(found)
            if progress is not None:
                progress(len(fetched), len(todo))
    rest = iter(fetched)
    return [Fetched.of([Fetched(problems=told), *(next(rest) for _ in those)]) for those, told in listed]


def fetch_base(reference: Reference, hub: Hub) -> HubFolder:
    """Ask for the config and the headers of a base model, side by side; they are in the folder then.

    Raises:
        Unreachable: It could not be had.
    """
    repository = hub.repository(reference)
    folder = repository.folder(reference.path)
    names = folder.entries()
    shards = shards_of(names)
    wanted = shards or [name for pair in BASE_FILES for name in pair if name in names][:1]
    with ThreadPoolExecutor(client.MAX_CONNECTIONS) as pool:
        list(pool.map(lambda name: _warm(folder.reader(name)), [n for n in (MODEL_CONFIG, *wanted) if n in names]))
    return folder


def _listed(text: str, hub: Hub) -> tuple[list[tuple[Reference, Info | None]], tuple[AdapterlintError, ...]]:
    """The repositories that an input means."""
    try:
        meant = parse(text)
        if isinstance(meant, Reference):
            return [(meant, None)], ()
        if hub.offline:
            raise Unreachable(
                "Nothing is asked for because of --offline or HF_HUB_OFFLINE, and what the Hub lists is not kept",
                place=meant.place,
            )
        if meant.owner is not None:
            models = client.models_of(meant.owner, MAX_REPOSITORIES, meant.place)
        else:
            models = [(name, None) for name in client.models_in(meant.collection or "", meant.place)]
    except SourceError as error:
        return [], (error,)
    told: tuple[AdapterlintError, ...] = ()
    if len(models) > MAX_REPOSITORIES:
        told = (AdapterlintError(f"Only the first {MAX_REPOSITORIES:,} repositories are looked at", place=meant.place),)
    return [(Reference(name), info) for name, info in models[:MAX_REPOSITORIES]], told


def _fetched(reference: Reference, info: Info | None, hub: Hub) -> Fetched:
    """The folders of a repository that may hold an adapter, with the parts of the adapters."""
    try:
        repository = hub.repository(reference, info)
        if reference.path in repository.info.files:
            folder, _, name = reference.path.rpartition("/")
            found = {folder: weights_of(name)} if is_telling(name) or name == CARD else {}
        else:
            folders = repository.folders(reference.path)
            if reference.path and not folders:
                raise Unreachable("The repository has no such folder or file", place=reference.place)
            found = {path: None for path in folders if any(map(is_telling, repository.names[path]))}
        ready = [(repository.folder(path), named) for path, named in found.items()]
        for source, named in ready[:MAX_FOLDERS]:
            _warm_adapter(source, named)
    except SourceError as error:
        return Fetched(problems=(error,))
    if len(ready) > MAX_FOLDERS:
        told = AdapterlintError(f"Only the first {MAX_FOLDERS:,} folders are looked at", place=reference.place)
        return Fetched(tuple(ready[:MAX_FOLDERS]), (told,))
    return Fetched(tuple(ready))


def _warm_adapter(folder: HubFolder, named: str | None) -> None:
    """Ask for the parts of an adapter."""
    names = folder.entries()
    if CONFIG in names:
        folder.reader(CONFIG).read_range(0, FIRST_READ_BYTES)
    weights = next((name for name in (*WEIGHTS, named) if name in names), None)
    if weights is not None:
        _warm(folder.reader(weights))
    if CARD in names and folder.front_matter is None and (CONFIG in names or weights is not None):
        folder.reader(CARD).read_range(0, FIRST_READ_BYTES)


def _warm(reader: HubReader) -> None:
    """Ask for the part of a file that is judged: the header of its tensors, or its beginning."""
    if reader.path.endswith(".bin"):
        with suppress(PickleError):
            read_torch_pickle(reader)
    elif reader.path.endswith(SAFETENSORS):
        with suppress(HeaderError):
            read_raw_header(reader)
    else:
        reader.read_range(0, FIRST_READ_BYTES)
