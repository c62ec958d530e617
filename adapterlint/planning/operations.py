"""What can be done with adapters once they are loaded, besides having them active: by operation, the largest sets.

Pairs are tried in a model in which all adapters are loaded, and sets of pairs that get on are tried again as a whole.
Adapters that are alike, in what matters to an operation too, stand for each other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from adapterlint.peft.activation import set_adapters
from adapterlint.peft.events import Event, after_activation
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.method import MixedBatch
from adapterlint.peft.model import Model
from adapterlint.peft.operations import Outcome as Operated
from adapterlint.peft.operations import loaded, merge, mix, swap, weigh
from adapterlint.peft.operations.outcome import unchanged
from adapterlint.peft.refused import Refused
from adapterlint.planning.orders import Order, Search
from adapterlint.planning.pairs import Outcome, Pair, Pairs, Role, reasons
from adapterlint.planning.sets import ActiveSet, largest_sets

Name = Literal["merge", "weigh", "mix", "swap"]
Trial = Callable[[Model, Sequence[str]], Operated]

MAX_ALIKE = 2  # adapters of one kind that are loaded
MAX_LOADED = 60
MAX_TRIED = 300  # pairs of one operation
MAX_SETS = 8  # that are tried again

_OUTCOMES: Mapping[str, Outcome] = {"ok": "ok", "approximate": "silent", "silent": "silent", "refused": "refused"}
# What two adapters of one interaction signature may still differ in, and what matters here.
_OWN = ("alpha_pattern", "lora_alpha", "lora_dropout", "r", "rank_pattern", "use_dora", "use_rslora")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on the adapters of a plan.

    Args:
        name: `merge`: `merge_and_unload()` while a set is active; `weigh`: `add_weighted_adapter` with the
            `combination_type` that is exact; `mix`: a batch with
            `adapter_names`, while no others are loaded; `swap`: `hotswap_adapter`.
        able: Whether the method of the adapters has it; if not, the rest is empty.
        sets: The largest sets of adapters that give what they should; for `swap`, an adapter that is loaded and those
            that can take its place.
        pairs: Pairs of which that is not so, by groups of adapters that are alike.
        groups: These groups.
        others: What becomes of the sets (`ok`, `approximate`, `silent`, `refused`, `unknown`) in another way: for
            `weigh` with another `combination_type`, for `mix` while `all` others are loaded too.
        untried: Number of pairs that were too many to be tried.
    """

    name: Name
    able: bool
    sets: tuple[ActiveSet, ...] = ()
    pairs: Mapping[tuple[int, int], Pair] = field(default_factory=dict)
    groups: tuple[tuple[str, ...], ...] = ()
    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    untried: int = 0


def operations(search: Search, order: Order, faithful: Sequence[str]) -> tuple[Operation, ...]:
    """What can be done with the adapters of an order.

    Args:
        faithful: Those that give there what they give alone, in this order.
    """
    if len(order) < 2:
        return ()
    names = _loaded_ones(search, order)
    model = loaded({name: search.adapters[name] for name in names}, search.tree, search.versions)
    if model is None:
        return ()
    trials = _Trials(search, order, names, model)
    method = METHODS[model.peft_type or ""]
    on_sets: tuple[tuple[Name, bool, Trial], ...] = (
        ("merge", method.merges, _merge),
        ("weigh", method.weighs, _weigh),
        ("mix", method.mixed_batch in (MixedBatch.LAYERS, MixedBatch.ALL), _mix),
    )
    return (
        *(trials.on_sets(name, do, faithful) if able else Operation(name, False) for name, able, do in on_sets),
        trials.swaps() if method.hot_swaps else Operation("swap", False),
    )


def _loaded_ones(search: Search, order: Order) -> Order:
    """A few adapters of each kind, in their order."""
    counts: Counter[str] = Counter()
    found = []
    for name in order:
        kind = _kind(search, name)
        counts[kind] += 1
        if counts[kind] <= MAX_ALIKE:
            found.append(name)
    return tuple(found[:MAX_LOADED])


def _kind(search: Search, name: str) -> str:
    config = search.adapters[name].config
    values = config.values if config is not None else {}
    own = {key: values.get(key) for key in _OWN}
    return json.dumps([search.pairs.group_of[name], own], sort_keys=True, default=str)


def _merge(model: Model, names: Sequence[str]) -> Operated:
    """Merge a set; no better than the set when it is active."""
    events: tuple[Event, ...] = ()
    with unchanged(model), suppress(Refused):  # what is refused, is when merging too
        set_adapters(model, names)
        events = tuple(after_activation(model, tuple(names)))
    outcome = merge(model, names)
    return Operated("silent", events) if events and outcome.verdict == "ok" else outcome


def _weigh(model: Model, names: Sequence[str]) -> Operated:
    return weigh(model, names, "cat")


def _mix(model: Model, names: Sequence[str]) -> Operated:
    return mix(model, names, by_themselves=True)


class _Trials:
    """The adapters of an order by kind, and a model in which some of each kind are loaded.

    Args:
        order: All adapters.
        names: Those that are loaded.
    """

    def __init__(self, search: Search, order: Order, names: Order, model: Model) -> None:
        self.search = search
        self.names = names
        self.model = model
        groups: dict[str, list[str]] = {}
        for name in order:
            groups.setdefault(_kind(search, name), []).append(name)
        self.groups = tuple(tuple(group) for group in groups.values())

    def on_sets(self, name: Name, do: Trial, faithful: Sequence[str]) -> Operation:
        """An operation on sets of adapters."""
        pairs = Pairs(self.groups)
        tried = 0
        for i, j, first, later in self._pairs(ordered=False):
            if tried >= MAX_TRIED:
                pairs.untried += 1
                continue
            tried += 1
            pairs.found[i, j] = pairs.found[j, i] = _pair(name, do(self.model, [first, later]))
        present = {i for i, group in enumerate(self.groups) if any(one in self.names for one in group)}
        works: tuple[Outcome, ...] = ("ok",)
        candidates, _ = largest_sets([n for n in faithful if pairs.group_of[n] in present], pairs, works)
        tested = [self._tested(one, do) for one in candidates[:MAX_SETS]]
        sets = [one for one in tested if one is not None]
        kept = tuple(one for one in dict.fromkeys(sets) if not any(map(one.is_within, sets)))
        others: dict[str, tuple[str, ...]] = {}
        if name == "weigh" and self.model.peft_type == "LORA":
            tests = [self._few(one) for one in kept]
            others["linear"] = tuple(weigh(self.model, few, "linear").verdict for few in tests)
            others["svd"] = tuple(weigh(self.model, few, "svd").verdict for few in tests)
        elif name == "mix":
            others["all"] = tuple(mix(self.model, self._few(one)).verdict for one in kept)
        bad = {(i, j): pair for (i, j), pair in pairs.found.items() if i <= j and pair.together != "ok"}
        return Operation(name, True, kept, bad, self.groups, others, pairs.untried)

    def _pairs(self, *, ordered: bool) -> Iterator[tuple[int, int, str, str]]:
        """Pairs of groups, with one adapter of each; in load order, or in both orders."""
        ones = {i: [name for name in group if name in self.names] for i, group in enumerate(self.groups)}
        for j, later in ones.items():
            for i, first in ones.items():
                if first and later and (i < j or (ordered and i != j)):
                    yield i, j, first[0], later[0]
            if len(later) > 1:
                yield j, j, later[0], later[1]

    def _few(self, one: ActiveSet) -> list[str]:
        return [name for name in one.names if name in self.names]

    def _tested(self, one: ActiveSet, do: Trial) -> ActiveSet | None:
        """As much of a set, from its beginning, as works in one go."""
        for count in range(len(one.slots), 1, -1):
            part = ActiveSet(one.slots[:count])
            few = self._few(part)
            if len(few) < 2 or do(self.model, few).verdict == "ok":
                return part
        return None

    def swaps(self) -> Operation:
        """Hot-swapping, which starts with one adapter loaded alone."""
        search, untried = self.search, 0
        pairs: dict[tuple[int, int], Pair] = {}
        models: dict[str, Model | None] = {}
        for i, j, first, later in self._pairs(ordered=True):
            if len(pairs) >= MAX_TRIED:
                untried += 1
                continue
            if first not in models:
                models[first] = loaded({first: search.adapters[first]}, search.tree, search.versions)
            model = models[first]
            lone = search.lone[later]
            outcome = swap(model, first, later, search.adapters[later], lone) if model else Operated("unknown")
            pairs[i, j] = _pair("swap", outcome)
        sets = []
        for i, group in enumerate(self.groups):
            takers = tuple(
                other
                for j, those in enumerate(self.groups)
                if (i, j) in pairs and pairs[i, j].together == "ok"
                for other in those
            )
            if takers:
                sets.append(ActiveSet((group, takers)))
        bad = {key: pair for key, pair in pairs.items() if pair.together != "ok"}
        return Operation("swap", True, tuple(sets), bad, self.groups, {}, untried)


def _pair(name: Name, outcome: Operated) -> Pair:
    together = _OUTCOMES.get(outcome.verdict, "unknown")
    who: Role = "later" if name == "swap" else "both"
    return Pair("ok", together, tuple(reasons(name, who, outcome.events, outcome.error)))
