"""How adapters form fleets: the declared ones, those named on the command line, the rest by their common base."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from adapterlint.adapter import Adapter, Config
from adapterlint.base_names import base_key
from adapterlint.errors import AdapterlintError
from adapterlint.lint.fleet import Fleet, Member
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.tasks import TASKS
from adapterlint.settings import FleetSettings
from adapterlint.words import listed, shown, suggestion

COMMAND_LINE = "command line"  # the name of a fleet that `--activate` and `--order` make

# Versions of one adapter: folders that stand beside each other, or inside the folder of the final adapter.
_STEP = re.compile(r"(?:checkpoint|ckpt|(?:global_?)?step|epoch|iter(?:ation)?)[-_]?(\d+)", re.IGNORECASE)
_FINALS = ("last", "latest", "best", "final")  # the later one is the better choice
_FINAL = re.compile(
    rf"({'|'.join(_FINALS)})(?:[-_](?:model|checkpoint|ckpt|adapter|lora))?"
    rf"|(?:model|checkpoint|ckpt|adapter|lora)[-_]({'|'.join(_FINALS)})",
    re.IGNORECASE,
)
# A revision in the Hub's cache: `.../models--org--name/snapshots/<revision>/...`.
_SNAPSHOT = re.compile(r"([/\\]models--[^/\\]+[/\\]snapshots)[/\\][^/\\]+")


@dataclass(frozen=True, slots=True)
class Fleets:
    """All fleets of a run, and what could not be formed.

    Args:
        by_path: Folder of an adapter -> name of its declared fleet, or the base that it shares with others.
    """

    fleets: tuple[Fleet, ...]
    problems: tuple[AdapterlintError, ...] = ()
    by_path: Mapping[str, str] = field(default_factory=dict)


def form_fleets(
    adapters: Sequence[tuple[Adapter, Footprint | None]],
    declared: Sequence[FleetSettings] = (),
    *,
    base: str | None = None,
    activate: Sequence[Sequence[str]] = (),
    order: Sequence[str] = (),
) -> Fleets:
    """Group adapters into fleets.

    First the declared ones. Then those that the command line names: each set, and the order, are about adapters of one
    model, so sets with a common name make one fleet. Then the rest by the base that they name, without older versions
    of an adapter; an adapter that names no base is in no fleet, unless the base was given.

    Args:
        adapters: With their footprints, in the order in which they were found; without one an adapter is only known
            by name.
        declared: Fleets of the settings, with folders as seen from the working folder.
        base: The base of all adapters, if it was given.
        activate: Sets of names from the command line.
        order: Load order from the command line.
    """
    forming = _Forming(adapters, base)
    lines = [tuple(dict.fromkeys(line)) for line in activate if line]
    order = tuple(dict.fromkeys(order))
    fleets = []
    for settings in declared:
        known = settings.adapters.keys()
        mine = tuple(line for line in lines if known >= set(line))
        lines = [line for line in lines if line not in mine]
        ordered, order = (order, ()) if order and known >= set(order) else (settings.order, order)
        fleets.append(forming.declared(settings, (*settings.activate, *mine), tuple(ordered)))
    fleets += forming.named(lines, order, [name for settings in declared for name in settings.adapters])
    fleets += forming.found()
    kept = tuple(f for f in fleets if len(f.members) > 1 or (f.members and f.unknown))
    by_path = {m.path: f.name or f.base or "" for f in kept for m in f.members}
    return Fleets(kept, tuple(forming.problems), by_path)


def left_out(declared: Sequence[FleetSettings], found: Iterable[str]) -> list[str]:
    """Folders of declared adapters that were not found, though others of their fleet were: a fleet is judged whole."""
    known = {os.path.realpath(path) for path in found}
    fleets = [{os.path.realpath(path): path for path in fleet.adapters.values()} for fleet in declared]
    absent = {real: path for fleet in fleets if fleet.keys() & known for real, path in fleet.items()}
    return [path for real, path in absent.items() if real not in known and os.path.isdir(path)]


class _Forming:
    """All adapters, which of them are in a fleet already, and what went wrong."""

    def __init__(self, adapters: Sequence[tuple[Adapter, Footprint | None]], base: str | None) -> None:
        self.base = base
        self.problems: list[AdapterlintError] = []
        self.all: dict[str, tuple[Adapter, Footprint | None]] = {}
        self.taken: set[str] = set()
        for adapter, touched in adapters:
            self.all.setdefault(os.path.realpath(adapter.path), (adapter, touched))
        self.names = short_names(self.all)

    def declared(self, settings: FleetSettings, sets: tuple[tuple[str, ...], ...], order: tuple[str, ...]) -> Fleet:
        members = []
        for name, folder in sorted(settings.adapters.items(), key=lambda item: _rank(item[0], order)):
            if not os.path.isdir(folder) and os.path.realpath(folder) not in self.all:
                self.problems.append(
                    AdapterlintError(f"There is no folder {shown(folder)}", place=f"fleet {settings.name}")
                )
            members += self.take(os.path.realpath(folder), name)
        spoken = dict.fromkeys(name for names in (*sets, order) for name in names)
        unknown = tuple(name for name in spoken if name not in settings.adapters)
        return Fleet(settings.name, settings.base or self.base, tuple(members), sets, unknown, bool(order))

    def named(self, lines: Sequence[tuple[str, ...]], order: tuple[str, ...], others: Iterable[str]) -> list[Fleet]:
        """One fleet for all sets that have a name in common."""
        folders = {name: folder for line in (*lines, order) for name in line if (folder := self.folder(name, others))}
        fleets = []
        for names in _connected((*lines, order)):
            chosen = sorted((n for n in folders if n in names), key=lambda n: _rank(n, order))
            members = [m for n in chosen for m in self.take(folders[n], n)]
            base = self.base or next((m.config.base_model for m in members if m.config.base_model), None)
            sets = tuple(line for line in lines if names >= set(line))
            fleets.append(Fleet(COMMAND_LINE, base, tuple(members), sets, (), bool(names & set(order))))
        return fleets

    def folder(self, name: str, others: Iterable[str]) -> str | None:
        """The folder of the adapter in no fleet yet that a name on the command line means."""
        free = [f for f in self.all if f not in self.taken]
        found = [f for f in free if self.names[f] == name] or [f for f in free if self.all[f][0].name == name]
        if len(found) == 1:
            return found[0]
        if found:
            message = f"Several adapters have this name: {listed(self.names[f] for f in found)}"
        else:
            near = suggestion(name, [*self.names.values(), *others])
            message = "No adapter has this name" + (f"; did you mean {shown(near)}" if near else "")
        self.problems.append(AdapterlintError(message, place=name))
        return None

    def found(self) -> Iterator[Fleet]:
        """The adapters in no fleet yet, by the base and the model class that they need."""
        groups: dict[str, list[Member]] = {}
        for folder in latest_of([f for f in self.all if f not in self.taken]):
            for member in self.take(folder, self.names[folder]):
                named = self.base or member.config.base_model
                if named:
                    groups.setdefault(base_key(named), []).append(member)
        for named, group in groups.items():
            yield from (Fleet(None, named, tuple(members)) for members in _by_class(group))

    def take(self, folder: str, name: str) -> list[Member]:
        """The adapter of a folder as a member, nothing if it could not be read; declared fleets may share one."""
        self.taken.add(folder)
        adapter, touched = self.all.get(folder, (None, None))
        if adapter is None or adapter.config is None or touched is None:
            return []
        return [Member(name, adapter, adapter.config, touched)]


def _rank(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _connected(lines: Iterable[tuple[str, ...]]) -> list[set[str]]:
    """Names that some line connects, in the order in which they first appear."""
    groups: list[set[str]] = []
    for line in lines:
        met = [group for group in groups if group & set(line)]
        groups = [group for group in groups if group not in met]
        groups += [set(line).union(*met)] if line else []
    return groups


def _by_class(members: Iterable[Member]) -> Iterator[list[Member]]:
    """Adapters that one model class can take; those that do not say which count in if there is no choice."""
    classes: dict[str | None, list[Member]] = {}
    members = list(members)
    for member in members:
        classes.setdefault(_model_class(member.config), []).append(member)
    yield from [members] if len(classes.keys() - {None}) < 2 else classes.values()


def _model_class(config: Config) -> str | None:
    """The task type whose model class an adapter needs, or `None` if its config does not say."""
    task, trained = config.get("task_type"), config.mapping("auto_mapping").get("base_model_class")
    if isinstance(task, str) and task in TASKS and TASKS[task].has_class:
        return task
    trained = trained if isinstance(trained, str) else ""
    return next((name for name, task in TASKS.items() if trained.endswith(task.models)), None)


def short_names(folders: Iterable[str]) -> dict[str, str]:
    """Folder -> its last components, as few as tell it from all others."""
    parts = {folder: folder.replace("\\", "/").strip("/").split("/") for folder in folders}
    names: dict[str, str] = {}
    depth = 1
    while len(names) < len(parts):
        tails = {folder: "/".join(path[-depth:]) for folder, path in parts.items()}
        counts = Counter(tails.values())
        for folder, tail in tails.items():
            if folder not in names and (counts[tail] == 1 or depth >= len(parts[folder])):
                names[folder] = tail
        depth += 1
    return names


def latest_of(folders: Iterable[str]) -> list[str]:
    """Folders without those of other versions: the final adapter of a training run, else its best or latest one.

    Of a repository in the Hub's cache one revision stands for all.
    """
    revisions = {_SNAPSHOT.sub(r"\1", folder): folder for folder in folders}
    everything = list(revisions.values())
    runs: dict[str, list[tuple[tuple[int, int], str]]] = {}
    for folder in everything:
        version = _version(os.path.basename(folder))
        if version is not None:
            runs.setdefault(os.path.dirname(folder), []).append((version, folder))
    old = {f for run, versions in runs.items() for _, f in versions if run in folders or (_, f) != max(versions)}
    return [folder for folder in everything if folder not in old]


def _version(name: str) -> tuple[int, int] | None:
    step, final = _STEP.fullmatch(name), _FINAL.fullmatch(name)
    if step:
        return 0, int(step[1])
    return (1, _FINALS.index((final[1] or final[2]).lower())) if final else None
