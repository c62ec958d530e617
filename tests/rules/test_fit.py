"""The config against the tensors: what the examples of the rules do not say, and what real PEFT says of all of them.

`tests/peft/singles.jsonl.gz` holds adapters that PEFT saved, and the same ones damaged, with what PEFT then did.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from adapterlint import Finding, Severity
from adapterlint.adapter import Adapter, load_adapter
from adapterlint.lint.engine import Engine
from adapterlint.lint.example import DROP, HIDDEN, VOCABULARY, Patch, safetensors_file
from adapterlint.lint.loader import load_rules
from adapterlint.peft.footprint import footprint_of
from adapterlint.peft.releases import PATCHES
from adapterlint.sources.memory import MemoryFolder

RULES = [r for r in load_rules() if r.family == "FIT"]
SINGLES = [
    json.loads(line)
    for line in gzip.decompress((Path(__file__).parents[1] / "peft" / "singles.jsonl.gz").read_bytes()).splitlines()
]
PREFIX = "base_model.model."
BLOCK = f"{PREFIX}model.layers.0."
MATRIX = ("F32", (VOCABULARY, HIDDEN))


def checked(adapter: Adapter, *peft: str) -> list[tuple[str, Finding, Severity]]:
    engine = Engine(RULES, peft)
    found = engine.check_adapter(adapter, footprint_of(adapter))
    assert not engine.crashes
    return [(one.rule.code, one.finding, one.finding.severity or one.rule.severity) for one in found]


def findings(patch: Patch | dict[str, Any]) -> list[tuple[str, Finding, Severity]]:
    return checked((patch if isinstance(patch, Patch) else Patch(patch)).adapter())


def codes(patch: Patch | dict[str, Any]) -> list[str]:
    return [code for code, _, _ in findings(patch)]


def only(tensors: dict[str, Any], **config: Any) -> Patch:
    return Patch(config, {"*": DROP, **tensors})


def recorded_adapter(one: dict[str, Any]) -> Adapter:
    tensors = {name: (dtype, tuple(shape)) for name, (dtype, shape) in one["tensors"].items()}
    files = {"adapter_config.json": json.dumps(one["config"]).encode()}
    files["adapter_model.safetensors"] = safetensors_file(tensors)
    made = load_adapter(MemoryFolder(one["name"], files, {}))
    assert made is not None
    return made


def label(one: dict[str, Any]) -> str:
    return f"{one['name']}-{one['damage'] or 'saved'}"


@pytest.mark.parametrize("one", [one for one in SINGLES if one["damage"] is None], ids=label)
def test_what_peft_saved_fits(one: dict[str, Any]) -> None:
    found = checked(recorded_adapter(one))
    assert [(code, finding.message) for code, finding, severity in found if severity is not Severity.INFO] == []


def test_an_error_is_an_adapter_that_does_not_load_or_does_nothing() -> None:
    confirmed = 0
    for one in SINGLES:
        errors = [code for code, _, severity in checked(recorded_adapter(one)) if severity is Severity.ERROR]
        truth = one["truth"]
        if not errors:
            continue
        # FourierFT draws what it has no tensors for, so that a layer without any has an effect, but none of the file's.
        dropped = truth["error"] is None and set(truth["unexpected"]) == set(one["tensors"])
        assert truth["error"] is not None or truth["effective"] is False or dropped, label(one)
        confirmed += 1
    assert confirmed > 150


DAMAGES = {
    "rank": "FIT101",
    "rank-missing": "FIT101",
    "dora-flag": "FIT102",
    "narrow-targets": "FIT103",
    "other-targets": "FIT103",
    "no-targets": "FIT103",
    "string-targets": "FIT103",
    "layers": "FIT103",
    "excluded": "FIT103",
    "whole-without-tensors": "FIT105",
    "index-more": "FIT106",
    "new-indices": "FIT106",
    "no-indices": "FIT106",
    "no-rows": "FIT106",
    "base-norm": "FIT107",
    "base-lm_head": "FIT107",
    "whole-unlisted": "FIT107",
    "lora-bias-flag": "FIT108",
    "no-head": "FIT112",
    "size": "FIT113",
}
# Where it is no damage, or where neither the config nor the header shows it.
NOT_TOLD = {
    "rank-missing": {"experts-only"},  # the rows are a multiple of the default too
    "dora-flag": {"adalora", "experts", "experts-only", "lora-bias"},  # refused: `refused-by-config` tells
    "lora-bias-flag": {"adalora"},  # not read
    "narrow-targets": {"tied-embedding"},  # PEFT had added the full name of the embedding
    "string-targets": {"all-linear", "full-names", "tied-embedding", "attention", "convolution"},  # full names match
    "layers": {"all-linear", "full-names", "tied-embedding", "attention", "convolution"},  # full names pass
    "whole-without-tensors": {"suffix"},  # it has them
    "whole-unlisted": {"bias-all", "classifier", "tagger", "reader", "prompt"},  # PEFT lists them by itself
    "no-rows": {"rows", "rows-tied"},  # an empty file is another matter
    "base-lm_head": {"full-names", "layers", "tokens-two", "rows-tied", "tokens-and-head"},  # reaches nothing
}


def test_every_damage_has_its_finding() -> None:
    silent: dict[str, set[str]] = {}
    for one in SINGLES:
        wanted = DAMAGES.get(one["damage"])
        if wanted and wanted not in {code for code, _, _ in checked(recorded_adapter(one))}:
            silent.setdefault(one["damage"], set()).add(one["name"])
    assert silent == NOT_TOLD


@pytest.mark.parametrize(
    ("peft_type", "key", "tensors"),
    [
        ("ADALORA", "init_r", {"lora_A": (4, 16), "lora_B": (16, 4), "lora_E": (4, 1)}),
        ("LOHA", "r", {"hada_w1_a": (16, 4), "hada_w1_b": (4, 16), "hada_w2_a": (16, 4), "hada_w2_b": (4, 16)}),
        ("LOHA", "r", {f"hada_w{n}_{side}": (4, 16) for n in (1, 2) for side in "ab"} | {"hada_t1": (4, 4, 3, 3)}),
        ("VERA", "r", {"vera_lambda_b": (16,), "vera_lambda_d": (4,)}),
        ("PVERA", "r", {"pvera_lambda_b": (16,), "pvera_lambda_d": (8,)}),
        ("HRA", "r", {"hra_u": (16, 4)}),
        ("MISS", "r", {"miss_block": (4, 16)}),
        ("MISS", "r", {"miss_block": (2, 4, 4)}),
        ("GRALORA", "r", {"gralora_A": (2, 8, 4), "gralora_B": (2, 4, 8)}),
        ("HIRA", "r", {"hira_A": (4, 16), "hira_B": (16, 4)}),
        ("POLY", "r", {"poly_lora_A": (1, 2, 16, 4), "poly_lora_B": (1, 2, 4, 16)}),
        ("LORA", "r", {"lora_A.weight": (4, 3, 3, 3), "lora_B.weight": (16, 2, 1, 1)}),  # a grouped convolution
    ],
)
def test_where_the_methods_keep_their_rank(peft_type: str, key: str, tensors: dict[str, tuple[int, ...]]) -> None:
    named = {f"{BLOCK}q.{name}": ("F32", shape) for name, shape in tensors.items()}
    given = {
        "peft_type": peft_type,
        "target_modules": ["q"],
        "use_bdlora": None,
        "use_effective_conv2d": "hada_t1" in tensors,
    }
    fits, wrong = (only(named, **given, **{key: rank}) for rank in (4, 5))
    assert "FIT101" not in codes(fits)
    assert "FIT101" in codes(wrong)


def test_the_place_is_what_gives_the_rank() -> None:
    ((code, by_default, _),) = findings({"r": 4})
    ((_, by_pattern, _),) = findings({"rank_pattern": {"q_proj": 4}})
    assert code == "FIT101"
    assert (by_default.at.pointer, by_pattern.at.pointer) == ("/r", "/rank_pattern/q_proj")
    assert "rank `8`" in by_default.message


def test_adalora_keeps_as_many_ranks_as_its_pattern_has_true_values() -> None:
    named = {f"{BLOCK}q.{name}": ("F32", shape) for name, shape in {"lora_A": (2, 16), "lora_E": (2, 1)}.items()}
    pattern = {"model.layers.0.q.lora_E": [True, False, True, False]}
    given = {"peft_type": "ADALORA", "target_modules": ["q"], "init_r": 4}
    assert "FIT101" not in codes(only(named, **given, rank_pattern=pattern))
    assert "FIT101" in codes(only(named, **given))


def test_factors_that_disagree_are_told_as_the_wrong_one() -> None:
    """The rank is right: one of two factors is transposed."""
    turned = Patch({}, {f"{BLOCK}self_attn.q_proj.lora_A.weight": ("F32", (HIDDEN, 8))})
    assert codes(turned) == ["FIT113"]
    ((_, finding, _),) = findings(turned)
    assert finding.message == (
        "`lora_A.weight` of `model.layers.0.self_attn.q_proj` is transposed: it has 16 rows, but `r` is 8"
    )
    assert finding.at.tensor == f"{BLOCK}self_attn.q_proj.lora_A.weight"


def test_lokr_has_a_full_factor_for_large_ranks() -> None:
    split = {"lokr_w1": (4, 4), "lokr_w2_a": (8, 2), "lokr_w2_b": (2, 8)}
    full = {"lokr_w1": (4, 4), "lokr_w2": (8, 8)}

    def severities(shapes: dict[str, tuple[int, ...]], rank: int) -> list[Severity]:
        named = {f"{BLOCK}q.{name}": ("F32", shape) for name, shape in shapes.items()}
        return [s for c, _, s in findings(only(named, peft_type="LOKR", target_modules=["q"], r=rank)) if c == "FIT101"]

    assert severities(split, 2) == severities(full, 4) == severities(full, 64) == []
    assert severities(split, 3) == [Severity.ERROR]
    assert severities(split, 4) == severities(full, 3) == [Severity.WARNING]  # dropped, not refused


def test_a_part_of_the_magnitudes_is_told_by_module() -> None:
    magnitude = {f"{BLOCK}self_attn.q_proj.lora_magnitude_vector": ("F32", (HIDDEN,))}
    ((code, finding, _),) = findings(Patch({"use_dora": True}, magnitude))
    assert code == "FIT102"
    assert "`model.layers.0.self_attn.v_proj`" in finding.message
    assert "`model.layers.0.self_attn.q_proj`" not in finding.message


@pytest.mark.parametrize("rest", [{}, {f"{PREFIX}lm_head.weight": MATRIX}])
def test_nothing_targeted_is_an_error_unless_something_else_is_in_the_file(rest: dict[str, Any]) -> None:
    found = findings(Patch({"target_modules": ["o_proj"], "modules_to_save": ["lm_head"] if rest else None}, rest))
    assert [(code, severity) for code, _, severity in found] == [
        ("FIT103", Severity.WARNING if rest else Severity.ERROR)
    ]


@pytest.mark.parametrize(
    ("renamed", "given", "told"),
    [
        (("_proj", "_projection"), {}, ["FIT103 error"]),
        (("_proj", "_projection"), {"target_parameters": ["experts.gate_up_proj"]}, ["FIT103 error"]),
        (("v_proj", "v_projection"), {}, ["FIT103 warning"]),
        (("v_proj", "k_proj"), {}, []),  # both are targets by default where there are `q_proj`, `k_proj` and `o_proj`
        (None, {}, []),
    ],
)
def test_modules_that_are_targets_by_default_in_no_base_are_told_where_there_are_no_targets(
    renamed: tuple[str, str] | None, given: dict[str, Any], told: list[str]
) -> None:
    found = findings(Patch({"target_modules": None} | given, rename=renamed))
    assert [f"{code} {severity}" for code, _, severity in found] == told


def test_causes_are_told_apart() -> None:
    found = findings({"exclude_modules": ["q_proj"], "layers_to_transform": [0]})
    assert [(code, finding.at.pointer) for code, finding, _ in found] == [
        ("FIT103", "/exclude_modules"),
        ("FIT103", "/layers_to_transform"),
    ]


def test_exclude_modules_is_not_read_before_0_14() -> None:
    excluded = Patch({"exclude_modules": ["q_proj"]}).adapter()
    assert checked(excluded, "0.13") == []
    assert [code for code, _, _ in checked(excluded, "0.13", "0.14")] == ["FIT103"]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["q_proj", "v_proj", "k_proj"], [Severity.WARNING]),
        (["q_proj", "v_proj", "k_porj"], [Severity.INFO]),
        (["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], []),  # Mixtral has the first alone
        (["q_proj", "v_proj", "out_proj", "fc1", "fc2", "c_attn", "W_pack", "query_key_value"], []),
    ],
)
def test_an_entry_without_tensors_counts_where_the_base_must_have_it(entries: list[str], expected: list[Any]) -> None:
    found = findings({"target_modules": entries})
    assert [(code, severity) for code, _, severity in found] == [("FIT104", severity) for severity in expected]


def test_a_module_that_is_saved_whole_needs_no_tensors_as_a_target() -> None:
    up_proj = {f"{BLOCK}mlp.{name}.weight": ("F32", (32, HIDDEN)) for name in ("gate_proj", "down_proj")}
    targets = ["q_proj", "v_proj", "gate_proj", "down_proj"]
    assert codes(Patch({"target_modules": targets, "modules_to_save": ["mlp"]}, up_proj)) == []


def test_a_whole_module_around_tuned_ones_is_surely_in_the_base() -> None:
    found = {code: severity for code, _, severity in findings({"modules_to_save": ["self_attn"]})}
    assert found["FIT105"] is Severity.ERROR
    assert [severity for _, _, severity in findings({"modules_to_save": ["lm_head"]})] == [Severity.WARNING]


@pytest.mark.parametrize(
    ("task", "given", "told"),
    [
        ("CAUSAL_LM", {}, ["embed_tokens", "lm_head"]),
        ("SEQ_CLS", {}, ["embed_tokens"]),  # there the base has no head of that name
        ("CAUSAL_LM", {"layers_to_transform": [0, 1]}, []),  # neither is in a layer
        ("CAUSAL_LM", {"exclude_modules": ["lm_head"]}, ["embed_tokens"]),
    ],
)
def test_embeddings_that_were_never_tuned(task: str, given: dict[str, Any], told: list[str]) -> None:
    entries = ["q_proj", "v_proj", "model.embed_tokens", "lm_head", "wte"]
    head = {f"{PREFIX}score.weight": ("F32", (2, HIDDEN))} if task == "SEQ_CLS" else {}
    found = findings(Patch({"target_modules": entries, "task_type": task, **given}, head))
    assert [code for code, _, _ in found] == ["FIT109"] * bool(told)
    assert all(name in found[0][1].message for name in told)
    assert len(told) == 2 or not found or "lm_head" not in found[0][1].message


@pytest.mark.parametrize("value", ["lm_head", {}, [], ["classifier", "score", "qa_outputs"], ["score["], [None, ""]])
def test_what_may_stand_in_modules_to_save_without_tensors(value: Any) -> None:
    assert codes({"modules_to_save": value}) == []


def test_tied_modules_with_one_list_of_indices_have_their_rows_once() -> None:
    rows = {f"{PREFIX}model.embed_tokens.token_adapter.trainable_tokens_delta": ("F32", (2, HIDDEN))}
    same, other = ({"embed_tokens": [60, 61], "lm_head": indices} for indices in ([60, 61], [61]))
    assert codes(Patch({"trainable_token_indices": same}, rows)) == []
    assert codes(Patch({"trainable_token_indices": other}, rows)) == ["FIT106"]


@pytest.mark.parametrize(
    ("names", "severity"),
    [
        (["lm_head.weight"], Severity.WARNING),
        (["lm_head.weight", "model.embed_tokens.weight"], Severity.INFO),
        (["transformer.wte.weight"], Severity.INFO),
        (["bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"], Severity.INFO),
        (["cls.predictions.decoder.weight"], Severity.WARNING),
        (["score.weight"], Severity.WARNING),
    ],
)
def test_embeddings_are_peft_s_own_doing_and_the_rest_is_not(names: list[str], severity: Severity) -> None:
    found = findings(Patch({}, {PREFIX + name: MATRIX for name in names}))
    assert [(code, s) for code, _, s in found] == [("FIT107", severity)]


def test_a_bias_alone_is_told_once() -> None:
    assert codes(Patch({}, {f"{BLOCK}mlp.down_proj.bias": ("F32", (HIDDEN,))})) == ["FIT108"]
    assert codes(Patch({"bias": "all"}, {f"{BLOCK}mlp.down_proj.bias": ("F32", (HIDDEN,))})) == []


def test_a_key_that_gives_the_usual_value_may_match_nothing() -> None:
    assert codes({"rank_pattern": {"k_proj": 8}, "alpha_pattern": {"k_proj": 16}}) == []
    assert codes({"alpha_pattern": {"k_proj": 32}}) == ["FIT110"]


def test_a_key_for_a_target_that_is_excluded_is_no_wrong_key() -> None:
    given = {"target_modules": ["q_proj", "v_proj", "k_proj"], "exclude_modules": ["k_proj"]}
    assert codes({**given, "alpha_pattern": {"k_proj": 32}}) == []
    assert codes({**given, "alpha_pattern": {"^k_proj": 32}}) == ["FIT110"]


def test_keys_of_parameters_match_where_parameters_are_targeted() -> None:
    experts = {f"{BLOCK}mlp.experts.lora_{f}.weight": ("F32", s) for f, s in (("A", (8, 16)), ("B", (16, 8)))}
    given = {"target_modules": [], "target_parameters": ["mlp.experts.down_proj"]}
    assert codes(only(experts, **given, r=8, alpha_pattern={r".*\.down_proj": 4})) == []


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ({"layers.0.*": 64, "q_proj": 32}, []),  # each decides somewhere
        ({".*": 64, "q_proj": 32}, ["FIT111"]),
        ({".*": 64, "q_proj": 64}, []),
        ({"q_proj": 32, ".*": 64}, []),  # not sorted: written so on purpose
    ],
)
def test_a_key_that_never_decides(patterns: dict[str, int], expected: list[str]) -> None:
    made = Patch(files={"adapter_config.json": json.dumps(Patch().new_config() | {"alpha_pattern": patterns})})
    assert codes(made) == expected


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "base_model.model."])
def test_where_all_names_are_foreign_nothing_is_missing(wrapper: str) -> None:
    rows = {f"{PREFIX}model.embed_tokens.token_adapter.trainable_tokens_delta": ("F32", (2, HIDDEN))}
    given = {"trainable_token_indices": [1, 2], "modules_to_save": ["lm_head"], "task_type": "SEQ_CLS"}
    assert codes(Patch(given, rows, rename=("base_model.model.", f"{wrapper}base_model.model."))) == []


HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 10**30, 1.5, "", "[", "(a+)+$", [], [None, 1, "", [], {}], {}),
    *({"": [], "(": 3, "q_proj": None}, {"embed_tokens": [1, "a"]}, ["q_proj", "lm_head", "["]),
]
KEYS = (
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "target_parameters"),
    *("modules_to_save", "task_type", "trainable_token_indices", "token_indices", "ensure_weight_tying"),
    *("r", "init_r", "lora_alpha", "alpha", "rank_pattern", "alpha_pattern", "use_dora", "lora_bias", "bias"),
    *("num_virtual_tokens", "num_transformer_submodules", "n_frequency"),
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "peft_type", ["LORA", "ADALORA", "LOKR", "DELORA", "TRAINABLE_TOKENS", "PROMPT_TUNING", "FOURIERFT"]
)
def test_values_of_any_type_are_borne(peft_type: str, key: str) -> None:
    odd = {
        f"{PREFIX}lm_head.weight": MATRIX,
        f"{PREFIX}model.embed_tokens.token_adapter.trainable_tokens_delta": ("F32", ()),
        f"{BLOCK}q.lora_A.weight": ("F32", ()),
        f"{BLOCK}q.lora_B.weight": ("F32", (0,)),
        f"{BLOCK}q.base_layer.bias": ("F32", (1,)),
        f"{BLOCK}q.lokr_w2": ("F32", (0, 0)),
        f"{BLOCK}q.fourierft_spectrum": ("F32", ()),
        "prompt_embeddings": ("F32", ()),
        "base_model.model.": ("F32", (1,)),
        "": ("F32", (1,)),
    }
    for value in HOSTILE:
        for _, finding, _ in findings(Patch({"peft_type": peft_type, key: value}, odd)):
            finding.at.located()


LAYER = "base_model.model.conv"
CONVOLUTION = {f"{LAYER}.lora_A.weight": ("F32", (8, 16, 3)), f"{LAYER}.lora_B.weight": ("F32", (16, 8, 1))}
VOLUME = {f"{LAYER}.lora_A.weight": ("F32", (8, 1, 3, 3, 3)), f"{LAYER}.lora_B.weight": ("F32", (8, 8, 1, 1, 1))}
EMBEDDING = {
    f"{LAYER}.lora_embedding_A": ("F32", (8, 64)),
    f"{LAYER}.lora_embedding_B": ("F32", (16, 8)),
    f"{LAYER}.lora_magnitude_vector": ("F32", (16,)),
}
ATTENTION = {f"{LAYER}.{part}lora_{f}.weight": ("F32", (8, 8)) for part in ("", "base_layer.out_proj.") for f in "AB"}
ROTATION = {f"{LAYER}.oft_R.weight": ("F32", (4, 6))}
LINE = {f"{LAYER}.lora_A.weight": ("F32", (8, 16)), f"{LAYER}.lora_B.weight": ("F32", (16, 8))}


@pytest.mark.parametrize(
    ("tensors", "config", "since"),
    [
        (CONVOLUTION, {}, "0.15"),
        (VOLUME, {}, "0.14"),
        (EMBEDDING, {"use_dora": True}, "0.13"),
        (ATTENTION, {}, "0.15"),
        (ROTATION, {"peft_type": "OFT", "r": 0, "oft_block_size": 4}, "0.16"),
        (LINE, {}, None),
    ],
)
def test_tensors_for_layers_of_later_releases_are_told_for_earlier_ones(
    tensors: dict[str, Any], config: dict[str, Any], since: str | None
) -> None:
    adapter = Patch({"target_modules": ["conv"], **config}, {"*": DROP, **tensors}).adapter()
    releases = list(PATCHES)
    told = {release for release in releases if "FIT116" in [code for code, *_ in checked(adapter, release)]}
    assert told == set(releases[: releases.index(since)] if since else ())


def test_tensors_of_modules_that_are_not_targeted_ask_for_nothing() -> None:
    adapter = Patch({"target_modules": ["q_proj"]}, CONVOLUTION).adapter()
    assert "FIT116" not in [code for code, *_ in checked(adapter, "0.14")]
