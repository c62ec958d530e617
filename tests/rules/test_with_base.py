"""Rules about one adapter know more where its base is at hand; of two that would say the same, one is silent.

What PEFT 0.18.1 and 0.21.2 do with each of these adapters was seen by loading it.
"""

from __future__ import annotations

from typing import Any

import pytest

from adapterlint.lint.engine import Engine, Found
from adapterlint.lint.example import DROP, GOOD_CONFIG, GOOD_TENSORS, HIDDEN, VOCABULARY, Patch, base_of
from adapterlint.lint.loader import load_rules
from adapterlint.peft.footprint import footprint_of
from adapterlint.severity import Severity

RULES = tuple(r for r in load_rules() if r.family in ("BAS", "FIT", "CFG") and r.code != "CFG151")
MATRIX = ("F32", (VOCABULARY, HIDDEN))
HEAD: dict[str, Any] = {"base_model.model.lm_head.weight": MATRIX}
SCORE: dict[str, Any] = {"base_model.model.score.weight": ("F32", (2, HIDDEN))}
LABELS = {"architectures": ["LlamaForSequenceClassification"], "pad_token_id": 0}
ONE_LAYER = {"num_hidden_layers": 1}
LOST: dict[str, Any] = {name: DROP for name in GOOD_TENSORS if ".1." in name and "q_proj" in name}


def told(patch: Patch, *releases: str) -> dict[str, Severity]:
    found = run(patch, *releases)
    return {one.rule.code: one.finding.severity or one.rule.severity for one in found}


def run(patch: Patch, *releases: str) -> list[Found]:
    engine = Engine(RULES, releases or ("0.18", "0.21"))
    adapter = patch.adapter()
    found = engine.check_adapter(adapter, footprint_of(adapter), base_of(patch))
    assert not engine.crashes
    return found


def both(config: dict[str, Any], tensors: dict[str, Any], base: dict[str, Any]) -> tuple[dict[str, Severity], ...]:
    return told(Patch(config, tensors)), told(Patch(config, tensors, base=base))


ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


@pytest.mark.parametrize(
    ("config", "tensors", "base", "without", "within"),
    [
        # A target without tensors.
        ({"target_modules": ["q_proj", "v_proj", "k_proj"]}, {}, {}, {"FIT104": WARNING}, {"FIT104": WARNING}),
        ({"target_modules": ["q_proj", "v_proj", "gate_proj"]}, {}, {}, {}, {"FIT104": WARNING}),
        ({"target_modules": r".*\.[qkv]_proj"}, {}, {}, {}, {"FIT104": WARNING}),
        ({}, LOST, {}, {}, {"FIT104": WARNING}),
        ({"target_modules": ["q_proj", "v_proj", "odd_name"]}, {}, {}, {"FIT104": INFO}, {"BAS102": INFO}),
        ({"target_modules": ["q_proj", "v_proj", "embed_tokens"]}, {}, {}, {"FIT109": WARNING}, {"FIT109": WARNING}),
        ({"target_modules": ["q_proj", "v_proj", "wte"]}, {}, {}, {}, {}),
        # Tensors without a target.
        ({"target_modules": ["q_proj"]}, {}, {}, {"FIT103": WARNING}, {"FIT103": WARNING}),
        ({"target_modules": ["q_proj"]}, {}, ONE_LAYER, {"FIT103": WARNING}, {"FIT103": WARNING, "BAS109": WARNING}),
        ({"layers_to_transform": [7]}, {}, {}, {"FIT103": ERROR}, {"FIT103": ERROR}),
        # A whole module without tensors.
        ({"modules_to_save": ["lm_head"]}, {}, {}, {"FIT105": WARNING}, {"BAS107": ERROR}),
        ({"modules_to_save": ["nothing"]}, {}, {}, {"FIT105": WARNING}, {}),
        ({"modules_to_save": ["rotary_emb"]}, {}, {}, {"FIT105": WARNING}, {}),
        ({"task_type": "SEQ_CLS"}, {}, LABELS, {"FIT112": WARNING}, {"BAS107": ERROR}),
        # Weights of the base, and of none.
        ({}, HEAD, {}, {"FIT107": WARNING}, {"FIT107": WARNING}),
        ({}, SCORE, {}, {"FIT107": WARNING}, {"BAS109": WARNING}),
        ({}, {"base_model.model.lm_head.weight": ("F32", (67, HIDDEN))}, {}, {"FIT107": WARNING}, {"BAS108": ERROR}),
        # A string instead of a list.
        ({"modules_to_save": "lm_head"}, {}, {}, {"CFG130": ERROR}, {"CFG130": ERROR}),
        ({"modules_to_save": "xyz"}, {}, {}, {"CFG130": WARNING}, {"CFG130": WARNING}),
        # Nothing of the method.
        (
            {},
            {"*": DROP, "base_model.model.model.layers.0.self_attn.q_proj.lora_down.weight": ("F32", (8, HIDDEN))},
            {},
            {"FIT114": ERROR},
            {"FIT114": ERROR},
        ),
    ],
)  # fmt: skip
def test_a_base_at_hand_decides(
    config: dict[str, Any],
    tensors: dict[str, Any],
    base: dict[str, Any],
    without: dict[str, Severity],
    within: dict[str, Severity],
) -> None:
    assert both(config, tensors, base) == (without, within)


def test_the_modules_that_stay_as_they_are_initialised_are_named() -> None:
    (found,) = run(Patch({}, LOST, base={}))
    assert "`model.layers.1.self_attn.q_proj`" in found.finding.message
    assert found.finding.at.pointer == "/target_modules/0"


def test_a_task_that_generates_in_a_base_that_does_not_is_refused() -> None:
    found = told(Patch({"task_type": "CAUSAL_LM"}, base=LABELS))
    assert found["BAS119"] is Severity.ERROR


def test_rows_of_an_embedding_are_those_of_the_head_that_is_tied_to_it() -> None:
    """Saved without the name of the embedding itself, they reach it all the same."""
    config = {"peft_type": "TRAINABLE_TOKENS", "token_indices": [2], "target_modules": ["embed_tokens"]}
    dropped = dict.fromkeys(("r", "lora_alpha", "lora_dropout", "bias", "use_dora", "trainable_token_indices"), DROP)
    rows = {"*": DROP, "base_model.model.lm_head.trainable_tokens_delta": ("F32", (1, HIDDEN))}
    tied = told(Patch({**config, **dropped}, rows, base={"tie_word_embeddings": True}))
    assert not {code for code, severity in tied.items() if severity is Severity.ERROR}
    assert told(Patch({**config, **dropped}, rows, base={}))["FIT106"] is Severity.ERROR


def test_ranks_that_an_initialisation_cut_to_the_size_of_a_layer_are_right() -> None:
    """PiSSA has no more singular values than the smaller side of a weight has."""
    head = {
        "base_model.model.score.lora_A.weight": ("F32", (2, HIDDEN)),
        "base_model.model.score.lora_B.weight": ("F32", (2, 2)),
    }
    config = {"target_modules": ["q_proj", "v_proj", "score"], "task_type": None, "init_lora_weights": "pissa"}
    assert "FIT101" not in told(Patch(config, head))
    assert "FIT101" in told(Patch({**config, "init_lora_weights": True}, head))


STRICT = {"use_bdlora": {"target_modules_bd_a": ["q_proj"], "nblocks": 2}}
IN_BLOCKS = {
    "*": DROP,
    **{name: ("F32", (8, 8) if "q_proj.lora_A" in name else shape) for name, (_, shape) in GOOD_TENSORS.items()},
}


def test_settings_of_block_diagonal_lora_take_the_defaults_that_peft_gives_them() -> None:
    assert told(Patch(STRICT, IN_BLOCKS, base={}), "0.20", "0.21") == {"BAS119": Severity.ERROR}
    lenient = {"use_bdlora": {**STRICT["use_bdlora"], "match_strict": False}}
    assert told(Patch(lenient, IN_BLOCKS, base={}), "0.20", "0.21") == {}


def test_the_default_of_blocks_in_0_19_is_no_number() -> None:
    one_block = Patch({"use_bdlora": {"target_modules_bd_a": ["q_proj"], "match_strict": False}}, base={})
    assert told(one_block, "0.20", "0.21") == {}
    (found,) = run(one_block, "0.19")
    assert "TypeError" in found.finding.message


PROMPT = {key: DROP for key in Patch().new_config() if key not in ("base_model_name_or_path", "revision", "task_type")}
PROMPT |= {"num_virtual_tokens": 5, "num_attention_heads": 4, "num_layers": 2, "num_transformer_submodules": 1}


@pytest.mark.parametrize(
    ("config", "columns", "beginning"),
    [
        (
            {"peft_type": "PROMPT_TUNING", "token_dim": 32},
            32,
            "`token_dim` is 32, but the embeddings of this base have 16 features: every forward pass raises `RuntimeE",
        ),
        ({"peft_type": "PROMPT_TUNING", "token_dim": 16}, 16, None),
        (
            {"peft_type": "PREFIX_TUNING", "token_dim": 16, "num_layers": 1},
            32,
            "`num_layers` is 1, but this base has 2 layers: every forward pass raises `IndexError`",
        ),
        ({"peft_type": "PREFIX_TUNING", "token_dim": 16, "num_layers": 2}, 64, None),
        ({"peft_type": "PREFIX_TUNING", "token_dim": 16, "num_layers": 3}, 96, None),
    ],
)
def test_a_size_that_the_base_has_not_is_named_with_that_of_the_base(
    config: dict[str, Any], columns: int, beginning: str | None
) -> None:
    tensors: dict[str, Any] = {"*": DROP, "prompt_embeddings": ("F32", (5, columns))}
    found = [one for one in run(Patch(PROMPT | config, tensors, base={})) if one.rule.code == "BAS116"]
    assert [one.finding.message[: len(beginning or "")] for one in found] == ([beginning] if beginning else [])


def remedies(patch: Patch) -> dict[str, str]:
    return {one.rule.code: one.finding.help or "" for one in run(patch)}


LOST_ONE = next(iter(LOST))
VBLORA = {key: DROP for key in GOOD_CONFIG if key not in ("base_model_name_or_path", "target_modules", "task_type")} | {
    "peft_type": "VBLORA",
    "num_vectors": 4,
    "vector_length": 3,
}


def test_a_size_that_does_not_divide_is_told_as_that_and_not_by_the_tensors_that_follow_from_it() -> None:
    """PEFT: `ValueError: in_features 16 must be divisible by vector_length 3`."""
    names = [key.removesuffix("lora_A.weight") for key in GOOD_TENSORS if key.endswith("lora_A.weight")]
    logits: dict[str, Any] = {f"{name}vblora_logits_A": ("F32", (4, 16, 4)) for name in names}
    found = remedies(Patch(VBLORA, {"*": DROP, **logits}, base={}))
    assert "`vector_length`" in found["BAS119"]
    assert "FIT113" not in found


@pytest.mark.parametrize(
    ("config", "base", "remedy"),
    [
        (
            {"peft_type": "XLORA", "hidden_size": 16, "adapters": {}},
            {"use_cache": True},
            "config.use_cache = False",
        ),
        ({"target_parameters": ["self_attn.q_proj.weight"]}, {}, "not both"),
        ({"task_type": "CAUSAL_LM"}, LABELS, "`task_type`"),
        (
            {"trainable_token_indices": {"embed_tokens": [1], "lm_head": [2]}, "ensure_weight_tying": True},
            {"tie_word_embeddings": True},
            "Set `ensure_weight_tying` to false.",
        ),
    ],
)
def test_what_a_base_refuses_has_a_remedy_that_helps(config: dict[str, Any], base: dict[str, Any], remedy: str) -> None:
    """With each of them real PEFT 0.21.2 no longer refuses the adapter."""
    assert remedy in remedies(Patch(config, base=base))["BAS119"]


def test_an_adaption_prompt_for_more_layers_than_the_base_has_needs_no_targets() -> None:
    kept = {
        key: DROP for key in Patch().new_config() if key not in ("base_model_name_or_path", "revision", "task_type")
    }
    config = kept | {"peft_type": "ADAPTION_PROMPT", "adapter_len": 4, "adapter_layers": 9}
    tensors: dict[str, Any] = {"*": DROP}
    for layer in range(9):
        at = f"base_model.model.model.layers.{layer}.self_attn.adaption_"
        tensors |= {f"{at}gate": ("F32", (1,)), f"{at}prompt": ("F32", (1, 4, HIDDEN))}
    found = {one.rule.code: one.finding for one in run(Patch(config, tensors, base={}))}
    assert "Config specifies more adapter layers '9' than the model has '2'" in found["BAS119"].message
    assert found["BAS119"].at is not None
    assert "BAS101" not in found


def test_what_is_told_of_a_value_is_not_told_of_what_follows_from_it() -> None:
    both_variants = {"use_dora": True, "use_bdlora": {"target_modules_bd_a": ["q_proj"], "nblocks": 2}}
    assert [one.rule.code for one in run(Patch(both_variants, base={}), "0.21")] == ["CFG160"]
    assert "FIT103" not in told(Patch({"target_modules": [["q_proj"]]}, base={}))
    assert "FIT103" not in told(Patch({"layers_to_transform": [1.5]}, base={}))
    empty = Patch(tensors={LOST_ONE: ("F32", (0, HIDDEN))}, base={})
    assert "BAS108" not in told(empty)


def test_a_rank_that_is_refused_too_is_not_offered() -> None:
    """Of GraLoRA `gralora_k` divides `r`: with 3 blocks the tensors of 2 look like a rank of 2."""
    gralora = {key: DROP for key in GOOD_CONFIG if key not in ("base_model_name_or_path", "target_modules")}
    config = gralora | {"peft_type": "GRALORA", "r": 8, "gralora_k": 3}
    factors: dict[str, Any] = {}
    for key in GOOD_TENSORS:
        if "lora_A" in key:
            factors[key.replace("lora_A.weight", "gralora_A")] = ("F32", (2, 8, 2))
            factors[key.replace("lora_A.weight", "gralora_B")] = ("F32", (2, 2, 8))
    found = told(Patch(config, {"*": DROP, **factors}), "0.21")
    assert "CFG160" in found
    assert "FIT101" not in found


def test_a_rank_that_does_not_divide_is_told_by_that_of_the_tensors() -> None:
    """PEFT: `ValueError: The weight matrix must be fully divisible into [r, r] blocks.`; those of the file are of 4."""
    miss = {key: DROP for key in GOOD_CONFIG if key not in ("base_model_name_or_path", "target_modules", "task_type")}
    miss |= {"peft_type": "MISS", "init_weights": "bat", "r": 5}
    blocks = {key.replace("lora_A.weight", "miss_block"): ("F32", (4, 4, 4)) for key in GOOD_TENSORS if "lora_A" in key}
    patch = Patch(miss, {"*": DROP, **blocks}, base={})
    assert set(told(patch, "0.21")) == {"FIT101"}
    assert "`4`" in remedies(patch)["FIT101"]


def test_a_module_saved_inside_of_a_whole_layer_is_told_where_a_release_does_not_load_it() -> None:
    """PEFT 0.18.1 raises a `KeyError`; 0.19.1, 0.20.0 and 0.21.2 load it."""
    sizes = {"q_proj": (16, 16), "k_proj": (16, 16), "v_proj": (16, 16), "o_proj": (16, 16)}
    layer: dict[str, Any] = {f"self_attn.{name}": shape for name, shape in sizes.items()}
    layer |= {"mlp.gate_proj": (32, 16), "mlp.up_proj": (32, 16), "mlp.down_proj": (16, 32)}
    layer |= {"input_layernorm": (16,), "post_attention_layernorm": (16,)}
    whole: dict[str, Any] = {f"model.layers.1.{name}": shape for name, shape in layer.items()}
    whole["model.layers.0.mlp.up_proj"] = (32, 16)
    tensors = {f"base_model.model.{module}.weight": ("F32", shape) for module, shape in whole.items()}
    gone: dict[str, Any] = {name: DROP for name in GOOD_TENSORS if ".1." in name}
    patch = Patch({"modules_to_save": ["1", "up_proj"]}, {**gone, **tensors}, base={})
    assert "CFG131" in told(patch, "0.18", "0.21")
    assert "CFG131" not in told(patch, "0.19", "0.21")
