"""A plan that was made with one layer of each sort, told of all layers.

Paths of modules are spread over the layers that one stands for. Texts of PEFT may list layers in ways of their own, so
what they are about is simulated again, with all layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft.condense import Condensed
from adapterlint.peft.quick import alone_in_all, events_in_all, simulated_in_all, texts
from adapterlint.peft.simulate import Alone, Simulated, Step, alone, simulate_fleet
from adapterlint.peft.versions import Versions
from adapterlint.planning.orders import LeftOut
from adapterlint.planning.pairs import Pair, Pairs, Reason, judged

MAX_PAIRS = 60  # pairs that are simulated again
STANDS = " (and the same of the layers that are like it)"


@dataclass(frozen=True, slots=True)
class Retelling:
    """What it takes to tell a plan of all layers.

    Args:
        condensed: What the plan was made with.
        adapters: Name -> adapter, with all tensors.
        tree: The base, with all layers.
    """

    condensed: Condensed
    adapters: Mapping[str, Adapter]
    tree: ModuleTree
    versions: Versions

    def alone(self, lone: Mapping[str, Alone]) -> dict[str, Alone]:
        """Each adapter in a fresh base."""
        return {
            name: alone(self.adapters[name], name, self.tree, self.versions)
            if any(map(self.condensed.names_a_layer, texts((), (one,))))
            else alone_in_all(one, self.condensed)
            for name, one in lone.items()
        }

    def simulated(self, found: Simulated, lone: Mapping[str, Alone]) -> Simulated:
        """The order and the sets; the first load is that of an adapter alone."""
        whole = simulated_in_all(found, self.condensed)
        first, later = whole.steps[:1], whole.steps[1:]
        if any(map(self.condensed.names_a_layer, texts(later, ()))):
            order = [step.adapters[0] for step in whole.steps if step.do == "load"]
            sets = [step.adapters for step in whole.steps if step.do == "activate"]
            later = simulate_fleet(self._chosen(*order), self.tree, self.versions, activate=sets).steps[1:]
        steps = (*(self._first(step, lone[step.adapters[0]]) for step in first), *later)
        return replace(whole, steps=steps, alone={name: lone[name] for name in whole.alone})

    def left(
        self, left: Mapping[str, LeftOut], order: tuple[str, ...], lone: Mapping[str, Alone]
    ) -> dict[str, LeftOut]:
        """Why adapters are in no order."""
        return {name: self._left(name, why, order, lone[name]) for name, why in left.items()}

    def pairs(self, pairs: Pairs) -> Pairs:
        """Every pair."""
        named = [key for key, pair in pairs.found.items() if self._names_a_layer(*pair.reasons)]
        again = {key: self._pair(*pairs.representatives(*key)).reasons for key in named[:MAX_PAIRS]}
        found = {key: self._spread(pair, again.get(key, pair.reasons)) for key, pair in pairs.found.items()}
        return Pairs(pairs.groups, found, pairs.untried)

    def operated(self, pairs: Mapping[tuple[int, int], Pair]) -> dict[tuple[int, int], Pair]:
        """Pairs on which an operation does not work."""
        return {key: self._spread(pair, pair.reasons) for key, pair in pairs.items()}

    def _first(self, step: Step, lone: Alone) -> Step:
        return replace(step, error=lone.error or step.error, warnings=lone.warnings)

    def _left(self, name: str, why: LeftOut, order: tuple[str, ...], lone: Alone) -> LeftOut:
        error = lone.error if why.alone else why.error
        if error is not None and not why.alone and self.condensed.names_a_layer(error.text):
            before = (why.blocker,) if why.blocker else order
            error = simulate_fleet(self._chosen(*before, name), self.tree, self.versions).steps[-1].error
        return replace(why, error=error, events=events_in_all(why.events, self.condensed))

    def _pair(self, first: str, later: str) -> Pair:
        both = self._chosen(first, later)
        return judged(simulate_fleet(both, self.tree, self.versions, activate=[(first, later)]), first, later)

    def _spread(self, pair: Pair, texts: Sequence[Reason]) -> Pair:
        """A pair with the modules of all layers, though PEFT raises at the first; its texts are those of others."""
        told = []
        for reason, other in zip(pair.reasons, texts, strict=True):
            text = other.text + STANDS if other is reason and self._names_a_layer(reason) else other.text
            told.append(replace(reason, modules=tuple(self.condensed.spread(reason.modules)), text=text))
        return replace(pair, reasons=tuple(told))

    def _names_a_layer(self, *reasons: Reason) -> bool:
        return any(self.condensed.names_a_layer(reason.text) for reason in reasons)

    def _chosen(self, *names: str) -> dict[str, Adapter]:
        return {name: self.adapters[name] for name in names}
