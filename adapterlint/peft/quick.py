"""The simulations of `adapterlint.peft.simulate`, quicker: one layer for many where that is enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft import simulate
from adapterlint.peft.condense import Condensed, condense
from adapterlint.peft.events import PASSES, Event
from adapterlint.peft.simulate import Alone, Simulated, Step
from adapterlint.peft.versions import Versions


def simulate_fleet(
    adapters: Mapping[str, Adapter],
    tree: ModuleTree,
    versions: Versions,
    *,
    activate: Iterable[Sequence[str]] = (),
) -> Simulated:
    """`adapterlint.peft.simulate.simulate_fleet`; expressions are those of the layers that were looked at."""
    sets = [tuple(names) for names in activate]
    condensed = condense(tree, adapters.values(), versions, adapters)
    few = dict(zip(adapters, condensed.adapters, strict=True))
    found = simulate.simulate_fleet(few, condensed.tree, versions, activate=sets)
    if any(map(condensed.names_a_layer, texts(found.steps, found.alone.values()))):
        return simulate.simulate_fleet(adapters, tree, versions, activate=sets)
    return simulated_in_all(found, condensed)


def alone(adapter: Adapter, name: str, tree: ModuleTree, versions: Versions) -> Alone:
    """`adapterlint.peft.simulate.alone`; the expression is that of the layers that were looked at."""
    condensed = condense(tree, (adapter,), versions, (name,))
    found = simulate.alone(condensed.adapters[0], name, condensed.tree, versions)
    if any(map(condensed.names_a_layer, texts((), (found,)))):
        return simulate.alone(adapter, name, tree, versions)
    return alone_in_all(found, condensed)


def texts(steps: Iterable[Step], lone: Iterable[Alone]) -> Iterator[str]:
    """What PEFT says in words, which may list the layers."""
    said: list[Step | Alone] = [*steps, *lone]
    for one in said:
        yield from one.warnings
        if one.error is not None:
            yield from (one.error.text, one.error.module)


def simulated_in_all(found: Simulated, condensed: Condensed) -> Simulated:
    """A simulation in all layers, for one of those that were looked at."""
    steps = tuple(_step(step, condensed) for step in found.steps)
    return replace(
        found, steps=steps, alone={name: alone_in_all(lone, condensed) for name, lone in found.alone.items()}
    )


def _step(step: Step, condensed: Condensed) -> Step:
    auxiliary = step.auxiliary
    if auxiliary is not None:
        auxiliary = dict(condensed.spread_by(auxiliary.items(), lambda one: one[0], lambda one, path: (path, one[1])))
    return replace(step, auxiliary=auxiliary, events=events_in_all(step.events, condensed))


def alone_in_all(lone: Alone, condensed: Condensed) -> Alone:
    """An adapter alone in all layers, for one in those that were looked at."""
    loaded = lone.loaded
    if loaded is not None:
        loaded = replace(
            loaded,
            unexpected=tuple(sorted(condensed.spread(loaded.unexpected))),
            missing=tuple(sorted(condensed.spread(loaded.missing))),
            overwritten=tuple(condensed.spread(loaded.overwritten)),
        )
    return replace(
        lone,
        whole=tuple(sorted(condensed.spread(lone.whole))),
        tokens=dict(condensed.spread_by(lone.tokens.items(), lambda one: one[0], lambda one, path: (path, one[1]))),
        tuned=tuple(sorted(condensed.spread(lone.tuned))),
        loaded=loaded,
        overwrites=tuple(condensed.spread(lone.overwrites)),
        events=events_in_all(lone.events, condensed),
    )


def events_in_all(events: Iterable[Event], condensed: Condensed) -> tuple[Event, ...]:
    """Events in all layers, for events in those that were looked at."""
    found = condensed.spread_by(
        events, lambda event: event.module, _with_module, lambda event: PASSES.get(event.kind, event.kind)
    )
    return tuple(found)


def _with_module(event: Event, module: str) -> Event:
    return replace(event, module=module)
