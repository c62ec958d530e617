"""`compat`: what decides, what is right, and the sentence why the release before is not.

What PEFT does was seen in each release (`tests/peft/releases.jsonl.gz`, `tests/peft/test_releases.py`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from adapterlint import AdapterlintError, compat, simulate
from adapterlint.adapter import Adapter
from adapterlint.compatibility import AdapterCompatibility, Compatibility, ReleaseVerdict
from adapterlint.lint.example import DROP, Patch, base_files
from adapterlint.peft.dropped import dropped
from adapterlint.peft.releases import PATCHES
from adapterlint.report.compat_text import compat_text
from adapterlint.simulation import SimulatedError
from conftest import Write

NO_INDICES = {"trainable_token_indices": DROP}  # 0.10 to 0.13 have no such key


def judged(config: dict[str, Any] | None = None, tensors: dict[str, Any] | None = None) -> AdapterCompatibility:
    (found,) = compat(Patch(NO_INDICES | (config or {}), tensors or {}).adapter()).adapters
    return found


def test_a_plain_adapter_with_no_newer_key_is_right_everywhere() -> None:
    found = judged()
    assert (found.oldest, found.newest, found.before, found.after) == ("0.10.0", "0.21.2", None, None)
    assert list(found.releases) == list(PATCHES.values())


@pytest.mark.parametrize(
    ("config", "oldest", "before"),
    [
        (
            {"runtime_config": {}},
            "0.12.0",
            "0.11.1 refuses the config for `runtime_config` (TypeError), though it could",
        ),
        ({"lora_bias": True}, "0.14.0", "0.13.2 refuses the config for `lora_bias` (TypeError)"),
        ({"eva_config": None}, "0.14.0", "0.13.2 refuses the config for `eva_config` (TypeError), though it could be"),
        (
            {"ensure_weight_tying": True},
            "0.18.1",
            "0.17.1 drops `ensure_weight_tying`, which keeps input and output embeddings tied",
        ),
        ({"ensure_weight_tying": False, "peft_version": "0.21.2"}, "0.14.0", "0.13.2 refuses the config for"),
        ({"use_qalora": True}, "0.16.0", "0.15.2 drops `use_qalora`, which makes it QA-LoRA"),
    ],
)
def test_the_oldest_release_is_told_with_its_reason(config: dict[str, Any], oldest: str, before: str) -> None:
    found = judged(config)
    assert found.oldest == oldest
    assert found.before is not None
    assert found.before.startswith(before)


def test_a_type_has_a_first_and_a_last_release() -> None:
    bone = judged({"peft_type": "BONE", "init_weights": True})
    assert (bone.oldest, bone.newest) == ("0.14.0", "0.18.1")
    assert bone.before == "0.13.2 does not know the type `BONE` (KeyError)"
    assert bone.after == "0.19.1 does not know the type `BONE` (KeyError)"


@pytest.mark.parametrize(("config", "error"), [({"peft_type": "DIAG"}, "'DIAG'"), ({"peft_type": DROP}, "'peft_type'")])
def test_what_no_release_takes_has_no_oldest(config: dict[str, Any], error: str) -> None:
    found = judged(config)
    assert found.oldest is None
    assert {one.error.text for one in found.releases.values() if one.error} == {error}


def test_tensors_ask_for_releases_too() -> None:
    convolution = {"*": DROP, "base_model.model.conv.lora_A.weight": ("F32", (8, 16, 3)),
                   "base_model.model.conv.lora_B.weight": ("F32", (16, 8, 1))}  # fmt: skip
    found = judged({"target_modules": ["conv"]}, convolution)
    assert found.oldest == "0.15.2"
    assert found.before == "0.14.0 raises ValueError: Target module Conv1d(...) is not supported."


def test_tensors_that_a_release_has_no_place_for_are_lost(tmp_path: Path) -> None:
    rotation = {"*": DROP, "base_model.model.model.layers.0.self_attn.q_proj.oft_R.weight": ("F32", (4, 6))}
    config = {"peft_type": "OFT", "r": 0, "oft_block_size": 4, "target_modules": ["q_proj"]}
    alike = dict.fromkeys(("lora_alpha", "lora_dropout", "init_lora_weights", "use_dora", "use_rslora"), DROP)
    patch = Patch(NO_INDICES | config | alike | {"rank_pattern": DROP, "alpha_pattern": DROP}, rotation)
    base = tmp_path / "base"
    base.mkdir()
    for name, content in base_files().items():
        (base / name).write_bytes(content)
    (found,) = compat(patch.adapter(), base=base).adapters
    assert (found.evidence, found.oldest) == ("base", "0.16.0")
    assert found.before == f"0.15.2 has no place for 1 tensor, such as {list(rotation)[1]}"


@pytest.mark.parametrize("content", [None, b"version https://git-lfs.github.com/spec/v1"], ids=["none", "pointer"])
def test_without_weights_that_can_be_read_the_config_alone_decides(write: Write, content: bytes | None) -> None:
    """A repository of configs, or a checkout without its large files, is asked which PEFT reads them."""
    folder = write("de", {"ensure_weight_tying": True})
    weights = folder / "adapter_model.safetensors"
    weights.unlink() if content is None else weights.write_bytes(content)
    (found,) = compat(folder).adapters
    assert (found.evidence, found.oldest) == ("config", "0.18.1")


def test_the_base_decides_where_it_is_at_hand(write: Write, tmp_path: Path) -> None:
    adapter = write("de", {"target_modules": ["nothing"], **NO_INDICES})
    base = tmp_path / "base"
    base.mkdir()
    for name, content in base_files({}).items():
        (base / name).write_bytes(content)
    found = compat(adapter, base=base)
    assert found.adapters[0].evidence == "base"
    assert found.adapters[0].oldest is None
    assert found.adapters[0].releases["0.21.2"].error is not None


def test_releases_are_named_by_line_or_patch() -> None:
    found = compat(Patch().adapter(), releases=["0.18", "0.17.0", "0.18.1"])
    assert found.named == ["0.18.1", "0.17.0"]
    assert found.releases.index("0.17.0") + 1 == found.releases.index("0.17.1")
    assert not found.fails()
    assert compat(Patch().adapter(), releases=["0.13"]).fails()
    for release in ("new", "0.9", "1", "0.x"):
        with pytest.raises(AdapterlintError):
            compat(Patch().adapter(), releases=[release])


def test_the_json_form_is_versioned_and_comes_back() -> None:
    found = compat(Patch({"use_qalora": True}).adapter())
    assert found.model_dump()["schema"] == 1
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_a_key_matters_if_it_is_read_and_not_at_its_default() -> None:
    values = {"use_bdlora": {}, "target_parameters": ["a"], "eva_config": {"rho": 2}, "foo": 1, "lora_bias": False}
    assert {key.key: key.matters for key in dropped("LORA", values, "0.12")} == {
        "eva_config": False,
        "foo": False,
        "lora_bias": False,
        "target_parameters": True,
        "use_bdlora": False,
    }
    heads = {"modules_to_save": ["classifier", "score"]}
    assert [key.matters for key in dropped("PROMPT_TUNING", heads, "0.16")] == [False]
    assert dropped("LORA", {"runtime_config": {}}, "0.12") == ()


def test_simulations_tell_the_same_keys() -> None:
    adapter = Patch({"ensure_weight_tying": True}).adapter()
    told = compat(adapter).adapters[0].releases["0.16.0"].dropped
    assert simulate([adapter], names=["de"], peft="0.16").adapters["de"].dropped == told


def alike(number: int) -> list[Adapter]:
    targets = (["q_proj", "v_proj"], ["v_proj", "q_proj"])
    changes = ({"lora_alpha": n + 1, "revision": str(n), "target_modules": targets[n % 2]} for n in range(number))
    return [Patch(change, path=f"a{n}").adapter() for n, change in enumerate(changes)]


def test_adapters_of_one_recipe_cost_what_one_costs() -> None:
    adapters = alike(300)
    start = time.perf_counter()
    found = compat(adapters)
    assert time.perf_counter() - start < 3
    assert {one.oldest for one in found.adapters} == {"0.14.0"}
    assert [one.path for one in found.adapters] == [f"a{n}" for n in range(300)]


def test_a_size_mismatch_is_told_with_its_tensor_and_both_shapes(tmp_path: Path) -> None:
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    (tmp_path / "base").mkdir()
    for file, content in base_files({}).items():
        (tmp_path / "base" / file).write_bytes(content)
    whole = Patch(NO_INDICES).adapter()
    assert whole.header is not None
    rank, width = whole.header.tensors[name].shape
    found = compat(Patch(NO_INDICES, {name: ("F32", (rank, width + 4))}).adapter(), base=tmp_path / "base")
    inside = name.replace(".weight", ".default.weight")
    told = f"{inside} is [{rank}, {width + 4}] in the file and [{rank}, {width}] in the model"
    assert found.adapters[0].before == f"0.21.2 raises RuntimeError, size mismatch: {told}"
    assert f"no release is right; 0.21.2 raises RuntimeError, size mismatch: {told}" in compat_text(found)


def test_what_is_not_known_is_not_said_to_be_wrong() -> None:
    unknown = ReleaseVerdict(verdict="unknown", right=None)
    refused = ReleaseVerdict(verdict="raises", right=False, error=SimulatedError(type="KeyError", text="'x'"))
    one = judged().model_copy(
        update={
            "oldest": None,
            "newest": None,
            "before": "what 0.21.2 does is not known",
            "releases": {"0.20.0": refused, "0.21.2": unknown},
        }
    )
    text = compat_text(Compatibility(releases=list(one.releases), adapters=[one]))
    assert "no release is known to be right; what 0.21.2 does is not known" in text
