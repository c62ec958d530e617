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
        shorter += bool(condense(tree, adapters.values(), versions, names).lists)
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
    found = condense(tree(), adapters, VERSIONS, names).tree
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
        {
            "modules_to_save": ["model"]
        },  # what is in it stands under `model.original_module` and `model.modules_to_save.a`
        {"modules_to_save": ["el"]},  # the same: PEFT asks for the end of a path
        {"trainable_token_indices": {"layers": [1]}},
        {"target_parameters": ["layers.2.self_attn.q_proj.weight"]},
        {"peft_type": "C3A", "block_size_pattern": {r"layers\.1\..*": 4}},
        {"target_modules": r".*(q_proj|layers\.0\..*original_module)", "modules_to_save": ["mlp"]},
        {"layer_replication": [[0, 2], [1, 3]]},
    ],
    ids=lambda config: next(iter(config)),
)
def test_a_config_that_may_count_layers_keeps_them_all(config: dict[str, Any]) -> None:
    assert kept(adapter(*ALL, config=config)) == list(ALL)


@pytest.mark.parametrize("name", ["layers", "model"])
def test_so_does_a_name_that_is_part_of_the_path_of_the_layers(name: str) -> None:
    """PEFT takes the adapter's name out of the names of tensors, wherever it stands."""
    assert kept(adapter(*ALL), names=(name,)) == list(ALL)
    found = quick.alone(adapter(0, 1), name, tree(), VERSIONS)
    assert found.loaded is not None
    assert found.loaded == simulate.alone(adapter(0, 1), name, tree(), VERSIONS).loaded


def test_parts_of_layers_that_others_tune_are_targets_up_to_0_15() -> None:
    tuned, inner = adapter(*ALL), adapter(*ALL, config={"target_modules": r".*layers\.0\..*lora_A"})
    old = condense(tree(), [tuned, inner], Versions.of("0.15", "4.56.2"))
    assert not old.lists
    assert condense(tree(), [tuned, inner], VERSIONS).lists


def test_so_does_a_name_that_is_a_number_and_a_tensor_of_a_layer_that_is_not_there() -> None:
    assert kept(adapter(*ALL), names=("1",)) == list(ALL)
    assert kept(adapter(*ALL, LAYERS)) == list(ALL)


def test_what_is_said_of_one_layer_is_said_of_all_that_it_stands_for() -> None:
    one = adapter(0, 1, 4)
    found = quick.alone(one, "a", tree(), VERSIONS)
    assert found.tuned == tuple(f"model.layers.{n}.self_attn.q_proj" for n in ALL)
    assert found.loaded is not None
    assert {key.split(".")[4] for key in found.loaded.missing} == {"2", "3", "5"}


def test_a_saved_module_around_the_layers_is_told_with_all_that_is_in_it() -> None:
    """The modules of layers that another adapter brought stand in the original and in the copy."""
    around = adapter(*ALL, config={"modules_to_save": ["model"]})
    inside = adapter(*ALL, config={"modules_to_save": ["mlp"]})
    adapters, versions = {"inside": inside, "around": around}, Versions.of("0.18.1", "4.56.2")
    told = quick.simulate_fleet(adapters, tree(), versions)
    assert shown(told) == shown(simulate.simulate_fleet(adapters, tree(), versions))
    state = told.steps[-1].auxiliary
    assert state is not None
    assert [f"model.original_module.layers.{n}.mlp" in state for n in range(LAYERS)] == [True] * LAYERS


def saved(*modules: str) -> Adapter:
    """An adapter that brings modules of every layer."""
    shapes = {"input_layernorm": (16,), "post_attention_layernorm": (16,), "self_attn.q_proj": (16, 16)}
    tensors = {f"base_model.model.model.layers.{n}.{m}.weight": ("F32", shapes[m]) for n in ALL for m in modules}
    config = {"modules_to_save": [*modules], "target_modules": ["v_proj"]}
    return Patch(config=config, tensors={"*": DROP, **tensors}).adapter("adapters/a")


def test_events_of_two_kinds_are_told_layer_by_layer() -> None:
    """Up to 0.17 sets leave auxiliary modules as they are: here one is stale, and one has two owners."""
    one, other = saved("input_layernorm", "post_attention_layernorm"), saved("post_attention_layernorm")
    adapters, old = {"a": one, "b": other}, Versions.of("0.17.1", "4.56.2")
    found = quick.simulate_fleet(adapters, tree(), old, activate=[("b",), ("a", "b")])
    kinds = [(event.kind, event.module.split(".")[2]) for event in found.steps[-2].events]
    assert [layer for _, layer in kinds] == [str(n) for n in ALL for _ in range(2)]
    assert shown(found) == shown(simulate.simulate_fleet(adapters, tree(), old, activate=[("b",), ("a", "b")]))


def test_weights_and_biases_that_are_overwritten_are_told_layer_by_layer() -> None:
    base = {name: ("F32", (16,)) for n in range(2) for name in _norms(n)}
    one = Patch(config={"target_modules": ["query"], "task_type": None}, tensors={"*": DROP, **base}).adapter(
        "adapters/a"
    )
    bert = bases()["bert-cls"].tree("5.23.0")
    found = quick.alone(one, "a", bert, VERSIONS)
    assert [event.kind.split("-")[1] for event in found.events][:4] == ["weights", "biases", "weights", "biases"]
    assert found.events == simulate.alone(one, "a", bert, VERSIONS).events


def _norms(layer: int) -> list[str]:
    module = f"base_model.model.bert.encoder.layer.{layer}.output.LayerNorm"
    return [f"{module}.weight", f"{module}.bias"]


def test_words_that_name_layers_name_them_all() -> None:
    """The message of a size mismatch has a line for each tensor."""
    wrong = adapter(*ALL, config={"r": 4})
    found = quick.alone(wrong, "a", tree(), VERSIONS)
    assert found.error is not None
    assert all(f"layers.{n}.self_attn.q_proj.lora_A" in found.error.text for n in ALL)
