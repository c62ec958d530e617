"""A base model: its evidence, and the tree of modules that a release of transformers builds from it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any

from adapterlint.adapter import Unreadable
from adapterlint.base import table
from adapterlint.base.evidence import Evidence, read_evidence
from adapterlint.base.grow import Grower, TooManyModules
from adapterlint.base.guess import tree_of_tensors
from adapterlint.base.parts import Scope, Values, parts_of, renames_of
from adapterlint.base.renames import renamed
from adapterlint.base.tree import ModuleTree, Shape
from adapterlint.caches import kept
from adapterlint.formats import BASE_FILES, MODEL_CONFIG
from adapterlint.sources import Source
from adapterlint.sources.hub import is_hub
from adapterlint.sources.local import LocalFolder

NEWEST = table.RELEASES[0]
MAX_TREES = 32
_ANY_HEAD = ("CAUSAL_LM", "SEQ_2_SEQ_LM", "FEATURE_EXTRACTION")


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A base model as far as its files tell it.

    Two bases of one name with the same config and the same tensors are equal.

    Args:
        name: Folder, as messages show it.
        evidence: What was read.
    """

    name: str
    evidence: Evidence
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        tensors = self.evidence.tensors
        said = repr((self.evidence.config, self.evidence.pickled, None if tensors is None else list(tensors.items())))
        object.__setattr__(self, "fingerprint", hashlib.sha256(said.encode("utf-8", "replace")).hexdigest())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Base) and (self.name, self.fingerprint) == (other.name, other.fingerprint)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def config(self) -> Mapping[str, Any]:
        """`config.json`; empty if there is none."""
        return self.evidence.config or {}

    @property
    def problems(self) -> tuple[Unreadable, ...]:
        """What could not be read."""
        return self.evidence.problems

    @property
    def is_empty(self) -> bool:
        """Whether neither a config nor weights could be read."""
        return self.evidence.config is None and self.evidence.tensors is None

    @property
    def model_type(self) -> str | None:
        """`model_type` of the config, if it is a string."""
        value = self.config.get("model_type")
        return value if isinstance(value, str) else None

    @property
    def architecture(self) -> str | None:
        """The first of `architectures` in the config, if it is a string."""
        value = self.config.get("architectures")
        return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else None

    def tree(
        self, transformers: str = NEWEST, *, architecture: str | None = None, task_type: str | None = None
    ) -> ModuleTree:
        """The modules that transformers builds when it loads the base.

        Args:
            transformers: Its release; those of one major version count as the one in the table.
            architecture: A class, if it is not the one that the config names.
            task_type: A PEFT task; its auto class is used unless the config's class is of that task.

        Returns:
            The tree, shared and not to be changed. With nothing to go by it has the model itself only, and is not
            complete; what had to be guessed is not `certain`.
        """
        return _tree(self, table.release_of(transformers), architecture, task_type)


def load_base(where: str | PathLike[str] | Source) -> Base | None:
    """Read what a base's folder says of it, without reading tensor data.

    Args:
        where: A folder with `config.json`, weights or both (a snapshot of the Hub's cache is one, and a repository of
            the cache, `models--owner--name`, stands for the snapshot of its `main`), or any other source of files.

    Returns:
        `None` if the folder has neither a config nor weights that can be read.
    """
    base = read_base(where)
    return None if base.is_empty else base


def read_base(where: str | PathLike[str] | Source) -> Base:
    """The same for a folder that may have nothing that can be read; `problems` then says why, unless it is no base."""
    if isinstance(where, str | PathLike):
        path = fspath(where)
        source: Source = LocalFolder(snapshot(path) or path)
    else:
        source = where
    return Base(source.path, read_evidence(source))


def snapshot(folder: str) -> str | None:
    """The snapshot that `main` is in a repository of the Hub's cache, or the only one there is."""
    snapshots = os.path.join(folder, "snapshots")
    try:
        if not os.path.isdir(snapshots):
            return None
        with open(os.path.join(folder, "refs", "main"), encoding="ascii") as file:
            revision = file.read(128).strip()
    except (OSError, ValueError):
        revision = ""
    if revision and os.sep not in revision and os.path.isdir(os.path.join(snapshots, revision)):
        return os.path.join(snapshots, revision)
    try:
        found = [name for name in sorted(os.listdir(snapshots)) if os.path.isdir(os.path.join(snapshots, name))]
    except OSError:
        return None
    return os.path.join(snapshots, found[0]) if len(found) == 1 else None


def find_base(name: str, *, folder: str) -> str | None:
    """The folder that a base's name means, if it is on this machine; nothing is downloaded.

    Args:
        name: `base_model_name_or_path`: a path (from the adapter's folder, or from the working folder) or the name of a
            repository that has been downloaded into the Hub's cache.
        folder: The adapter's folder.
    """
    if not name.strip() or "\0" in name:
        return None
    # An adapter on the Hub names no folder of this machine, whatever it says.
    for path in () if is_hub(folder) else (os.path.join(folder, name), name):
        found = snapshot(path) or path
        if os.path.isdir(found) and LocalFolder(found).entries().keys() & {MODEL_CONFIG, *_WEIGHTS}:
            return found
    if name.count("/") > 1 or name.startswith((".", "/", "~")) or "\\" in name:
        return None
    return snapshot(os.path.join(_hub_cache(), "models--" + name.replace("/", "--")))


_WEIGHTS = tuple(name for pair in BASE_FILES for name in pair)


def _hub_cache() -> str:
    """Where huggingface_hub keeps repositories (its constants.py)."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return os.path.expanduser(cache)


# --- the tree --------------------------------------------------------------------------------------------------------


@kept(MAX_TREES)
def _tree(base: Base, release: str, architecture: str | None, task_type: str | None) -> ModuleTree:
    name = architecture or _class_name(base, release, task_type)
    entry = table.entry(base.model_type, name, release) if name else None
    tensors = base.evidence.tensors
    known: dict[str, Any] = {"config": base.config, "model_type": base.model_type, "name": base.name}
    if entry is not None:
        whole = Scope(entry, Values(base.config, entry))
        parts = parts_of(entry, base.config, release)
        if tensors is not None:
            tensors = renamed(tensors, renames_of(entry, parts), new=release == NEWEST)
            tensors = _with_prefix(tensors, entry)
        try:
            packed = isinstance(base.config.get("quantization_config"), dict)
            pickled = base.evidence.pickled
            return Grower(whole, parts, release, tensors, packed=packed, pickled=pickled).grow(base.config, base.name)
        except TooManyModules:
            pass
    return tree_of_tensors(tensors or {}, architecture=name, **known)


def _class_name(base: Base, release: str, task_type: str | None) -> str | None:
    known = table.family(base.model_type) if base.model_type else None
    tasks = known.tasks.get(release, {}) if known else {}
    own = base.architecture
    if task_type is not None and task_type in tasks and own != tasks[task_type]:
        return tasks[task_type]
    return own or next((tasks[t] for t in _ANY_HEAD if t in tasks), None)


def _with_prefix(tensors: Mapping[str, Shape | None], entry: table.Entry) -> Mapping[str, Shape | None]:
    """The tensors with or without the name of the base model before them, as the class has it."""
    prefix = entry.data.get("p")
    if not prefix:
        return tensors
    top = _names(entry, entry.root)
    inner = _names_below(entry, prefix)
    result = {}
    for key, shape in tensors.items():
        first, _, rest = key.partition(".")
        if first == prefix and prefix not in top and rest.partition(".")[0] in top:
            key = rest
        elif first not in top and first in inner:
            key = f"{prefix}.{key}"
        result[key] = shape
    return result


def _names(entry: table.Entry, ref: int) -> set[str]:
    _, _, parameters, buffers, children = entry.nodes[ref]
    return {*parameters, *buffers, *(child[0] for child in children)}


def _names_below(entry: table.Entry, name: str) -> set[str]:
    choice = next((child[1] for child in entry.nodes[entry.root][4] if child[0] == name), None)
    return _names(entry, choice) if isinstance(choice, int) else set()
