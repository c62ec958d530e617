"""The recorded fleets (`tests/fleets/README.md`): adapters and bases in memory, what PEFT did, what is said of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from adapterlint.adapter import Adapter, load_adapter
from adapterlint.base import Base, load_base
from adapterlint.lint.example import safetensors_file
from adapterlint.peft.methods import METHODS
from adapterlint.peft.tuner_layers import is_simulated as is_known
from adapterlint.simulation import Simulation, simulate
from adapterlint.sources.memory import MemoryFolder

FLEETS = Path(__file__).parent
UNSEEN = ("third", "fourth", "fifth", "sixth")
RELEASES = ("0.15.2", "0.17.1", "0.18.1", "0.19.1", "0.20.0", "0.21.2")
Facts = Iterator[tuple[str, str, Any]]  # facet, what it is about, value


@cache
def recorded(name: str = "fleets") -> list[dict[str, Any]]:
    """The fleets of a file: `fleets`, `second` and `UNSEEN` (other architectures), `rare` (more methods), `special`."""
    with gzip.open(FLEETS / f"{name}.jsonl.gz", "rt") as file:
        fleets = [json.loads(line) for line in file]
    return fleets if name == "fleets" else [fleet | {"id": f"{name}-{fleet['id']}"} for fleet in fleets]


@cache
def bases(transformers: str = "5") -> Mapping[str, Base]:
    """The bases, those of the later groups as that release of transformers saved them."""
    found = {}
    own = [f"bases_{group}" if transformers >= "5" else f"bases_{group}_4" for group in UNSEEN]
    for name in ("bases", "bases_second", "bases_special", *own):
        with gzip.open(FLEETS / f"{name}.jsonl.gz", "rt") as file:
            for base in map(json.loads, file):
                found[base["name"]] = load_base(folder(base["name"], "config.json", base["config"], base["tensors"]))
    return {name: base for name, base in found.items() if base is not None}


def folder(path: str, config: str, values: Mapping[str, Any], tensors: Mapping[str, Any]) -> MemoryFolder:
    weights = "model.safetensors" if config == "config.json" else "adapter_model.safetensors"
    shapes = {name: (dtype, tuple(shape)) for name, (dtype, shape) in tensors.items()}
    return MemoryFolder(path, {config: json.dumps(values).encode(), weights: safetensors_file(shapes)})


def adapters_of(fleet: Mapping[str, Any]) -> dict[str, Adapter]:
    experts = _loaded(fleet.get("experts", {}))
    return {name: replace(adapter, experts=experts) for name, adapter in _loaded(fleet["adapters"]).items()}


def _loaded(adapters: Mapping[str, Any]) -> dict[str, Adapter]:
    found = {}
    for name, one in adapters.items():
        found[name] = load_adapter(folder(name, "adapter_config.json", one["config"], one["tensors"]))
    return {name: adapter for name, adapter in found.items() if adapter is not None}


def error(value: Mapping[str, Any] | None) -> str | None:
    return value["type"] if value else None


def told(truth: Mapping[str, Any]) -> Facts:
    """Everything that a truth says."""
    for name, alone in truth["alone"].items():
        yield "loads", name, alone["loads"] or error(alone["error"])
        if alone["loads"]:
            footprint = {key: alone[key] for key in ("modules_to_save", "trainable_tokens", "tuned")}
            yield "footprint", name, footprint
            if "unexpected" in alone:
                yield "coverage", name, {key: alone[key] for key in ("unexpected", "missing")}
            yield "forward", name, error(alone["forward"]) or ("effective" if alone["effective"] else "no effect")
    for order, entry in truth["orders"].items():
        yield "order", order, (entry["refused"], error(entry["error"]))
        if entry["refused"]:
            continue
        yield "auxiliary", order, {path: sorted(names) for path, names in entry["auxiliary"].items()}
        for name, faithful in entry["faithful"].items():
            if faithful != "unknown":
                yield "faithful", f"{order} {name}", faithful if isinstance(faithful, str) else faithful["type"]
        yield "base", order, entry["base"] if isinstance(entry["base"], str) else entry["base"]["type"]
        for names, result in truth["active"].get(order, {}).items():
            state = {path: sorted(active) for path, active in result.get("auxiliary", {}).items()}
            yield "active", f"{order} {names}", error(result["error"]) or (state, error(result["forward"]) or "ok")


def simulated(fleet: Mapping[str, Any], truth: Mapping[str, Any]) -> Facts:
    """The same of a simulation; `None` for what it does not decide."""
    adapters = adapters_of(fleet)

    def run(names: list[str], activate: list[list[str]]) -> Simulation:
        return simulate(
            [adapters[name] for name in names],
            names=names,
            base=bases(truth["transformers"][:1])[fleet["base"]].tree(
                truth["transformers"]
            ),  # the class PEFT was given
            peft=truth["peft"],
            transformers=truth["transformers"],
            activate=activate,
        )

    orders = {}
    for order in truth["orders"]:
        sets = [names.split("+") for names in truth["active"].get(order, {})]
        orders[order] = run(order.split(">"), sets)
    # Every simulation of several tells of each of them alone, too.
    lone = {name: found for result in orders.values() for name, found in result.adapters.items()}
    for name in truth["alone"]:
        found = lone.get(name) or run([name], []).adapters[name]
        yield "loads", name, found.loads or (found.error and found.error.type)
        if found.footprint:
            footprint = found.footprint.model_dump()
            del footprint["overwrites"]
            yield "footprint", name, footprint
        if found.coverage:
            coverage = found.coverage.model_dump()
            if fleet["adapters"][name]["config"].get("peft_type") == "SHADOW":
                # Files have `default` in every name, which the judge takes out of what is missing: it finds none saved.
                coverage["missing"] = []
            yield "coverage", name, coverage
        yield "forward", name, found.forward
    for order, result in orders.items():
        loads = [step for step in result.steps if step.do == "load"]
        bad = next((step for step in loads if step.verdict in ("raises", "unknown")), None)
        if bad is None:
            yield "order", order, (None, None)
        elif bad.error is not None:
            yield "order", order, (bad.adapters[0], bad.error.type)
        state = loads[-1].auxiliary
        yield "auxiliary", order, state and {path: sorted(active) for path, active in state.items()}
        for name in order.split(">"):
            yield "faithful", f"{order} {name}", result.adapters[name].faithful
        yield "base", order, result.base_unchanged
        activations = [step for step in result.steps if step.do == "activate"]
        for one, step in zip(truth["active"].get(order, {}), activations, strict=True):
            aux = {path: sorted(active) for path, active in (step.auxiliary or {}).items()}
            known = None if step.verdict == "unknown" else (aux, step.forward)
            yield "active", f"{order} {one}", step.error.type if step.error else known


def is_simulated(fleet: Mapping[str, Any]) -> bool:
    """Whether all its methods are."""
    types = {str(adapter["config"].get("peft_type")).upper() for adapter in fleet["adapters"].values()}
    return all(t not in METHODS or METHODS[t].prompt_learning or is_known(t) for t in types)
