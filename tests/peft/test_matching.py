"""Which modules a config means. Expected values are what PEFT 0.21.2 did, unless a release is named."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterlint.adapter import Config
from adapterlint.lint.example import DROP, Patch
from adapterlint.peft.matching import (
    Components,
    Targets,
    component_pattern,
    idle_entries,
    saved_as,
    whole_modules,
)
from adapterlint.peft.pattern_keys import MAX_MATCHES, PATTERN_COST, is_affordable, matching_keys, pattern_matches
from adapterlint.peft.patterns import MAX_PATTERNS, MAX_PATTERNS_LENGTH

Q0, Q1, Q11 = (f"model.layers.{layer}.self_attn.q_proj" for layer in (0, 1, 11))
EXPERT = "model.layers.1.mlp.experts.0.w1"


def config(**changes: Any) -> Config:
    made = Patch(changes).adapter().config
    assert made is not None
    return made


def matches(module: str, **changes: Any) -> bool | None:
    return Targets(config(**changes)).match(module)


@pytest.mark.parametrize(
    ("targets", "module", "expected"),
    [
        (["q_proj"], Q0, True),
        (["self_attn.q_proj"], Q0, True),
        (["proj"], Q0, False),  # whole components only
        (["q_proj"], "q_proj", True),
        ([Q0], Q0, True),
        ([Q1], Q11, False),
        ([], Q0, False),
        (["all-linear"], Q0, False),  # only as a string
        ({"q_proj": 1}, Q0, True),  # the keys of an object
        ("q_proj", Q0, False),  # a string has to match the whole name
        (r".*\.q_proj", Q0, True),
        (r".*q_proj|.*v_proj", Q0, True),
        ("all-linear", Q0, None),
        ("All-Linear", Q0, None),
        (None, Q0, None),
        (DROP, Q0, None),
        (3, Q0, None),
        ("[", Q0, None),
    ],
)
def test_targets(targets: Any, module: str, expected: bool | None) -> None:
    assert matches(module, target_modules=targets) is expected


@pytest.mark.parametrize(
    ("layers", "layers_pattern", "module", "expected"),
    [
        ([1], None, Q1, True),
        ([1], None, Q11, False),
        (1, None, Q1, True),
        (0, None, Q1, False),
        ([], None, Q1, True),
        (None, None, Q1, True),
        ([True], None, Q1, True),
        ([1], None, "q_proj", True),  # a full name passes
        ([1], None, "lm_head.q_proj", False),  # a suffix without a layer does not
        ([1], "layers", Q1, True),
        ([1], "h", Q1, False),
        ([1], ["h", "layers"], Q1, True),
        ([1], "", Q1, True),
        ([1], [], Q1, True),
        ([1], "(layers|h)", Q1, None),
        ([1], "(block|h)", Q1, False),
    ],
)
def test_layers_to_transform(layers: Any, layers_pattern: Any, module: str, expected: bool | None) -> None:
    found = matches(module, target_modules=["q_proj"], layers_to_transform=layers, layers_pattern=layers_pattern)
    assert found is expected


def test_the_first_number_is_the_layer_and_before_0_20_the_last() -> None:
    experts = config(target_modules=["w1"], layers_to_transform=[1])
    assert Targets(experts).match(EXPERT) is True
    assert Targets(experts, last_index=True).match(EXPERT) is False


def test_a_type_without_the_key_does_not_read_it() -> None:
    assert matches(Q1, peft_type="IA3", target_modules=["q_proj"], layers_to_transform=[0]) is True
    assert matches(Q1, peft_type="VERA", target_modules=["q_proj"], exclude_modules=["q_proj"]) is True


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [
        (["q_proj"], False),
        (["proj"], True),
        ([Q0], False),
        (r".*\.0\..*", False),
        (r"\.0\.", True),
        ("", True),
        ([], True),
        ([1, None], True),
        ("(", None),
    ],
)
def test_exclude_modules(excluded: Any, expected: bool | None) -> None:
    assert matches(Q0, target_modules=["q_proj"], exclude_modules=excluded) is expected


@pytest.mark.parametrize(
    ("saved", "task", "expected"),
    [
        (["self_attn"], None, False),
        (["q_proj"], None, False),
        (["attn"], None, True),  # taken for a pattern of whole components
        (["layers.0"], None, False),
        (["layers.1"], None, True),
        (["model.layers..*"], None, False),
    ],
)
def test_whole_modules_are_no_targets(saved: list[str], task: str | None, expected: bool) -> None:
    assert matches(Q0, target_modules=["q_proj"], modules_to_save=saved, task_type=task) is expected


def test_only_seq_cls_keeps_its_heads_from_being_targets() -> None:
    assert matches("score", target_modules=["score"], task_type="SEQ_CLS") is False
    assert matches("score", target_modules=["score"], task_type="TOKEN_CLS") is True


def test_target_parameters_tune_their_modules() -> None:
    experts = "model.layers.0.mlp.experts"
    named = config(target_modules=[], target_parameters=["mlp.experts.down_proj"])
    assert Targets(named).match(experts) is True
    assert Targets(named).owns_parameter(experts) is True
    assert Targets(named).match(Q0) is False
    bare = config(target_modules=["q_proj"], target_parameters=["down_proj"])
    assert Targets(bare).match(experts) is None  # of which module, the name does not say
    assert Targets(bare).owns_parameter(experts) is None
    assert Targets(bare).owns_parameter(Q0) is False


def test_the_targets_of_adaption_prompt_are_a_suffix() -> None:
    attention = config(peft_type="ADAPTION_PROMPT", target_modules="self_attn")
    assert Targets(attention).match("model.layers.1.self_attn") is True


@pytest.mark.parametrize(
    ("excluded", "layers", "module", "why"),
    [
        (["v_proj"], None, "model.layers.0.self_attn.v_proj", "exclude_modules"),
        (None, [0], Q1, "layers_to_transform"),
        (None, None, "model.layers.0.mlp.up_proj", "target_modules"),
    ],
)
def test_what_keeps_a_module_from_being_a_target(excluded: Any, layers: Any, module: str, why: str) -> None:
    made = config(target_modules=["q_proj", "v_proj"], exclude_modules=excluded, layers_to_transform=layers)
    assert Targets(made).match(module) is False
    assert Targets(made).why_not(module) == why


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["lm_head", "lm_head", "", 1, None], ("lm_head",)),
        ("lm_head", ("l", "m", "_", "h", "e", "a", "d")),  # a string is a list of its characters
        ({"lm_head": 1}, ("lm_head",)),
        (None, ()),
        (3, ()),
    ],
)
def test_whole_modules(value: Any, expected: tuple[str, ...]) -> None:
    assert whole_modules(config(modules_to_save=value)) == expected


def test_a_type_without_modules_to_save_saves_none() -> None:
    assert whole_modules(config(peft_type="TRAINABLE_TOKENS", modules_to_save=["lm_head"])) == ()


@pytest.mark.parametrize(
    ("entries", "module", "owner"),
    [
        (["lm_head"], "lm_head", "lm_head"),
        (["head"], "lm_head", "lm_head"),  # a plain suffix, in the midst of a component too
        (["norm"], "model.layers.0.input_layernorm", "model.layers.0.input_layernorm"),
        (["1.mlp"], "model.layers.11.mlp.up_proj", "model.layers.11.mlp"),
        (["mlp"], "model.layers.0.mlp.down_proj", "model.layers.0.mlp"),
        (["mlp", "down_proj"], "model.layers.0.mlp.down_proj", "model.layers.0.mlp"),  # the outermost
        (["classifier"], "pre_classifier", "pre_classifier"),
        (["q_proj"], "lm_head", None),
        ([], "lm_head", None),
    ],
)
def test_saved_as(entries: list[str], module: str, owner: str | None) -> None:
    assert saved_as(module, entries) == owner


@pytest.mark.parametrize(
    ("key", "module", "expected"),
    [
        ("q_proj", Q0, True),
        ("proj", Q0, False),
        ("layers.0.self_attn.q_proj", Q0, True),
        ("layers.0.self_attn.q_proj", "model.layers_0_self_attn.q_proj", True),  # a dot is any character
        ("self.attn.q_proj", Q0, True),
        (Q0, Q0, True),
        (f"base_model.model.{Q0}", Q0, False),
        ("^q_proj", Q0, False),
        (f"^{Q0}", Q0, True),
        ("q_proj|v_proj", Q0, True),
        (".*", Q0, True),
        ("layers.0.*", Q0, True),
        ("q_proj.lora_A", Q0, False),
        ("q_proj", "q_proj", True),
        ("(", Q0, None),
    ],
)
def test_keys_of_patterns(key: str, module: str, expected: bool | None) -> None:
    assert pattern_matches(key, module) is expected


def test_the_keys_that_match_come_in_their_order() -> None:
    patterns = {"v_proj": 1, "layers.0.*": 2, "q_proj": 3}
    assert list(matching_keys(patterns, Q0)) == ["layers.0.*", "q_proj"]
    assert list(matching_keys(patterns, Q1)) == ["q_proj"]
    assert not list(matching_keys(patterns, "lm_head"))


def test_entries_that_name_nothing() -> None:
    assert idle_entries(["q_proj", "k_proj", "layers.1.self_attn.q_proj", "o"], [Q0, Q1]) == ("k_proj", "o")


@given(st.text("ab.", min_size=1, max_size=4), st.text("abx.", min_size=1, max_size=12))
def test_components_are_found_as_the_regular_expression_finds_them(entry: str, module: str) -> None:
    assert Components([entry]).cover(module) is (re.match(component_pattern(entry), module) is not None)


def test_what_too_many_entries_cover_is_not_said() -> None:
    many = Components([f"[a]{i}" for i in range(MAX_PATTERNS + 1)])
    assert many.cover("a1") is None
    few = Components(["[a]1", "b"])
    assert few.cover("a1") is True
    assert few.cover("c") is False
    assert [few.cover("a1") for _ in range(MAX_MATCHES // PATTERN_COST)][-1] is None
    assert few.cover("x.b.y") is True  # a plain name costs nothing
    saved = [f"[a]{i}" for i in range(MAX_PATTERNS + 1)]
    assert matches(Q0, target_modules=["q_proj"], modules_to_save=saved) is None
    assert matches("lm_head", target_modules=["q_proj"], modules_to_save=saved) is False


def test_many_expressions_are_not_affordable_even_for_one_module() -> None:
    assert is_affordable([f"[a]{i}" for i in range(MAX_PATTERNS)], [Q0])
    assert not is_affordable([f"[a]{i}" for i in range(MAX_PATTERNS + 1)], [Q0])
    assert not is_affordable(["[a]" * MAX_PATTERNS_LENGTH], [Q0])
    assert is_affordable([f"layers.{i}" for i in range(MAX_PATTERNS + 1)], [Q0])
