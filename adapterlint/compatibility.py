"""`compat`: which releases of PEFT load an adapter as it is meant, for Python programs and the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from adapterlint import __version__
from adapterlint.adapter import Adapter, load_adapter
from adapterlint.base import Base
from adapterlint.base.tree import ModuleTree
from adapterlint.caches import one_run
from adapterlint.errors import AdapterlintError
from adapterlint.formats import Format
from adapterlint.lint.bases import Bases
from adapterlint.lint.classes import tree_for
from adapterlint.peft.footprint import Footprint, footprint_of
from adapterlint.peft.methods import METHODS
from adapterlint.peft.partial import partial_base
from adapterlint.peft.refused import UNDECIDED
from adapterlint.peft.releases import PATCHES, RELEASES, is_known, is_release, newest_patch
from adapterlint.peft.verdicts import Evidence, Verdict, verdict
from adapterlint.peft.versions import usual_transformers
from adapterlint.report.draw import draw_problem
from adapterlint.report.drops import why_not
from adapterlint.report.model import Problem
from adapterlint.simulation import DroppedKey, SimulatedError, drawn_key
from adapterlint.sources.discovery import discover
from adapterlint.words import shown


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReleaseVerdict(_Frozen):
    """What one release of PEFT makes of an adapter.

    Attributes:
        verdict: `ok`; `drops`: it loads, without keys that the release does not know or tensors that have no place in
            it; `raises`; or `unknown`.
        right: Whether it loads, nothing that matters is lost, and a forward pass runs and is another than the base's as
            far as that is known; null if it is not known whether it loads.
        error: What is raised.
        dropped: The keys that are dropped; if the config is refused for keys that are not known, these.
        lost: Names of tensors that reach nothing, and in the newest release that loads the adapter do.
        forward: The class of the error that a forward pass raises; not that of a lack of `task_ids` alone.
        effective: Whether a forward pass gives something else than the base's; null if that is not known.
    """

    verdict: Literal["ok", "drops", "raises", "unknown"]
    right: bool | None
    error: SimulatedError | None = None
    dropped: list[DroppedKey] = []
    lost: list[str] = []
    forward: str | None = None
    effective: bool | None = None


class AdapterCompatibility(_Frozen):
    """One adapter.

    Attributes:
        path: Its folder.
        peft_type: As the config has it.
        base: The base model it was judged in; null if none is at hand.
        evidence: What decided: its modules in the `base`, its `tensors`, or the `config` alone.
        oldest: The oldest release that is right; null if none is.
        newest: The newest one.
        before: Why the release before the oldest is not right; null if there is none that adapterlint knows.
        after: Why the release after the newest is not right.
        releases: Release -> verdict, the oldest first.
    """

    path: str
    peft_type: str | None
    base: str | None
    evidence: Evidence
    oldest: str | None
    newest: str | None
    before: str | None
    after: str | None
    releases: dict[str, ReleaseVerdict]


class Compatibility(_Frozen):
    """Adapters against releases of PEFT; its JSON form is versioned and only ever grows.

    `report/compat_schema.json` is generated from it; a test keeps the two equal.

    Attributes:
        releases: The releases, the oldest first: the newest patch of each line, and those that were named.
        named: Those that were named.
        problems: What could not be read.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    version: str = __version__
    releases: list[str]
    named: list[str] = []
    adapters: list[AdapterCompatibility]
    problems: list[Problem] = []

    def fails(self) -> bool:
        """Whether some adapter is not right in a release that was named."""
        return any(one.releases[release].right is False for one in self.adapters for release in self.named)


def compat(
    paths: str | os.PathLike[str] | Adapter | Iterable[str | os.PathLike[str] | Adapter],
    *,
    base: str | os.PathLike[str] | None = None,
    releases: Iterable[str] | None = None,
) -> Compatibility:
    """Tell which releases of PEFT load adapters as they are meant.

    Args:
        paths: Folders (walked down), adapter folders, single files of adapters, or adapters that are read already.
        base: The base model of all of them: a folder, or the name they have it under. By default what each of them
            names, if that is at hand; without one, what its tensors and its config tell.
        releases: Releases to look at besides the newest patch of each line from 0.10 on: `0.18` or `0.18.0`.

    Raises:
        AdapterlintError: A release is not one.
    """
    named = list(dict.fromkeys(newest_patch(_checked(release)) for release in releases or ()))
    wanted = sorted({*PATCHES.values(), *named}, key=lambda r: tuple(map(int, r.split("."))))
    listed: Iterable[Any] = [paths] if isinstance(paths, str | os.PathLike | Adapter) else paths
    adapters, problems = _read(list(listed))
    bases = Bases(os.fspath(base) if base is not None else None)
    with one_run():
        judged = _Judge(wanted, bases)
        found = [judged(adapter) for adapter in adapters]
    told = [draw_problem(problem) for problem in (*problems, *bases.problems)]
    return Compatibility(releases=wanted, named=named, adapters=found, problems=told)


def _checked(release: str) -> str:
    if not is_release(release):
        raise AdapterlintError(f"{shown(release)} is no release of PEFT; write it like 0.18 or 0.21.2")
    if not is_known(release):
        raise AdapterlintError(f"PEFT {release} is not known, only releases {RELEASES[0]} to {RELEASES[-1]} are")
    return release


def _read(paths: Sequence[str | os.PathLike[str] | Adapter]) -> tuple[list[Adapter], list[AdapterlintError]]:
    """The adapters under paths, in PEFT's format, and what could not be looked at."""
    found = discover([os.fspath(path) for path in paths if not isinstance(path, Adapter)])
    read = (load_adapter(place.source, weights=place.weights) for place in found.candidates)
    adapters = [*(path for path in paths if isinstance(path, Adapter)), *(one for one in read if one is not None)]
    return [one for one in adapters if one.files.format is Format.PEFT], list(found.problems)


_STRENGTH: tuple[Evidence, ...] = ("base", "tensors", "config")
_Judged = tuple[Evidence, dict[str, ReleaseVerdict]]


class _Judge:
    """Judges adapters; those of one recipe are judged once."""

    def __init__(self, releases: Sequence[str], bases: Bases) -> None:
        self.releases = releases
        self.bases = bases
        self._known: dict[object, _Judged] = {}
        self._trees: dict[object, ModuleTree] = {}

    def __call__(self, adapter: Adapter) -> AdapterCompatibility:
        config = adapter.config
        base = self.bases.of(adapter)
        key = (base and id(base), *_recipe(adapter))
        if key not in self._known:
            self._known[key] = self._judged(adapter, base)
        evidence, verdicts = self._known[key]
        right = [release for release, one in verdicts.items() if one.right]
        oldest, newest = (right[0], right[-1]) if right else (None, None)
        peft_type = config.peft_type if config is not None else ""
        places = {release: i for i, release in enumerate(self.releases)}
        before = self.releases[places[oldest] - 1] if oldest is not None and places[oldest] else None
        after = self.releases[places[newest] + 1] if newest is not None and newest != self.releases[-1] else None
        if not right:
            before = self.releases[-1]
        return AdapterCompatibility(
            path=adapter.path,
            peft_type=peft_type or None,
            base=base.name if base is not None and evidence == "base" else None,
            evidence=evidence,
            oldest=oldest,
            newest=newest,
            before=why_not(verdicts[before], before, peft_type) if before is not None else None,
            after=why_not(verdicts[after], after, peft_type) if after is not None else None,
            releases=verdicts,
        )

    def _judged(self, adapter: Adapter, base: Base | None) -> _Judged:
        touched = footprint_of(adapter)
        trees = self._trees_for(adapter, touched, base) if touched is not None else {}
        found = {
            release: verdict(adapter, release, trees.get(usual_transformers(release))) for release in self.releases
        }
        outcomes = {one.outcome for one in found.values()}
        if "unknown" in outcomes and "loads" not in outcomes:  # the config tells more than nothing
            found = {release: verdict(adapter, release, None) for release in self.releases}
        told = {one.evidence for one in found.values()}
        method = METHODS.get(adapter.config.peft_type) if adapter.config is not None else None
        return next(one for one in _STRENGTH if one in told), release_verdicts(
            found,
            len(adapter.header.tensors) if adapter.header is not None else 0,
            lacks_task_ids=method is not None and method.asks_for_task_ids,
        )

    def _trees_for(self, adapter: Adapter, touched: Footprint, base: Base | None) -> Mapping[str, ModuleTree]:
        """Release of transformers -> the modules that the adapter is loaded into."""
        every = dict.fromkeys(map(usual_transformers, self.releases))
        if base is not None and adapter.config is not None:
            found = {release: tree_for(base, [(adapter.config, touched)], release, by_task=False) for release in every}
            if all(len(tree.nodes) > 1 for tree in found.values()):
                return found
        return dict.fromkeys(every, partial_base([touched]))


_NAMES = frozenset({"base_model_name_or_path", "revision"})
_AMOUNTS = frozenset({"lora_alpha", "lora_dropout"})  # whether they are positive decides, and no more


def _decisive(key: str, value: Any) -> Any:
    """What a verdict depends on of a value."""
    if key == "target_modules" and isinstance(value, list) and all(isinstance(name, str) for name in value):
        return sorted(value)  # a set, which PEFT writes in any order
    if key in _AMOUNTS and isinstance(value, int | float) and not isinstance(value, bool):
        return [type(value).__name__, (value > 0) - (value < 0), value < 1]
    return value


def _recipe(adapter: Adapter) -> tuple[object, ...]:
    """What verdicts depend on."""
    config, header = adapter.config, adapter.header
    values = {k: _decisive(k, v) for k, v in config.values.items() if k not in _NAMES} if config is not None else None
    broken = adapter.unreadable.get("config")
    said = json.dumps(values, sort_keys=True, default=str) if values is not None else broken and broken.message
    if header is None:
        return said, None
    return said, tuple((name, tensor.dtype, tensor.shape) for name, tensor in header.tensors.items())


def release_verdicts(
    found: Mapping[str, Verdict], tensors: int, *, lacks_task_ids: bool = False
) -> dict[str, ReleaseVerdict]:
    """Verdicts as they are shown.

    What is lost in every release is nobody's age; an adapter of which nothing is left is not right.

    Args:
        tensors: How many the adapter has.
        lacks_task_ids: Whether a forward pass of its method raises `ValueError` without `task_ids`, which nobody knows
            here to be given.
    """
    newest = next((one for one in reversed(list(found.values())) if one.outcome == "loads"), None)
    always = frozenset(newest.lost or ()) if newest is not None else frozenset()
    if len(always) == tensors:
        always = frozenset()
    drawn = {}
    for release, one in found.items():
        lost = [name for name in one.lost or () if name not in always]
        excused = one.forward == UNDECIDED or (lacks_task_ids and one.forward == "ValueError")
        drawn[release] = _release(one, lost, one.forward if one.evidence == "base" and not excused else None)
    return drawn


def _release(one: Verdict, lost: list[str], forward: str | None) -> ReleaseVerdict:
    keys = [drawn_key(key) for key in one.dropped]
    if one.outcome != "loads":
        error = SimulatedError(type=one.error.type, text=one.error.text) if one.error is not None else None
        right = False if one.outcome == "raises" else None
        return ReleaseVerdict(verdict=one.outcome, right=right, error=error, dropped=keys)
    right = not (lost or forward or one.effective is False or any(key.matters for key in keys))
    verdict: Literal["ok", "drops"] = "drops" if keys or lost else "ok"
    return ReleaseVerdict(
        verdict=verdict, right=right, dropped=keys, lost=lost, forward=forward, effective=one.effective
    )
