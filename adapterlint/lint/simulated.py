"""What rules read of the symbolic PEFT: an adapter alone in its base, and the causes of trouble in a fleet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from adapterlint.base.tree import ModuleTree
from adapterlint.lint.causes import Cause as Cause
from adapterlint.lint.causes import Collector
from adapterlint.lint.fleet import Fleet
from adapterlint.lint.trials import Trials
from adapterlint.peft.simulate import Alone
from adapterlint.peft.versions import Versions


@dataclass(frozen=True, slots=True)
class AdapterSimulation:
    """An adapter alone in its base.

    Args:
        alone: Release of PEFT -> what it does there, for the releases that are asked for; the newest last.
    """

    alone: Mapping[str, Alone]


@dataclass(slots=True, eq=False)
class FleetSimulation:
    """What PEFT does with the members of a fleet.

    A declared order and declared sets are simulated as they are. For the rest, one member of each interaction signature
    is loaded before and after one of each other, and both are activated.

    Args:
        fleet: The fleet.
        trees: Release of PEFT -> the base as transformers of its time builds it.
    """

    fleet: Fleet
    trees: Mapping[str, ModuleTree]
    _causes: tuple[Cause, ...] | None = field(default=None, init=False)

    @property
    def partial(self) -> bool:
        """Whether no more of the base is known than what the adapters name."""
        return any(tree.partial for tree in self.trees.values())

    def about(self, topic: str) -> Iterator[Cause]:
        """The causes that a rule words."""
        return (cause for cause in self._all() if cause.topic == topic)

    def _all(self) -> tuple[Cause, ...]:
        if self._causes is None:
            found = Collector()
            for release, tree in self.trees.items():
                found.take(release, Trials(self.fleet, tree, Versions.usual(release)).troubles())
            self._causes = tuple(found.causes(tuple(self.trees), self.fleet.members))
        return self._causes
