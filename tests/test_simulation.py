"""The public `simulate`: its contract, its errors, and what it says without a base and of hostile files."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import adapterlint
from adapterlint import AdapterlintError, ModuleTree, Patch
from adapterlint.lint.example import DROP, base_of, with_tokens
from conftest import Write

HEAD = "base_model.model.lm_head"
WHOLE = Patch(config={"modules_to_save": ["lm_head"]}, tensors={f"{HEAD}.weight": ("F32", (64, 16))})


@pytest.fixture
def base() -> ModuleTree:
    found = base_of(Patch(base={}))
    assert found is not None
    return found.tree()


def simulate(patches: Mapping[str, Patch], **given: Any) -> adapterlint.Simulation:
    adapters = [patch.adapter(f"adapters/{name}") for name, patch in patches.items()]
    return adapterlint.simulate(adapters, names=list(patches), **given)


def test_weights_behind_a_link_to_nothing_are_as_good_as_none(write: Write, tmp_path: Path, base: ModuleTree) -> None:
    folder = write("de", Patch(files={"adapter_model.safetensors": DROP}))
    (folder / "adapter_model.safetensors").symlink_to(tmp_path / "gone.safetensors")
    (step,) = adapterlint.simulate([folder], base=base).steps
    assert step.error is not None
    assert (step.error.type, step.error.text) == ("ValueError", f"Can't find weights for {folder}")


def test_two_heads_load_but_cannot_be_active_together(base: ModuleTree) -> None:
    """huggingface/peft#2758: each wrapper takes one adapter at a time, and says so since 0.18."""
    result = simulate({"de": WHOLE, "fr": WHOLE}, base=base, activate=[["de", "fr"], ["fr"]])
    assert [step.verdict for step in result.steps] == ["ok", "ok", "raises", "ok"]
    refused = result.steps[2]
    assert refused.error is not None
    assert refused.error.type == "ValueError"
    assert refused.error.text.startswith("Only one adapter can be set at a time for ModulesToSaveWrapper")
    assert [(e.kind, e.module, e.adapters) for e in refused.events] == [("auxiliary-overlap", "lm_head", ["de", "fr"])]
    assert result.steps[1].auxiliary == {"lm_head": ["de"]}
    assert result.steps[3].auxiliary == {"lm_head": ["fr"]}
    assert {name: one.faithful for name, one in result.adapters.items()} == {"de": "yes", "fr": "yes"}
    assert result.base_unchanged == "yes"


def test_a_simulation_leaves_no_garbage_that_only_the_collector_finds(base: ModuleTree) -> None:
    """A check has the collector off: models in cycles, or behind the frames of an error, would add up."""
    adapters = [WHOLE.adapter("de"), WHOLE.adapter("fr")]

    def refused() -> str:
        return adapterlint.simulate(adapters, names=["de", "fr"], base=base, activate=[["de", "fr"]]).steps[2].verdict

    refused()  # fills what is kept
    gc.collect()
    gc.disable()
    try:
        assert refused() == "raises"
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_before_0_18_the_second_head_is_active_at_once_and_sets_change_nothing(base: ModuleTree) -> None:
    result = simulate({"plain": Patch(), "de": WHOLE}, base=base, peft="0.17", activate=[["plain", "de"]])
    loaded, activated = result.steps[1], result.steps[2]
    assert loaded.auxiliary == {"lm_head": ["de"]}
    assert "auxiliary-active-early" in [event.kind for event in loaded.events]
    assert activated.verdict == "ok"
    assert "auxiliary-stale" in [event.kind for event in activated.events]


def test_token_rows_keep_every_later_adapter_without_them_out(base: ModuleTree) -> None:
    result = simulate({"tokens": with_tokens(3, 4), "plain": Patch()}, base=base)
    error = result.steps[1].error
    assert error is not None
    key = "'base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta'"
    assert (error.type, error.text) == ("KeyError", key)
    assert [(e.kind, e.adapters) for e in result.steps[1].events] == [
        ("tokens-block-later-adapter", ["tokens", "plain"])
    ]
    assert simulate({"plain": Patch(), "tokens": with_tokens(3, 4)}, base=base).steps[1].verdict == "ok"


def test_what_an_adapter_touches_is_told_by_module(base: ModuleTree) -> None:
    found = simulate({"tokens": with_tokens(7, 3)}, base=base).adapters["tokens"]
    assert found.footprint is not None
    assert found.footprint.model_dump() == {
        "modules_to_save": [],
        "trainable_tokens": {"model.embed_tokens": [3, 7]},
        "tuned": [f"model.layers.{i}.self_attn.{name}" for i in (0, 1) for name in ("q_proj", "v_proj")],
        "overwrites": [],
    }
    assert found.coverage is not None
    assert found.coverage.model_dump() == {"unexpected": [], "missing": []}
    assert (found.loads, found.forward, found.faithful) == (True, "effective", "yes")


def test_the_dump_has_the_keys_of_the_contract(base: ModuleTree) -> None:
    dump = json.loads(simulate({"de": WHOLE}, base=base, activate=[["de"]]).model_dump_json())
    assert set(dump) == {"peft", "transformers", "base", "steps", "adapters", "base_unchanged", "problems"}
    keys = {"do", "adapters", "verdict", "error", "warnings", "auxiliary", "forward", "events"}
    assert [set(step) for step in dump["steps"]] == [keys, keys]
    assert set(dump["adapters"]["de"]) == {
        *("loads", "error", "footprint", "coverage", "forward", "faithful", "dropped")
    }


def test_without_a_base_the_adapters_tell_what_there_is() -> None:
    result = simulate({"de": WHOLE, "fr": WHOLE}, activate=[["de", "fr"]])
    assert result.base is None
    assert [step.verdict for step in result.steps] == ["ok", "ok", "raises"]
    tuned = Patch(
        config={"target_modules": ["lm_head"]},
        tensors={
            "*": adapterlint.DROP,
            f"{HEAD}.lora_A.weight": ("F32", (8, 16)),
            f"{HEAD}.lora_B.weight": ("F32", (64, 8)),
        },
    )
    error = simulate({"de": WHOLE, "tuned": tuned}).steps[1].error
    assert error is not None
    assert error.type == "ValueError"


def test_names_are_those_of_the_folders_unless_given(write: Write) -> None:
    folders = [write("de"), write("fr")]
    assert list(adapterlint.simulate(folders).adapters) == ["de", "fr"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"names": ["de"]}, "Every adapter needs a name of its own"),
        ({"names": ["de", "de"]}, "Every adapter needs a name of its own"),
        ({"activate": [["de", "it"]]}, "No adapter is called 'it'"),
        ({"peft": "newest"}, "Not a release"),
        ({"peft": "9.9"}, "Not a release that can be simulated: PEFT is simulated from 0.15 to 0.21, not 9.9"),
        ({"base": "nowhere"}, "There is no base model"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_a_sentence(write: Write, given: dict[str, Any], message: str) -> None:
    with pytest.raises(AdapterlintError, match=message):
        adapterlint.simulate([write("de"), write("fr")], **given)


def test_a_folder_without_an_adapter_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdapterlintError, match="There is no adapter") as caught:
        adapterlint.simulate([tmp_path])
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {"r": "8"},
        {"r": 10**9},
        {"target_modules": [1, None]},
        {"target_modules": "(" * 200},
        {"target_modules": "(a+)+$"},
        {"modules_to_save": {"lm_head": 1}},
        {"modules_to_save": [""]},
        {"trainable_token_indices": {"embed_tokens": "all"}},
        {"trainable_token_indices": [10**12]},
        {"rank_pattern": {"[": 4}},
        {"layer_replication": [[0, 10**9]]},
        {"layer_replication": "twice"},
        {"peft_type": ["LORA"]},
        {"task_type": {"a": 1}},
        {"target_parameters": "experts"},
        {"peft_type": "VERA", "r": 10**9},
        {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": "many"},
    ],
    ids=lambda config: json.dumps(config)[:40],
)
def test_hostile_values_are_refused_or_not_decided_but_never_a_crash(base: ModuleTree, config: dict[str, Any]) -> None:
    for release in ("0.15", "0.18", "0.21"):
        result = simulate({"hostile": Patch(config=config), "plain": Patch()}, base=base, peft=release)
        assert result.steps[0].verdict in ("ok", "warns", "raises", "unknown")
