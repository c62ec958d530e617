"""Which files a folder has: what the examples of the rules do not say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapterlint import Finding, Severity, load_adapter
from adapterlint.lint.engine import Engine
from adapterlint.lint.example import DROP, GOOD_TENSORS, Patch, safetensors_file
from adapterlint.lint.loader import load_rules
from adapterlint.sources.memory import MemoryFolder

ENGINE = Engine([r for r in load_rules() if r.family == "FIL"])
WEIGHTS = safetensors_file(GOOD_TENSORS)
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 7\n"


def found(patch: Patch) -> dict[str, Finding]:
    """The findings of the family by code."""
    return {one.rule.code: one.finding for one in ENGINE.check_adapter(patch.adapter(), None)}


def renamed(name: str, **config: object) -> Patch:
    return Patch(config=config, files={"adapter_model.safetensors": DROP, name: WEIGHTS})


@pytest.mark.parametrize(("value", "severity"), [(True, None), (False, Severity.INFO), (DROP, Severity.INFO)])
def test_only_a_config_that_was_saved_with_weights_misses_them(value: object, severity: Severity | None) -> None:
    patch = Patch(config={"inference_mode": value}, files={"adapter_model.safetensors": DROP})
    assert {code: f.severity for code, f in found(patch).items()} == {"FIL101": severity}


@pytest.mark.parametrize("name", ["my_LoRA.safetensors", "adapter_model.pt", "pytorch_lora_weights.safetensors"])
def test_a_name_with_a_word_of_the_adapter_is_a_misnamed_one_even_beside_a_recipe(name: str) -> None:
    assert found(renamed(name, inference_mode=False)).keys() == {"FIL106"}


@pytest.mark.parametrize(
    "name",
    [
        *("optimizer.pt", "rng_state_0.pth", "scheduler.pt", "training_args.bin", "scaler.pt", "random_states_0.pt"),
        *("model.safetensors", "pytorch_model.bin", "._adapter_model.safetensors", "model-q4_k_m.gguf", "notes.txt"),
    ],
)
def test_what_trainers_and_systems_leave_is_not_the_adapter_under_another_name(name: str) -> None:
    assert found(renamed(name)).keys() == {"FIL101"}


def test_any_weights_beside_a_saved_config_may_be_the_adapter_but_not_beside_a_recipe() -> None:
    assert found(renamed("weights.safetensors")).keys() == {"FIL106"}
    assert found(renamed("weights.safetensors", inference_mode=False)).keys() == {"FIL101"}


def test_weights_named_on_the_command_line_are_not_missing() -> None:
    patch = Patch(files={"adapter_model.safetensors": DROP, "step-500.safetensors": WEIGHTS})
    adapter = load_adapter(patch.folder(), weights="step-500.safetensors")
    assert adapter is not None
    assert [one.rule.code for one in ENGINE.check_adapter(adapter, None)] == []


def test_each_pointer_is_told_once_with_the_size_it_stands_for() -> None:
    patch = Patch(files={"adapter_config.json": LFS, "adapter_model.safetensors": LFS})
    findings = [one for one in ENGINE.check_adapter(patch.adapter(), None) if one.rule.code == "FIL103"]
    assert [f.finding.at.file for f in findings] == ["adapter/adapter_config.json", "adapter/adapter_model.safetensors"]
    assert all("7 bytes" in f.finding.message for f in findings)


def test_an_empty_config_is_not_the_empty_weights() -> None:
    assert "FIL104" not in found(Patch(files={"adapter_config.json": ""}))


def test_a_broken_config_is_neither_missing_nor_a_reason_to_ask_for_weights() -> None:
    assert found(Patch(files={"adapter_config.json": "{", "adapter_model.safetensors": DROP})) == {}


def test_twins_that_cannot_be_compared_are_only_noted() -> None:
    assert found(Patch(files={"adapter_model.bin": LFS}))["FIL105"].severity is None
    assert found(Patch(files={"adapter_model.bin": b"PK"}))["FIL105"].severity is None


def test_the_config_of_a_model_without_its_weights_is_no_model() -> None:
    assert found(Patch(files={"config.json": "{}"})) == {}


@pytest.mark.parametrize("name", ["model-00001-of-00003.safetensors", "pytorch_model.bin.index.json"])
def test_shards_and_their_index_are_a_model(name: str) -> None:
    assert found(Patch(files={"config.json": "{}", name: "{}"})).keys() == {"FIL109"}


def test_another_librarys_folder_is_told_and_nothing_else() -> None:
    folder = MemoryFolder("mlx", {"adapters.safetensors": WEIGHTS, "README.md": b"---\n[\n---\n"})
    adapter = load_adapter(folder)
    assert adapter is not None
    assert [one.rule.code for one in Engine(load_rules()).check_adapter(adapter, None)] == ["FIL107"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_and_a_dangling_link_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_bytes(Patch().folder().files["adapter_config.json"])
    os.mkfifo(tmp_path / "adapter_model.safetensors")
    (tmp_path / "README.md").symlink_to(tmp_path / "gone.md")
    adapter = load_adapter(tmp_path)
    assert adapter is not None
    told = {one.finding.at.file.rpartition("/")[2]: one for one in ENGINE.check_adapter(adapter, None)}
    assert {name: (one.rule.code, one.finding.severity) for name, one in told.items()} == {
        "adapter_model.safetensors": ("FIL108", None),
        "README.md": ("FIL108", Severity.INFO),
    }
