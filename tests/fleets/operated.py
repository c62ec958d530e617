"""The recorded operations (`operate.py`): what PEFT made of them, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from recorded import adapters_of, bases

from adapterlint.peft.model import Model
from adapterlint.peft.operations import Outcome, loaded, merge, mix, swap, weigh
from adapterlint.peft.simulate import alone, switch_to
from adapterlint.peft.versions import Versions
from adapterlint.simulation import tree_of

WORDS = {"ok": "yes", "approximate": "no", "silent": "no", "unknown": None}
ON_SETS: Mapping[str, Callable[[Model, list[str]], Outcome]] = {
    "merge": merge,
    "merge_adapter": lambda model, names: merge(model, names, how="merge_adapter"),
    "merge_names": lambda model, names: merge(model, names, named=True),
    "cat": lambda model, names: weigh(model, names, "cat"),
    "linear": lambda model, names: weigh(model, names, "linear"),
    "svd": lambda model, names: weigh(model, names, "svd"),
    "mixed": mix,
    "mixed_last": mix,
    "mixed_alone": lambda model, names: mix(model, names, by_themselves=True),
}
OPERATIONS = (*ON_SETS, "hotswap")
Facts = Iterator[tuple[str, str, str | None]]  # operation, adapters, what it comes to


def told(truth: Mapping[str, Any]) -> Facts:
    """What PEFT did: "yes" and "no", and the classes of errors."""
    for operation in OPERATIONS:
        for names, word in truth[operation].items():
            if word is not None:
                yield operation, names, word.removeprefix("raises ").partition(":")[0]


def simulated(fleet: Mapping[str, Any], truth: Mapping[str, Any]) -> Facts:
    """The same of the simulation; `None` for what it does not decide."""
    adapters = adapters_of(fleet)
    versions = Versions.of(truth["peft"], truth["transformers"])
    tree, _ = tree_of(bases()[fleet["base"]], list(adapters.values()), truth["transformers"])
    order = truth["order"].split(">") if truth["order"] else []
    model = loaded({name: adapters[name] for name in order}, tree, versions) if order else None
    for operation, do in ON_SETS.items():
        if model is not None:
            switch_to(model, order[-1] if operation == "mixed_last" else order[0])
        for names in truth[operation]:
            yield operation, names, _word(do(model, names.split("+"))) if model is not None else None
    lone = {name: alone(adapter, name, tree, versions) for name, adapter in adapters.items()}
    for names in truth["hotswap"]:
        first, later = names.split(">")
        model = loaded({first: adapters[first]}, tree, versions)
        outcome = swap(model, first, later, adapters[later], lone[later]) if model is not None else None
        yield "hotswap", names, _word(outcome) if outcome is not None else None


def _word(outcome: Outcome) -> str | None:
    return outcome.error.type if outcome.error is not None else WORDS[outcome.verdict]
