"""One layer for many says what all layers say, of every fleet and in every word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from recorded import adapters_of, bases, recorded

from adapterlint.adapter import Adapter
from adapterlint.base import ModuleTree
from adapterlint.lint.example import DROP, Patch, base_of
from adapterlint.peft import quick, simulate
from adapterlint.peft.condense import condense
from adapterlint.peft.simulate import Simulated
from adapterlint.peft.versions import Versions
from adapterlint.simulation import Simulation, drawn

LAYERS = 6
VERSIONS = Versions.of("0.21.2", "5.23.0")


def shown(found: Simulated) -> Simulation:
    """A simulation as people get it."""
    return drawn(found, peft="", transformers="", base=None)


@pytest.mark.parametrize("release", ["0.17.1", "0.21.2"])
def test_recorded_fleets_are_told_the_same(release: str) -> None:
    shorter = 0
    for fleet in recorded():
        adapters, truth = adapters_of(fleet), fleet["truth"][release]
        versions = Versions.of(truth["peft"], truth["transformers"])
        tree = bases()[fleet["base"]].tree(truth["transformers"])
        names = list(adapters)
        sets = [names[:2], names]
        told = quick.simulate_fleet(adapters, tree, versions, activate=sets)
        whole = simulate.simulate_fleet(adapters, tree, versions, activate=sets)
        assert shown(told) == shown(whole), fleet["id"]
        shorter += bool(condense(tree, adapters.values(), names).lists)
    assert shorter > len(recorded()) // 4


def tree() -> ModuleTree:
    base = base_of(Patch(base={"num_hidden_layers": LAYERS}))
    assert base is not None
    return base.tree()


def adapter(*layers: int, config: Mapping[str, Any] | None = None, rank: int = 8) -> Adapter:
    """A LoRA of `q_proj` in some layers."""
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    for layer in layers:
        prefix = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        tensors[f"{prefix}.lora_A.weight"] = ("F32", (rank, 16))
        tensors[f"{prefix}.lora_B.weight"] = ("F32", (16, rank))
    values = {"target_modules": ["q_proj"], "r": rank, **(config or {})}
    return Patch(config=values, tensors={"*": DROP, **tensors}).adapter("adapters/a")


def kept(*adapters: Adapter, names: tuple[str, ...] = ()) -> list[int]:
    """The layers that are left."""
    found = condense(tree(), adapters, names).tree
    return [n for n in range(LAYERS) if f"model.layers.{n}" in found.nodes]


ALL = tuple(range(LAYERS))


def test_layers_that_are_alike_are_one() -> None:
    assert kept(adapter(*ALL)) == [0]
    assert kept(adapter(*ALL), adapter(*ALL, rank=4)) == [0]


def test_layers_that_differ_in_a_file_are_kept() -> None:
    assert kept(adapter(0, 1, 2)) == [0, 3]
    assert kept(adapter(0, 1, 2), adapter(2, 3)) == [0, 2, 3, 4]
    assert kept(adapter(*ALL), adapter(5)) == [0, 5]


def test_layers_that_an_expression_tells_apart_are_kept() -> None:
    assert kept(adapter(*ALL, config={"target_modules": r".*\.layers\.[03]\..*q_proj"})) == [0, 1]
    assert kept(adapter(*ALL, config={"target_modules": r".*\.layers\.\d+\..*q_proj"})) == [0]


@pytest.mark.parametrize(
    "config",
    [
        {"layers_to_transform": [1]},
        {"target_modules": ["q_proj", "layers.1.self_attn.k_proj"]},
        {"rank_pattern": {r"layers\.[13]\..*": 4}},
        {"modules_to_save": ["2"]},
        {"layer_replication": [[0, 2], [1, 3]]},
    ],
    ids=lambda config: next(iter(config)),
)
def test_a_config_that_may_count_layers_keeps_them_all(config: dict[str, Any]) -> None:
    assert kept(adapter(*ALL, config=config)) == list(ALL)


def test_so_does_a_name_that_is_a_number_and_a_tensor_of_a_layer_that_is_not_there() -> None:
    assert kept(adapter(*ALL), names=("1",)) == list(ALL)
    assert kept(adapter(*ALL, LAYERS)) == list(ALL)


def test_what_is_said_of_one_layer_is_said_of_all_that_it_stands_for() -> None:
    one = adapter(0, 1, 4)
    found = quick.alone(one, "a", tree(), VERSIONS)
    assert found.tuned == tuple(f"model.layers.{n}.self_attn.q_proj" for n in ALL)
    assert found.loaded is not None
    assert {key.split(".")[4] for key in found.loaded.missing} == {"2", "3", "5"}


def test_words_that_name_layers_name_them_all() -> None:
    """The message of a size mismatch has a line for each tensor."""
    wrong = adapter(*ALL, config={"r": 4})
    found = quick.alone(wrong, "a", tree(), VERSIONS)
    assert found.error is not None
    assert all(f"layers.{n}.self_attn.q_proj.lora_A" in found.error.text for n in ALL)
