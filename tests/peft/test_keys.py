"""What the names of tensors are taken apart into; every name stood in a file that PEFT saved, or was damaged after."""

from __future__ import annotations

import pytest

from adapterlint.peft.keys import MAX_NAME, Role, split_key, wrapper_in

Q = "model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("name", "prefix", "expected"),
    [
        (f"base_model.model.{Q}.lora_A.weight", "lora_", (Role.TUNER, Q, "lora_A.weight")),
        (f"base_model.model.{Q}.lora_A.default.weight", "lora_", (Role.TUNER, Q, "lora_A.default.weight")),
        ("base_model.model.model.embed_tokens.lora_embedding_A", "lora_", "model.embed_tokens"),
        (f"base_model.model.{Q}.ia3_l", "ia3_", (Role.TUNER, Q, "ia3_l")),
        (f"base_model.model.{Q}.psoft_R.vector_a", "psoft_", (Role.TUNER, Q, "psoft_R.vector_a")),
        ("base_model.vera_A", "vera_lambda_", (Role.SHARED, "", "vera_A")),
        ("base_model.model.lm_head.weight", "lora_", (Role.PLAIN, "lm_head", "weight")),
        ("base_model.model.classifier.out_proj.bias", "lora_", (Role.PLAIN, "classifier.out_proj", "bias")),
    ],
)
def test_a_name_is_module_and_parameter(name: str, prefix: str, expected: tuple[Role, str, str] | str) -> None:
    key = split_key(name, prefix, False)
    assert (key.module if isinstance(expected, str) else key) == expected


def test_the_second_of_two_wrapped_parameters_keeps_its_place_in_the_parameter() -> None:
    experts = "base_model.model.model.layers.0.mlp.experts"
    first, second = (split_key(f"{experts}{inner}.lora_A.weight", "lora_", False) for inner in ("", ".base_layer"))
    assert first == (Role.TUNER, "model.layers.0.mlp.experts", "lora_A.weight")
    assert second == (Role.TUNER, "model.layers.0.mlp.experts", "base_layer.lora_A.weight")


def test_the_projection_inside_an_attention_module_is_a_module_of_its_own() -> None:
    key = split_key("base_model.model.attn.base_layer.out_proj.lora_B.weight", "lora_", False)
    assert key == (Role.TUNER, "attn.out_proj", "lora_B.weight")


@pytest.mark.parametrize("inner", ["", "token_adapter."])
def test_token_rows(inner: str) -> None:
    key = split_key(f"base_model.model.model.embed_tokens.{inner}trainable_tokens_delta", "lora_", False)
    assert key == (Role.TOKENS, "model.embed_tokens", f"{inner}trainable_tokens_delta")


@pytest.mark.parametrize("inner", ["base_layer", "token_adapter.base_layer"])
def test_a_weight_of_the_base_below_a_wrapper_is_the_module_s_own(inner: str) -> None:
    key = split_key(f"base_model.model.model.embed_tokens.{inner}.weight", "lora_", False)
    assert key == (Role.PLAIN, "model.embed_tokens", "weight")


@pytest.mark.parametrize("copy", ["original_module", "modules_to_save"])
def test_the_copies_inside_a_whole_module_are_told_apart_from_its_own_tensors(copy: str) -> None:
    key = split_key(f"base_model.model.classifier.{copy}.bias", "lora_", False)
    assert key == (Role.PLAIN, "classifier", f"{copy}.bias")


@pytest.mark.parametrize(
    "name",
    [
        f"{Q}.lora_A.weight",
        f"module.base_model.model.{Q}.lora_A.weight",
        f"base_model.model.base_model.model.{Q}.lora_A.weight",
        "prompt_embeddings",
        "",
    ],
)
def test_what_does_not_begin_as_peft_writes_it_is_foreign(name: str) -> None:
    assert split_key(name, "lora_", False).role is Role.FOREIGN


def test_prompt_learning_writes_bare_names_and_whole_modules_one_level_up() -> None:
    assert split_key("prompt_embeddings", "", True) == (Role.SHARED, "", "prompt_embeddings")
    assert split_key("base_model.score.weight", "", True) == (Role.PLAIN, "score", "weight")


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.prompt_embeddings",
        "module.prompt_embeddings",
        "base_model.model.base_model.score.weight",
        "base_model.base_model.score.weight",
    ],
)
def test_a_prompt_with_a_prefix_is_foreign(name: str) -> None:
    assert split_key(name, "", True).role is Role.FOREIGN


def test_a_wrapper_is_found_anywhere_but_module_only_at_the_front() -> None:
    assert wrapper_in("module.base_model.model.x.weight") == "module."
    assert wrapper_in("base_model.model.layers.0._checkpoint_wrapped_module.x.weight") == "_checkpoint_wrapped_module."
    assert wrapper_in("base_model.model.module.x.weight") is None


def test_a_name_of_endless_length_is_nobodys() -> None:
    fits = "base_model.model." + "a." * ((MAX_NAME - 30) // 2) + "lora_A.weight"
    assert split_key(fits, "lora_", False).role is Role.TUNER
    for prompt_learning in (True, False):
        name = "base_model.model." + "a." * MAX_NAME + "lora_A.weight"
        assert split_key(name, "lora_", prompt_learning) == (Role.FOREIGN, "", name)
