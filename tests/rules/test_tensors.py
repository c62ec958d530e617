"""The header of the weights alone: what the examples of the rules do not say."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import pytest

from adapterlint import Finding, Severity
from adapterlint.lint.engine import Engine
from adapterlint.lint.example import DROP, GOOD_TENSORS, Patch, Shape, safetensors_file
from adapterlint.lint.example_pickle import pickle_file
from adapterlint.lint.loader import load_rules
from adapterlint.peft.footprint import footprint_of
from adapterlint.peft.methods import METHODS

RULES = [r for r in load_rules() if r.family == "TEN"]
Q = "base_model.model.model.layers.0.self_attn.q_proj."
EMBED = "base_model.model.model.embed_tokens."


def findings(patch: Patch, *peft: str) -> list[tuple[str, Finding]]:
    adapter = patch.adapter()
    engine = Engine(RULES, peft)
    found = [(one.rule.code, one.finding) for one in engine.check_adapter(adapter, footprint_of(adapter))]
    assert not engine.crashes
    return found


def codes(patch: Patch, *peft: str) -> list[str]:
    return [code for code, _ in findings(patch, *peft)]


def only(tensors: Mapping[str, Shape], **config: Any) -> Patch:
    return Patch(config=config, tensors={"*": DROP, **tensors})


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("module.base_model.model.", "TEN110"),
        ("_fsdp_wrapped_module.base_model.model.", "TEN110"),
        ("base_model.model._orig_mod.", "TEN110"),
        ("base_model.model.base_model.model.", "TEN112"),
        ("", "TEN111"),
        ("module.", "TEN111"),  # a base may have a module of that name; what lacks is PEFT's prefix
        ("trainer.base_model.model.", "TEN111"),
        ("unet.", "TEN123"),
        ("lora_unet_", "TEN123"),
    ],
)
def test_a_wrong_beginning_is_told_under_one_name(first: str, code: str) -> None:
    assert codes(Patch(rename=("base_model.model.", first))) == [code]


def test_a_part_of_the_names_is_a_warning_and_all_of_them_an_error() -> None:
    part = Patch(tensors={f"{Q}lora_A.weight": DROP, f"module.{Q}lora_A.weight": ("F32", (8, 16))})
    (code, finding), *others = findings(part)
    assert (code, finding.severity, others) == ("TEN110", Severity.WARNING, [])
    assert "1 of 8" in finding.message
    (_, whole), *_ = findings(Patch(rename=("base_model.", "module.base_model.")))
    assert whole.severity is None
    assert "8 of 8" in whole.message


def test_a_wrapper_before_a_prompt_is_told_as_a_wrapper() -> None:
    prompt = only({"module.prompt_embeddings": ("F32", (4, 16))}, peft_type="PROMPT_TUNING", num_virtual_tokens=4)
    assert codes(prompt) == ["TEN110"]


@pytest.mark.parametrize("peft_type", ["LORA", "ADALORA", "IA3", "VERA", "VBLORA", "UNILORA", "SHADOW", "XLORA"])
def test_what_a_whole_tuner_shares_has_a_shorter_prefix(peft_type: str) -> None:
    assert codes(only({"base_model.vera_A": ("F32", (8, 16))}, peft_type=peft_type)) == []


def test_names_of_an_unknown_type_are_not_judged() -> None:
    assert codes(Patch(config={"peft_type": "NEWER"}, rename=("base_model.model.", ""))) == []


def test_an_adapter_name_is_harmless_under_its_own_name_since_021_only() -> None:
    patch = Patch(rename=(".weight", ".german.weight"))
    (code, new), *_ = findings(patch)
    assert (code, new.severity) == ("TEN113", None)
    assert "`german`" in new.message
    (code, old), *_ = findings(patch, "0.20")
    assert (code, old.severity) == ("TEN113", Severity.ERROR)


@pytest.mark.parametrize(
    "parameter",
    [
        *("lora_A.weight", "lora_B.bias", "lora_embedding_A", "lora_magnitude_vector", "lora_magnitude_vector.weight"),
        *("lora_diag", "lora_velora_embed", "lora_monteclora_sampler.expert_weights", "base_layer.lora_A.weight"),
    ],
)
def test_parameters_of_lora_have_no_adapter_name_in_them(parameter: str) -> None:
    assert "TEN113" not in codes(only({Q + parameter: ("F32", (8,))}))


@pytest.mark.parametrize(
    ("peft_type", "parameter"),
    [
        *(("OSF", "osf_svd_params.U_low"), ("PSOFT", "psoft_R.vector_a"), ("LILY", "lily_A.weight")),
        *(("GLORA", "glora_A.Xd"), ("SHADOW", "shadow_down.default.weight"), ("ADAMSS", "adamss_A.0")),
        *(("LN_TUNING", "ln_tuning_layers.bias"), ("OFT", "oft_R.weight"), ("PEANUT", "peanut_encoders.0.weight")),
    ],
)
def test_dots_in_the_parameters_of_other_methods_are_no_adapter_names(peft_type: str, parameter: str) -> None:
    assert "TEN113" not in codes(only({Q + parameter: ("F32", (8,))}, peft_type=peft_type))


def test_the_copy_of_a_whole_module_counts_only_where_its_plain_name_is_missing() -> None:
    copy: dict[str, Shape] = {"base_model.model.lm_head.modules_to_save.de.weight": ("F32", (64, 16))}
    assert codes(Patch(tensors=copy)) == ["TEN113"]
    assert codes(Patch(tensors={**copy, "base_model.model.lm_head.weight": ("F32", (64, 16))})) == []


def test_biases_of_copies_are_what_peft_saves_with_all_biases() -> None:
    saved: dict[str, Shape] = {
        "base_model.model.score.modules_to_save.de.dense.bias": ("F32", (4,)),
        "base_model.model.score.original_module.bias": ("F32", (4,)),
    }
    assert codes(Patch(config={"bias": "all"}, tensors=saved)) == []


def test_a_rank_of_nothing_is_what_pruning_leaves() -> None:
    pruned = {"lora_A": (0, 16), "lora_B": (16, 0), "lora_E": (0, 1)}
    assert codes(only({Q + n: ("F32", s) for n, s in pruned.items()}, peft_type="ADALORA")) == []


def test_token_rows_of_no_tokens_are_not_a_lost_shard() -> None:
    rows: dict[str, Shape] = {f"{EMBED}token_adapter.trainable_tokens_delta": ("F32", (0, 16))}
    assert codes(Patch(config={"trainable_token_indices": []}, tensors=rows)) == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", None),
        (b"abc", "TEN101"),
        (b"GGUF" + bytes(60), "TEN101"),
        (struct.pack("<Q", 4) + b"\xff{}}", "TEN101"),
        (struct.pack("<Q", 2) + b"[]", "TEN101"),
        (struct.pack("<Q", 2) + b"{}", "TEN124"),
        (safetensors_file(GOOD_TENSORS)[:-1], "TEN105"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_once(content: bytes, kind: str | None) -> None:
    assert codes(Patch(files={"adapter_model.safetensors": content})) == ([kind] if kind else [])


def test_the_name_that_a_file_belongs_under_is_told() -> None:
    (_, zipped), *_ = findings(Patch(files={"adapter_model.safetensors": pickle_file(GOOD_TENSORS)}))
    assert zipped.help == "Rename it to `adapter_model.bin`."
    swapped = Patch(files={"adapter_model.safetensors": DROP, "adapter_model.bin": safetensors_file(GOOD_TENSORS)})
    (_, plain), *_ = findings(swapped)
    assert plain.help == "Rename it to `adapter_model.safetensors`."


def test_a_header_kept_without_its_data_misses_none() -> None:
    header = safetensors_file(GOOD_TENSORS)[:-4096]
    stub = Patch(files={"adapter_model.safetensors": DROP, "adapter_model.safetensors.header": header})
    assert codes(stub) == []


HOSTILE: list[Any] = [None, True, -1, 10**400, 1.5, float("nan"), "", "x" * 10_000, [], [[]], {}, {"a": {"b": []}}]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda v: str(v)[:20])
@pytest.mark.parametrize("key", ["peft_type", "use_bdlora", "target_parameters", "modules_to_save", "task_type"])
def test_odd_values_in_the_config_never_stop_a_rule(key: str, value: Any) -> None:
    findings(Patch(config={key: value}, tensors={f"{Q}lora_B.weight": ("F32", (16, 4)), "x": ("F32", ())}))


@pytest.mark.parametrize("peft_type", sorted(METHODS))
@pytest.mark.parametrize(
    "name", ["", ".", "...", "base_model.", "base_model.model.", "module.", "a.lora_A.b.c.d", "\x00"]
)
def test_odd_names_never_stop_a_rule(peft_type: str, name: str) -> None:
    findings(only({name: ("F32", ()), f"{Q}{name}": ("F32", (0,))}, peft_type=peft_type))
