"""Rules about an adapter in its base: what their examples cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from adapterlint.lint.engine import Engine, Found
from adapterlint.lint.example import DROP, EMBEDDINGS, HIDDEN, RANK, VOCABULARY, Patch, base_of, with_tokens
from adapterlint.lint.loader import load_rules
from adapterlint.peft.footprint import footprint_of
from adapterlint.severity import Severity
from strange import VALUES

RULES = tuple(r for r in load_rules() if r.family == "BAS")
MATRIX = ("F32", (VOCABULARY, HIDDEN))


def check(patch: Patch, *peft: str) -> list[Found]:
    engine = Engine(RULES, peft or ("0.21",))
    adapter = patch.adapter()
    found = engine.check_adapter(adapter, footprint_of(adapter), base_of(patch))
    assert not engine.crashes
    return found


def errors(found: list[Found]) -> set[str]:
    return {one.rule.code for one in found if (one.finding.severity or one.rule.severity) is Severity.ERROR}


def helps(found: list[Found]) -> list[str | None]:
    return [one.finding.help for one in found]


def test_nothing_is_told_without_a_base() -> None:
    assert check(Patch({"target_modules": ["c_attn"]})) == []


def test_a_base_of_custom_code_decides_nothing_about_modules_that_are_not_seen() -> None:
    unknown = {"model_type": "acme", "architectures": ["AcmeForCausalLM"]}
    assert check(Patch({"target_modules": ["q_proj", "v_proj", "hidden_part"]}, base=unknown)) == []


def test_the_line_that_repairs_a_vocabulary_is_told_once_for_both_ends() -> None:
    big = ("F32", (67, HIDDEN))
    tensors = {f"{EMBEDDINGS}.weight": big, "base_model.model.lm_head.weight": big}
    found = check(Patch({"modules_to_save": ["embed_tokens", "lm_head"]}, tensors, base={}))
    assert helps(found) == ["Call `model.resize_token_embeddings(67)` on the base before the adapter is loaded."]


def test_labels_that_the_base_does_not_declare_are_advice() -> None:
    head = {"base_model.model.score.weight": ("F32", (5, HIDDEN))}
    (found,) = check(Patch({"task_type": "SEQ_CLS"}, head, base={}))
    assert found.finding.severity is Severity.INFO
    assert found.finding.help == "Load the base with `from_pretrained(..., num_labels=5)`."


def test_a_rank_is_left_to_the_rule_about_ranks() -> None:
    assert check(Patch({"r": 4}, base={})) == []


def test_the_beginning_that_makes_all_tensors_fit_is_named() -> None:
    found = check(Patch(rename=("model.model.model.", "model.model.text.model."), base={}))
    assert errors(found) == {"BAS109"}
    assert helps(found) == [
        "All tensors fit if their names begin with `base_model.model.` instead of `base_model.model.text.`."
    ]


def test_an_adapter_of_the_class_without_a_head_is_no_error_if_no_task_says_otherwise() -> None:
    """Such an adapter is loaded into what `AutoModel` gives."""
    headless = Patch({"task_type": None}, rename=("model.model.model.", "model.model."), base={})
    assert check(headless) == []


TIED = {"tie_word_embeddings": True}
HEAD = "base_model.model.lm_head"
FACTORS = {
    f"{EMBEDDINGS}.lora_embedding_A": ("F32", (RANK, VOCABULARY)),
    f"{EMBEDDINGS}.lora_embedding_B": ("F32", (HIDDEN, RANK)),
    f"{HEAD}.lora_A.weight": ("F32", (RANK, HIDDEN)),
    f"{HEAD}.lora_B.weight": ("F32", (VOCABULARY, RANK)),
}
ROWS = {f"{end}.token_adapter.trainable_tokens_delta": ("F32", (2, HIDDEN)) for end in (EMBEDDINGS, HEAD)}
WHOLE = {f"{EMBEDDINGS}.weight": MATRIX, f"{HEAD}.weight": MATRIX}
BOTH = ["embed_tokens", "lm_head"]


def parts(tensors: Mapping[str, Any], *modules: str) -> dict[str, Any]:
    return {name: shape for name, shape in tensors.items() if any(f".{module}." in name for module in modules)}


@pytest.mark.parametrize(
    ("config", "tensors", "told"),
    [
        ({"target_modules": ["q_proj", "v_proj", "lm_head"]}, parts(FACTORS, "lm_head"), ("warning", "warning")),
        ({"target_modules": ["q_proj", "v_proj", *BOTH]}, FACTORS, ("warning", "warning")),
        (
            {"target_modules": ["q_proj", "v_proj", *BOTH], "ensure_weight_tying": True},
            parts(FACTORS, "embed_tokens"),
            ("warning", "warning"),
        ),
        ({"modules_to_save": ["embed_tokens"]}, parts(WHOLE, "embed_tokens"), ("info", None)),
        ({"modules_to_save": BOTH}, WHOLE, ("info", None)),
        ({"modules_to_save": BOTH, "ensure_weight_tying": True}, WHOLE, (None, None)),
        ({"trainable_token_indices": {"lm_head": [60, 61]}}, parts(ROWS, "lm_head"), ("warning", "warning")),
        ({"trainable_token_indices": {key: [60, 61] for key in BOTH}}, ROWS, ("warning", None)),
        ({"trainable_token_indices": {"embed_tokens": [60, 61]}}, parts(ROWS, "embed_tokens"), (None, None)),
    ],
)
def test_what_merging_loses_in_a_tied_base(
    config: dict[str, Any], tensors: dict[str, Any], told: tuple[str | None, str | None]
) -> None:
    """As real PEFT 0.18.1 and 0.21.2 merge: an error of the output at once, or after saving and loading (advice)."""
    for release, severity in zip(("0.18", "0.21"), told, strict=True):
        found = [one for one in check(Patch(config, tensors, base=TIED), release) if one.rule.code == "BAS112"]
        assert [(one.finding.severity or one.rule.severity).value for one in found] == ([severity] if severity else [])


def test_token_rows_as_a_list_follow_the_tie() -> None:
    rows = with_tokens(60, 61)
    assert check(Patch(rows.config, rows.tensors, base={"tie_word_embeddings": True})) == []


def test_the_class_of_an_error_is_that_of_the_release() -> None:
    factors = {
        f"base_model.model.transformer.h.0.attn.c_attn.lora_{f}.weight": ("F32", s)
        for f, s in (("A", (RANK, HIDDEN)), ("B", (48, RANK)))
    }
    patch = Patch({"target_modules": ["c_attn"]}, {"*": DROP, **factors}, base={})
    (old,), (new,) = check(patch, "0.18"), check(patch, "0.21")
    assert old.finding.message.endswith("PEFT raises `ValueError`")
    assert new.finding.message.endswith("PEFT raises `NoMatchingPeftModuleError`")


def test_lists_for_every_architecture_are_not_told() -> None:
    everywhere = ["q_proj", "v_proj", "c_attn", "query_key_value", "wte", "score", "W_pack"]
    assert check(Patch({"target_modules": everywhere}, base={})) == []


KEYS = (
    *(
        "target_modules",
        "modules_to_save",
        "trainable_token_indices",
        "layers_to_transform",
        "task_type",
        "auto_mapping",
    ),
    *("exclude_modules", "rank_pattern", "target_parameters", "ensure_weight_tying", "r", "bias", "layers_pattern"),
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", VALUES, ids=lambda v: repr(v)[:20])
def test_a_value_of_any_type_is_read_without_a_crash(key: str, value: Any) -> None:
    config: Mapping[str, Any] = {key: value}
    check(Patch(config, {"base_model.model.lm_head.weight": MATRIX}, base={"tie_word_embeddings": True}))
