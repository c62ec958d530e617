"""`simulate`: what PEFT would do with adapters, for Python programs and the command line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from adapterlint.adapter import Adapter, load_adapter
from adapterlint.base import Base
from adapterlint.base.tree import ModuleTree
from adapterlint.errors import AdapterlintError
from adapterlint.lint.bases import Bases
from adapterlint.lint.classes import tree_for
from adapterlint.peft.dropped import Dropped, dropped
from adapterlint.peft.footprint import footprint_of
from adapterlint.peft.partial import partial_base
from adapterlint.peft.quick import simulate_fleet
from adapterlint.peft.refused import UNDECIDED
from adapterlint.peft.releases import NEWEST, newest_patch
from adapterlint.peft.simulate import Alone, Simulated, Step
from adapterlint.peft.versions import TRANSFORMERS, Versions


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class SimulatedError(_Frozen):
    """What PEFT raises: the class of the exception, and its text as far as that does not print whole modules."""

    type: str
    text: str


class SimulatedEvent(_Frozen):
    """Something that happened in a step; its kinds stand in `adapterlint.peft.events.KINDS`."""

    kind: str
    module: str
    adapters: list[str]


class SimulatedStep(_Frozen):
    """A load or an activation, and the state after it; `None` stands for what the evidence does not decide."""

    do: Literal["load", "activate"]
    adapters: list[str]
    verdict: Literal["ok", "warns", "raises", "unknown"]
    error: SimulatedError | None
    warnings: list[str]
    auxiliary: dict[str, list[str]] | None
    forward: str | None
    events: list[SimulatedEvent]


class DroppedKey(_Frozen):
    """A key of a config that a release does not know: one since 0.14 drops it, earlier ones refuse the config.

    Attributes:
        key: The key.
        matters: Whether the adapter is another one without it.
        role: What the key does, as the end of "the key, which ...", if that matters.
    """

    key: str
    matters: bool
    role: str | None


class SimulatedFootprint(_Frozen):
    """What an adapter touches in its base: paths of modules, token indices, names of parameters."""

    modules_to_save: list[str]
    trainable_tokens: dict[str, list[int]]
    tuned: list[str]
    overwrites: list[str]


class Coverage(_Frozen):
    """Names, as in a saved file, of tensors that reach nothing and of parameters that no tensor fills."""

    unexpected: list[str]
    missing: list[str]


class SimulatedAdapter(_Frozen):
    """One adapter: alone in a fresh base (`loads` to `forward`), and switched to after all loads (`faithful`).

    `dropped` are the keys of its config that the release does not know.
    """

    loads: bool | None
    error: SimulatedError | None
    footprint: SimulatedFootprint | None
    coverage: Coverage | None
    forward: str | None
    faithful: str | None
    dropped: list[DroppedKey] = []


class SimulatedProblem(_Frozen):
    """What could not be read of the base, in one sentence; the simulation goes on without it."""

    place: str
    message: str


class Simulation(_Frozen):
    """What PEFT of a release does with adapters that are loaded in an order, and with sets that are activated then.

    Loading is `PeftModel.from_pretrained` for the first and `model.load_adapter` for the others; activating a set is
    `model.base_model.set_adapter([...])`. Before the first set, each adapter was switched to with `model.set_adapter`,
    and back to the first one.
    """

    peft: str
    transformers: str
    base: str | None
    steps: list[SimulatedStep]
    adapters: dict[str, SimulatedAdapter]
    base_unchanged: str | None
    problems: list[SimulatedProblem] = []


def simulate(
    adapters: Iterable[str | os.PathLike[str] | Adapter],
    *,
    names: Sequence[str] | None = None,
    base: str | os.PathLike[str] | Base | ModuleTree | None = None,
    peft: str = NEWEST,
    transformers: str = TRANSFORMERS,
    activate: Iterable[Sequence[str]] = (),
) -> Simulation:
    """Simulate what PEFT does with adapters.

    Args:
        adapters: Adapter folders, or adapters that are read already, in load order.
        names: Their names in the model; by default the names of the folders.
        base: The base model: a folder with `config.json`, or with the headers of a checkpoint. By default what the
            adapters name, if it is a folder or in the Hub's cache; without one, the modules that the adapters name.
        peft: A release of PEFT, 0.15 to the newest.
        transformers: The release of transformers.
        activate: Sets of names to activate after all loads.

    Raises:
        AdapterlintError: An adapter or the base cannot be read, names are not as many as adapters or not unique, a set
            names an adapter that is not there, or a release is not one that can be simulated.
    """
    read = [_adapter(one) for one in adapters]
    chosen = list(names) if names is not None else [adapter.name for adapter in read]
    if len(chosen) != len(read) or len(set(chosen)) != len(chosen):
        raise AdapterlintError("Every adapter needs a name of its own")
    sets = [tuple(one) for one in activate]
    if unknown := [name for one in sets for name in one if name not in chosen]:
        raise AdapterlintError(f"No adapter is called {unknown[0]!r}")
    try:
        versions = Versions.of(peft, transformers)
    except ValueError as error:
        raise AdapterlintError(f"Not a release that can be simulated: {error}") from None
    tree, problems = tree_of(base, read, transformers)
    found = simulate_fleet(dict(zip(chosen, read, strict=True)), tree, versions, activate=sets)
    name = None if tree.partial else tree.name or None
    result = drawn(found, peft=newest_patch(peft), transformers=transformers, base=name, problems=problems)
    keys = {name: _dropped(adapter, peft) for name, adapter in zip(chosen, read, strict=True)}
    told = {name: one.model_copy(update={"dropped": keys[name]}) for name, one in result.adapters.items()}
    return result.model_copy(update={"adapters": told})


def _dropped(adapter: Adapter, peft: str) -> list[DroppedKey]:
    config = adapter.config
    return [drawn_key(key) for key in dropped(config.peft_type, config.values, peft)] if config is not None else []


def drawn_key(key: Dropped) -> DroppedKey:
    """A key that is dropped, as it is shown."""
    return DroppedKey(key=key.key, matters=key.matters, role=key.role)


def _adapter(one: str | os.PathLike[str] | Adapter) -> Adapter:
    if isinstance(one, Adapter):
        return one
    found = load_adapter(one)
    if found is None:
        raise AdapterlintError("There is no adapter", place=os.fspath(one))
    return found


def tree_of(
    base: str | os.PathLike[str] | Base | ModuleTree | None, adapters: Sequence[Adapter], transformers: str
) -> tuple[ModuleTree, Sequence[AdapterlintError]]:
    """The modules of a base: the given one, what the adapters name, or no more than what their tensors are for.

    Returns:
        The modules, and what could not be read of the base.

    Raises:
        AdapterlintError: The given base cannot be read.
    """
    if isinstance(base, ModuleTree):
        return base, ()
    given = os.fspath(base) if base is not None and not isinstance(base, Base) else None
    bases = Bases(given)
    known: Base | None = None
    if isinstance(base, Base):
        known = base
    elif given is not None:
        known = bases.named(given, "")
        if known is None:
            raise bases.problems[0]
    else:
        known = next((one for adapter in adapters if (one := bases.of(adapter)) is not None), None)
    touched = [(adapter.config, footprint_of(adapter)) for adapter in adapters]
    if known is None:
        return partial_base(found for _, found in touched if found is not None), bases.problems
    loaded = [(config, found) for config, found in touched if config is not None and found is not None]
    return tree_for(known, loaded, transformers, by_task=False), bases.problems


def drawn(
    found: Simulated,
    *,
    peft: str,
    transformers: str,
    base: str | None,
    problems: Iterable[AdapterlintError] = (),
) -> Simulation:
    """A simulation as it is shown."""
    return Simulation(
        peft=peft,
        transformers=transformers,
        base=base,
        steps=[_step(step) for step in found.steps],
        adapters={name: _simulated(lone, found.faithful[name]) for name, lone in found.alone.items()},
        base_unchanged=found.base,
        problems=drawn_problems(problems),
    )


def drawn_problems(problems: Iterable[AdapterlintError]) -> list[SimulatedProblem]:
    """What could not be read of a base, as it is shown."""
    return [SimulatedProblem(place=one.place or "", message=one.message) for one in problems]


def _step(step: Step) -> SimulatedStep:
    return SimulatedStep(
        do=step.do,
        adapters=list(step.adapters),
        verdict=step.verdict,
        error=SimulatedError(type=step.error.type, text=step.error.text) if step.error else None,
        warnings=list(step.warnings),
        auxiliary=_lists(step.auxiliary) if step.auxiliary is not None else None,
        forward=step.forward,
        events=[SimulatedEvent(kind=e.kind, module=e.module, adapters=list(e.adapters)) for e in step.events],
    )


def _simulated(lone: Alone, faithful: str | None) -> SimulatedAdapter:
    loads = lone.loads
    footprint = SimulatedFootprint(
        modules_to_save=list(lone.whole),
        trainable_tokens=_lists(lone.tokens),
        tuned=list(lone.tuned),
        overwrites=list(lone.overwrites),
    )
    found = lone.loaded
    return SimulatedAdapter(
        loads=loads,
        error=SimulatedError(type=lone.error.type, text=lone.error.text) if lone.error else None,
        footprint=footprint if loads else None,
        coverage=Coverage(unexpected=list(found.unexpected), missing=list(found.missing)) if loads and found else None,
        forward=_forward(lone),
        faithful=faithful,
    )


def _forward(lone: Alone) -> str | None:
    if not lone.loads or lone.forward == UNDECIDED:
        return None
    return lone.forward or {True: "effective", False: "no effect", None: None}[lone.effective]


def _lists(values: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    return {key: list(value) for key, value in values.items()}
