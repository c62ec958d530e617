"""Adaption prompts, X-LoRA, ShadowPEFT: what the recorded fleets do not show of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapterlint import ModuleTree, Patch, Simulation, simulate
from adapterlint.adapter import load_adapter
from adapterlint.lint.example import DROP, HIDDEN, base_of
from adapterlint.peft.loading import load
from adapterlint.peft.model import Model
from adapterlint.peft.versions import Versions
from conftest import Write

CLASSIFIER = "base_model.internal_xlora_classifier.layers.0"
ATTENTION = "base_model.model.model.layers.{}.self_attn.adaption_{}"


def tree(**changes: Any) -> ModuleTree:
    found = base_of(Patch(base=changes))
    assert found is not None
    return found.tree()


def mixing(**adapters: str) -> Patch:
    """An X-LoRA adapter with these experts."""
    config: dict[str, Any] = {
        "peft_type": "XLORA",
        "adapters": adapters,
        "hidden_size": HIDDEN,
        "task_type": "CAUSAL_LM",
    }
    count = len(adapters)
    tensors: dict[str, Any] = {
        f"{CLASSIFIER}.weight": ("F32", (count, HIDDEN)),
        f"{CLASSIFIER}.bias": ("F32", (count,)),
    }
    return Patch(config=config, tensors={"*": DROP, **tensors})


def told(result: Simulation) -> tuple[bool | None, str | None]:
    (one,) = result.adapters.values()
    return one.loads, one.error.type if one.error else None


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_experts_are_looked_for_from_the_working_directory_on(write: Write, here: Path) -> None:
    write("loras/math")
    found = load_adapter(write("mixed", mixing(**{"0": "loras/math", "1": "loras/code"})))
    assert found is not None
    assert found.experts is not None
    assert list(found.experts) == ["loras/math"]
    assert found.experts["loras/math"].config is not None


def test_an_expert_that_mixes_experts_itself_is_not_followed(write: Write, here: Path) -> None:
    found = load_adapter(write("mixed", mixing(**{"0": "mixed"})))
    assert found is not None
    assert found.experts == {}


def test_nothing_on_this_machine_is_read_for_an_adapter_from_elsewhere(write: Write, here: Path) -> None:
    write("loras/math")
    assert mixing(**{"0": "loras/math"}).adapter().experts is None


@pytest.mark.parametrize("path", ["/data/loras/math", "./loras/math", "a/b/c", "../math"])
def test_a_path_without_an_adapter_that_no_hub_id_can_be_is_refused(path: str, write: Write, here: Path) -> None:
    result = simulate(
        [write("mixed", mixing(**{"0": path}))], base=tree(use_cache=False, transformers_version="5.23.0")
    )
    assert told(result) == (False, "ValueError")


@pytest.mark.parametrize("path", ["loras/math", "math", "lamm-mit/x-lora"])
def test_an_expert_that_may_be_on_the_hub_is_not_decided(path: str, write: Write, here: Path) -> None:
    result = simulate(
        [write("mixed", mixing(**{"0": path}))], base=tree(use_cache=False, transformers_version="5.23.0")
    )
    assert told(result) == (None, None)


def test_a_base_that_does_not_say_whether_it_keeps_keys_and_values_is_not_decided(write: Write) -> None:
    adapter = write("mixed", mixing(**{"0": "/data/loras/math"}))
    assert told(simulate([adapter], base=tree())) == (None, None)
    assert told(simulate([adapter], base=tree(use_cache=True))) == (False, "ValueError")


def test_experts_are_mixed(write: Write, here: Path) -> None:
    write("loras/math")
    adapter = write("mixed", mixing(**{"0": "loras/math"}))
    result = simulate([adapter], base=tree(use_cache=False, transformers_version="5.23.0"))
    (one,) = result.adapters.values()
    assert one.loads
    assert one.forward == "effective"
    assert one.coverage is not None
    assert (one.coverage.unexpected, one.coverage.missing) == ([], [])


def prompts() -> Patch:
    """Adaption prompts for the last layer but one."""
    config = {"peft_type": "ADAPTION_PROMPT", "adapter_len": 2, "adapter_layers": 1, "target_modules": "self_attn"}
    gate, prompt = ATTENTION.format(1, "gate"), ATTENTION.format(1, "prompt")
    return Patch(config=config, tensors={"*": DROP, gate: ("F32", (1,)), prompt: ("F32", (1, 2, HIDDEN))})


@pytest.mark.parametrize("patch", [prompts(), mixing(**{"0": "/data/loras/math"})])
def test_without_a_base_nothing_is_said_of_methods_that_follow_its_class(patch: Patch) -> None:
    assert told(simulate([patch.adapter()])) == (None, None)


@pytest.mark.parametrize(("peft", "seen"), [("0.20.0", "late"), ("0.21.2", "first")])
def test_up_to_0_20_the_prompt_that_was_loaded_last_is_in_the_model(peft: str, seen: str) -> None:
    """`AdaptionPromptModel.add_adapter` puts back the one that was active since 0.21."""
    model = Model(tree(), Versions.of(peft, "5.23.0"))
    for name in ("first", "late"):
        load(model, prompts().adapter(), name)
    assert model.swapped is not None
    assert model.swapped.active == seen
    assert model.current == "first"
