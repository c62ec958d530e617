"""What the rules about the config alone promise beside their examples."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import pytest

from adapterlint.adapter import load_adapter
from adapterlint.lint.engine import Engine
from adapterlint.lint.example import DROP, GOOD_CONFIG, GOOD_TENSORS, Patch, as_patch
from adapterlint.lint.loader import load_rules
from adapterlint.peft.backtracking import ENDLESS, MAX_PLACES, endless_match, steps
from adapterlint.peft.config_patterns import PatternUse, pattern_uses
from adapterlint.peft.fields import fields_of
from adapterlint.peft.footprint import footprint_of
from adapterlint.peft.methods import METHODS
from adapterlint.peft.patterns import MAX_PATTERNS, MAX_PATTERNS_LENGTH, Pattern
from adapterlint.peft.releases import before, between
from adapterlint.report.draw import draw
from adapterlint.report.model import ReportedFinding
from adapterlint.sources.memory import MemoryFolder
from rules.config.unknown_key import MAX_GUESSED

RULES = [rule for rule in load_rules() if rule.family == "CFG"]
NO_WEIGHTS: dict[str, Any] = {"adapter_model.safetensors": DROP}


def check(patch: Patch | dict[str, Any], *codes: str, peft: Iterable[str] = ()) -> list[ReportedFinding]:
    """The findings of some rules (of all of the family if none is named) on a patched adapter, drawn."""
    engine = Engine([rule for rule in RULES if not codes or rule.code in codes], tuple(peft))
    adapter = as_patch(patch).adapter()
    found = engine.check_adapter(adapter, footprint_of(adapter))
    assert not engine.crashes
    return [draw(one, one.finding.severity or one.rule.severity, ()) for one in found]


def told(patch: Patch | dict[str, Any], *codes: str, peft: Iterable[str] = ()) -> list[str]:
    """`CFG115 error /r` for each finding."""
    return [f"{f.code} {f.severity.value} {f.pointer}" for f in check(patch, *codes, peft=peft)]


def alone(**config: Any) -> Patch:
    return Patch(config=config, files=NO_WEIGHTS)


HOSTILE: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        1.5,
        float("nan"),
        float("inf"),
        10**400,
        10**5000,
        "",
        " ",
        "x",
        "(",
        "*",
        "(a+)+(a+)+",
        "a" * 30_000,
    ),
    *([], [[]], [None], [1, "x"], ["("], [10**5000], {}, {"": None}, {"(": {}}, {"a": [[]]}, {"x" * 5000: "y"}),
]
TYPES = ("LORA", "IA3", "OFT", "TRAINABLE_TOKENS", "PROMPT_TUNING", "XLORA", "BONE", "NOVEL")


@pytest.mark.parametrize("peft_type", TYPES)
def test_a_value_of_any_json_type_in_any_key_crashes_no_rule(peft_type: str) -> None:
    engine = Engine(RULES, ("0.10", "0.13", "0.18", "0.21"))
    keys = [*(fields_of(peft_type) or fields_of("LORA")), "self", "unheard_of"]
    weights = Patch().folder().files["adapter_model.safetensors"]
    for key in keys:
        for value in HOSTILE:
            config = {**GOOD_CONFIG, "peft_type": peft_type, key: value}
            files = {"adapter_config.json": _dumped(config).encode(), "adapter_model.safetensors": weights}
            adapter = load_adapter(MemoryFolder("adapter", files, {}))
            assert adapter is not None
            engine.check_adapter(adapter, footprint_of(adapter))
    assert not engine.crashes


def _dumped(config: dict[str, Any]) -> str:
    """JSON, in which a whole number of over 4,300 digits, which `json` neither writes nor reads, stands as `1e999`."""
    huge = "@huge@"

    def smaller(value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool) and value > 10**4000:
            return huge
        return [smaller(v) for v in value] if isinstance(value, list) else value

    return json.dumps({k: smaller(v) for k, v in config.items()}).replace(f'"{huge}"', "1e999")


def test_one_cause_is_told_once() -> None:
    assert told(alone(target_modules=["all-linear"])) == ["CFG122 error /target_modules/0"]
    assert told({"init_lora_weights": "corda"}) == ["CFG160 error /init_lora_weights"]
    assert told({"peft_type": "NOVEL", "task_type": "novel", "unheard_of": 1}) == ["CFG111 error /peft_type"]


# Reading the file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "remedy"),
    [
        ('{\n  "r": True\n}', 2, 8, "JSON writes `true`, not `True`."),
        ("{\n  'r': 8\n}", 2, 3, "JSON strings stand in double quotes."),
        ('{\n  // rank\n  "r": 8\n}', 2, 3, "JSON has no comments: remove it."),
        ('<<<<<<< HEAD\n{"r": 8}', 1, 1, "A merge conflict was committed: keep one side and remove the markers."),
    ],
)
def test_json_errors_have_a_place_and_the_usual_remedy(text: str, line: int, column: int, remedy: str) -> None:
    (finding,) = check(Patch(files={"adapter_config.json": text}))
    assert finding.code == "CFG101"
    assert finding.location is not None
    assert (finding.location.line, finding.location.column) == (line, column)
    assert finding.help == remedy


def test_what_is_too_deep_to_read_is_no_error_of_pefts() -> None:
    deep = '{"peft_type": "LORA", "x": ' + "[" * 200 + "]" * 200 + "}"
    assert told(Patch(files={"adapter_config.json": deep})) == ["CFG101 warning None"]


def test_of_values_given_several_times_the_last_and_a_differing_one_are_named() -> None:
    text = (
        '{"peft_type": "LORA", "target_modules": ["q_proj", "v_proj"], "r": 4, "r": 8,\n "lora_alpha": [1, 2], "r" : 8}'
    )
    (finding,) = check(Patch(files={"adapter_config.json": text}), "CFG105")
    assert finding.message == "`r` is given 3 times: `8` counts, `4` is ignored"
    assert finding.location is not None
    assert (finding.location.line, finding.location.column) == (2, 24)


# Types, keys and releases ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peft_type", "release", "expected"),
    [
        ("DELORA", "0.17", ["CFG112 error /peft_type"]),
        ("DELORA", "0.18", []),
        ("BONE", "0.13", ["CFG112 error /peft_type"]),
        ("BONE", "0.18", []),
        ("BONE", "0.19", ["CFG112 error /peft_type"]),
        ("LORA", "0.10", []),
    ],
)
def test_a_type_is_told_for_the_releases_that_lack_it(peft_type: str, release: str, expected: list[str]) -> None:
    assert told({"peft_type": peft_type}, "CFG112", peft=[release]) == expected


def test_every_key_that_is_newer_than_a_release_before_0_14_is_an_error_whatever_its_value() -> None:
    new = {"trainable_token_indices": None, "lora_bias": False}
    (finding,) = check(new, "CFG117", peft=["0.13"])
    assert finding.severity == "error"
    assert "`lora_bias` and `trainable_token_indices`" in finding.message
    assert check(new, "CFG117", peft=["0.14"]) == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"target_parameters": ["experts.down_proj"]}, ["CFG117 warning /target_parameters"]),
        ({"target_parameters": []}, []),
        ({"target_parameters": None}, []),
        ({"eva_config": {"rho": 2.0}}, []),  # for training only
        ({"peft_version": "0.21.0"}, []),
    ],
)
def test_a_key_that_a_release_ignores_is_told_if_it_changes_the_loaded_adapter(
    config: dict[str, Any], expected: list[str]
) -> None:
    assert told(config, "CFG117", peft=["0.16"]) == expected
    assert told(config, "CFG117", peft=["0.21"]) == []


@pytest.mark.parametrize(
    ("keys", "severity", "words"),
    [
        ({"lora_alpah": 32, "lora_alpha": DROP}, "warning", "If `lora_alpha` is meant"),
        ({"lora_alpah": 32}, "info", "Remove it."),  # `lora_alpha` is there too
        ({"alpha": 32, "lora_alpha": DROP}, "warning", "If `lora_alpha` is meant"),
        ({"target_module": ["q_proj"], "target_modules": DROP}, "warning", "If `target_modules` is meant"),
        ({"use_fora": True}, "info", "Remove it."),
        ({"_comment": "hello"}, "info", "Remove it."),
        ({"boft_dropout": 0.1}, "info", "Remove it, or check that `peft_type` is the method that is meant."),
    ],
)
def test_an_unknown_key_is_a_warning_where_a_key_of_pefts_is_missing_for_it(
    keys: dict[str, Any], severity: str, words: str
) -> None:
    (finding,) = check(keys, "CFG114")
    assert finding.severity == severity
    assert finding.help is not None
    assert finding.help.startswith(words)


def test_unknown_keys_are_errors_for_releases_before_0_14_only() -> None:
    assert [f.severity for f in check({"a": 1, "b": 2}, "CFG114", peft=["0.13"])] == ["error"]
    assert [f.severity for f in check({"a": 1, "b": 2}, "CFG114", peft=["0.14"])] == ["info"]


def test_the_keys_that_the_first_releases_wrote_are_not_told_at_their_defaults() -> None:
    assert told({"enable_lora": None, "merge_weights": False}, "CFG114") == []
    assert told({"enable_lora": [True, False, True]}, "CFG114") == ["CFG114 warning /enable_lora"]


def test_what_a_later_release_wrote_is_its_own_and_not_unknown() -> None:
    later = {"peft_version": "0.99.0.dev0@abc", "unheard_of": 1}
    (finding,) = check(later, "CFG114")
    assert finding.severity == "info"
    assert finding.help is not None
    assert "update adapterlint" in finding.help


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"use_dora": "false"}, "warning"),
        ({"use_dora": "true"}, None),  # counts as true, as it says
        ({"layers_to_transform": True}, "warning"),
        ({"r": "8"}, "error"),
        ({"r": True}, "error"),
        ({"rank_pattern": {"q_proj": 8.0}}, "error"),
        ({"rank_pattern": {"q_proj": True}}, "error"),
        ({"alpha_pattern": {"q_proj": 8.5}}, None),
        ({"target_modules": True}, "error"),
        ({"base_model_name_or_path": 3}, None),  # another rule's
        ({"inference_mode": "no"}, None),  # overwritten on loading
    ],
)
def test_wrong_types_are_errors_where_peft_fails(config: dict[str, Any], expected: str | None) -> None:
    assert [f.severity.value for f in check(config, "CFG115")] == ([expected] if expected else [])


# Targets and patterns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("q_proj", "error"),
        ("q_proj|v_proj", "error"),
        ("^(q_proj|v_proj)$", "error"),
        ("fc1", None),  # may be a module at the top of a small model
        ("lm_head", None),
        (".*q_proj", None),
        ("q_proj, v_proj", "error"),
        ('["q_proj"]', "error"),
        ("all_linear", "error"),
        ("ALL-LINEAR", None),
        ("", "error"),
        ([".q_proj"], "error"),
        (["q_proj "], "error"),
        (["q_proj,v_proj"], "error"),
        (["q_proj.weight"], "error"),
        (["self_attn.q_proj", "to_out.0", "0", "proj-out"], None),
        (["q_proj", ".*v_proj"], "warning"),
        (["q_proj"] * 19 + [""], "error"),  # long lists are condensed, which refuses an empty name
        (["q_proj", ""], "warning"),
    ],
)
def test_forms_of_targets_that_match_nothing(targets: Any, expected: str | None) -> None:
    assert [f.severity.value for f in check(alone(target_modules=targets), "CFG122")] == (
        [expected] if expected else []
    )


def test_dead_targets_are_a_warning_where_parameters_are_targeted_too() -> None:
    assert told(alone(target_modules=[], target_parameters=["experts.down_proj"]), "CFG122") == []
    parameters = alone(target_modules="q_proj", target_parameters=["experts.down_proj"])
    assert told(parameters, "CFG122") == ["CFG122 warning /target_modules"]


def test_an_entry_that_names_a_module_of_the_file_is_alive_whatever_it_looks_like() -> None:
    tensors: dict[str, Any] = {f"base_model.model.a+b.lora_{f}.weight": ("F32", (8, 8)) for f in "AB"}
    assert told(Patch(config={"target_modules": ["a+b"]}, tensors={"*": DROP} | tensors), "CFG122") == []


@pytest.mark.parametrize(
    ("config", "where", "severity"),
    [
        ({"target_modules": "*q_proj"}, "/target_modules", "error"),
        ({"rank_pattern": {"q_proj": 8, "v(": 8}}, "/rank_pattern/v(", "error"),
        ({"exclude_modules": "["}, "/exclude_modules", "error"),
        ({"layers_pattern": "h(", "layers_to_transform": 0}, "/layers_pattern", "error"),
        ({"layers_pattern": ["layers", "h("], "layers_to_transform": 0}, "/layers_pattern/1", "warning"),
        ({"layers_pattern": "h("}, None, None),  # never looked at
        ({"modules_to_save": ["score", "x("]}, "/modules_to_save/1", "error"),
        ({"exclude_modules": ["*"]}, None, None),  # a list holds names
        ({"rank_pattern": {"self_attn.q_proj": 8}}, None, None),
    ],
)
def test_a_pattern_that_does_not_compile_is_told_at_its_place(
    config: dict[str, Any], where: str | None, severity: str | None
) -> None:
    assert told(config, "CFG120") == ([f"CFG120 {severity} {where}"] if where else [])


def test_modules_to_save_are_patterns_since_0_16() -> None:
    assert check({"modules_to_save": ["x("]}, "CFG120", peft=["0.15"]) == []


def test_every_use_of_a_pattern_says_what_peft_compiles() -> None:
    config = alone(rank_pattern={"(q|v)_proj": 8}, modules_to_save=["a|b"]).adapter().config
    assert config is not None
    assert [use.wrapped for use in pattern_uses(config)] == [r"(.*\.)?((q|v)_proj)$", r"(^|.*\.)a|b($|\..*)"]


MODULE = "model.language_model.layers.31.post_attention_layernorm"


def test_steps_double_with_each_letter_where_a_repetition_repeats_a_repetition() -> None:
    counts = [steps(r"(a+)+b", "a" * n, whole=True) or 0 for n in (20, 21, 22)]
    assert counts[1] / counts[0] == pytest.approx(2, abs=0.01)
    assert counts[2] > ENDLESS
    assert (steps(r"(?:a+)b", "a" * 20, whole=True) or 0) < 200


@pytest.mark.parametrize(
    "pattern",
    [
        r".*\.(q|k|v|o)_proj",
        r"(.*\.)?((q|v)_proj)$",
        r"(\w+\.)*q_proj",
        r"(?!.*(vision|audio)).*layers\.\d{1,2}\..*_proj",
        r"(.*(language_model).*(down_proj|gate_proj|up_proj|k_proj|q_proj|v_proj|o_proj).*$|.*(custom_text_proj).*$)",
    ],
)
def test_patterns_that_people_write_take_few_steps(pattern: str) -> None:
    taken = steps(pattern, MODULE, whole=True)
    assert taken is not None
    assert taken < 10_000


@pytest.mark.parametrize("pattern", [r"(.*)*x", r"([a-z_]+)*([a-z_.\d]+)*x", r"(\w+\.?)+x", r"(([a-z_]|\.|\d)*_?)*x"])
def test_nested_repetitions_are_endless_and_found_in_no_time(pattern: str) -> None:
    started = time.thread_time()
    assert endless_match(pattern, (MODULE,), whole=True).text == MODULE
    assert time.thread_time() - started < 1


@pytest.mark.parametrize(
    "pattern", [r"(.)\1*x*", r"(?<=a)b*c*", "(" * 30 + "a*" + ")*" * 30 + r"\1", "(a*b*){4000}{4000}"]
)
def test_of_a_pattern_that_is_not_understood_nothing_is_said(pattern: str) -> None:
    assert endless_match(pattern, (MODULE,), whole=True).text is None


def test_a_busy_machine_makes_no_pattern_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = iter(range(0, 10**9, 3600))
    monkeypatch.setattr("adapterlint.peft.patterns.time.monotonic", lambda: next(hours))
    pattern = Pattern(r".*\.q_proj")
    assert all(pattern.matches(f"model.layers.{i}.self_attn.q_proj") for i in range(1000))
    assert not pattern.slow


# Whole modules and tokens ---------------------------------------------------------------------------------------------


def test_a_tuned_module_that_is_saved_whole_is_an_error_where_the_file_shows_it() -> None:
    head = {"base_model.model.lm_head.weight": ("F32", (64, 16))}
    config = {"target_modules": ["q_proj", "v_proj", "lm_head"], "modules_to_save": ["head"]}
    assert told(Patch(config=config, tensors=head), "CFG123") == ["CFG123 error /modules_to_save/0"]
    assert told(alone(**config), "CFG123") == ["CFG123 warning /modules_to_save/0"]
    assert told(Patch(config=config), "CFG123") == []  # the base may have no `lm_head`
    assert told(Patch(config=config, tensors=head), "CFG123", peft=["0.15"]) == []
    both = config | {"modules_to_save": ["lm_head", "head"]}
    assert told(Patch(config=both, tensors=head), "CFG123") == ["CFG123 info /target_modules/2"]


def test_targets_that_are_all_saved_whole_leave_nothing() -> None:
    assert told(alone(target_modules=["lm_head"], modules_to_save=["lm_head"]), "CFG123") == [
        "CFG123 error /target_modules/0"
    ]


def test_the_head_of_a_classifier_may_be_a_target_since_0_16() -> None:
    head = {"base_model.model.score.weight": ("F32", (2, 16))}
    config = {"task_type": "SEQ_CLS", "target_modules": ["q_proj", "v_proj", "score"]}
    assert told(Patch(config=config, tensors=head), "CFG123") == []


def test_names_alone_do_not_prove_that_modules_are_nested() -> None:
    assert told({"modules_to_save": ["classifier", "classifier.out_proj"]}, "CFG131") == []


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        ([1, 2, -3], ["error /trainable_token_indices/2"]),
        ([1, 2.0], ["error /trainable_token_indices/1"]),
        ([1, None], ["error /trainable_token_indices/1"]),
        ([1, True], ["warning /trainable_token_indices/1"]),
        ([True, False], ["error /trainable_token_indices/0"]),
        ([5, 6, 5, 5], ["warning /trainable_token_indices/2"]),
        ([-1, "a", -2], ["error /trainable_token_indices/0", "error /trainable_token_indices/1"]),
        ([2**63], ["error /trainable_token_indices/0"]),
        ([], ["error /trainable_token_indices"]),
        ({"wte": []}, ["error /trainable_token_indices/wte"]),
        ({"wte": [1, -1]}, ["error /trainable_token_indices/wte/1"]),
        ({"wte": 5}, ["error /trainable_token_indices/wte"]),
        ("5", ["error /trainable_token_indices"]),
        ({}, []),
        (None, []),
    ],
)
def test_token_indices_are_told_at_the_element(indices: Any, expected: list[str]) -> None:
    assert told({"trainable_token_indices": indices}, "CFG140") == [f"CFG140 {e}" for e in expected]


def test_a_head_that_is_tied_to_an_embedding_with_token_rows_betrays_itself_by_a_name() -> None:
    tensors = {
        "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta": ("F32", (1, 16)),
        "base_model.model.lm_head.token_adapter.base_layer.weight": ("F32", (64, 16)),
    }
    tied = Patch(config={"trainable_token_indices": [60], "modules_to_save": ["lm_head"]}, tensors=tensors)
    (finding,) = check(tied, "CFG141")
    assert finding.severity == "error"
    assert finding.tensor == "base_model.model.lm_head.token_adapter.base_layer.weight"


# The base -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("acme/tiny-llama", None),
        ("gpt2", None),
        ("models/chatglm-6b", None),  # like an id
        ("~acme/llama", "Write the id of the base model on the Hub, such as `org/name`."),
        ("C:/models/llama", "Write the id of the base model on the Hub, such as `org/name`."),
        ("models/llama/7b", "Write the id of the base model on the Hub, such as `org/name`."),
        ("/cache/models--acme--tiny-llama/snapshots/0a1b", "Write `acme/tiny-llama`."),
        ("https://hf.co/acme/tiny-llama", "Write `acme/tiny-llama`."),
        ("", None),
    ],
)
def test_which_names_of_a_base_are_paths(name: str, remedy: str | None) -> None:
    assert [f.help for f in check({"base_model_name_or_path": name}, "CFG152")] == ([remedy] if remedy else [])


def test_a_base_of_somebodys_own_class_needs_no_name() -> None:
    own = {"base_model_class": "MLP", "parent_library": "__main__"}
    assert told({"base_model_name_or_path": None, "auto_mapping": own}, "CFG151") == []


# Release ranges -------------------------------------------------------------------------------------------------------


def test_ranges_of_release_lines_as_specifiers() -> None:
    assert between("0.10", None) is None
    assert between("0.10", "0.21") is None
    assert between("0.14", "0.18") == ">=0.14,<0.19"
    assert between("0.10", "0.16") == "<0.17"
    assert before("0.10") is None
    assert before("0.15") == "<0.15"


def test_layers_of_zero_were_missing_layers_before_0_21() -> None:
    config = {"layers_pattern": "layers", "layers_to_transform": 0}
    assert told(config, "CFG124", peft=["0.20"]) == ["CFG124 error /layers_to_transform"]
    assert told(config, "CFG124", peft=["0.21"]) == []


def test_methods_that_do_not_refuse_layers_beside_a_string_ignore_them() -> None:
    config = {"peft_type": "LOHA", "target_modules": ".*q_proj", "layers_to_transform": [0]}
    assert told(config, "CFG125") == ["CFG125 info /layers_to_transform"]


def test_every_type_with_a_removed_release_is_told_how_to_go_on() -> None:
    for method in METHODS.values():
        if method.until is not None:
            (finding,) = check({"peft_type": method.name}, "CFG112")
            assert finding.help is not None
            assert f"`peft>={method.since},<" in finding.help


# Bounds ---------------------------------------------------------------------------------------------------------------


def test_lines_are_those_that_end_in_a_line_feed_or_a_carriage_return() -> None:
    head = '{"note": "a\u2028b\u0085", "peft_type": "LORA", "target_modules": ["q_proj"], "r": 8,\r'
    twice = Patch(files={"adapter_config.json": head + '"lora_alpha": 32, "lora_alpha": 16}'})
    (found,) = check(twice, "CFG105")
    assert "`16` counts, `32` is ignored" in found.message
    (found,) = check(Patch(files={"adapter_config.json": head + '"use_dora": False}'}), "CFG101")
    assert found.help == "JSON writes `false`, not `False`."


def test_of_very_many_patterns_the_first_are_judged() -> None:
    assert len(list(pattern_uses_of({f"q[{i}]": 8 for i in range(1000)}))) == MAX_PATTERNS
    assert len(list(pattern_uses_of({f"q[{i}]" + "x" * 1000: 8 for i in range(1000)}))) == MAX_PATTERNS_LENGTH // 1004


def pattern_uses_of(patterns: dict[str, int]) -> Iterable[PatternUse]:
    config = Patch({"rank_pattern": patterns}).adapter().config
    assert config is not None
    return pattern_uses(config)


def test_the_places_of_one_config_are_shared_by_its_patterns() -> None:
    first = endless_match(r"(\w+\.)*q_proj", (MODULE,), whole=True)
    assert first.text is None
    assert 0 < MAX_PLACES - first.left < MAX_PLACES / 10
    assert endless_match(r"(([a-z_]+)*\.)*q_proj", (MODULE,), whole=True, places=3).text is None


def test_likenesses_are_looked_for_among_the_first_unknown_keys() -> None:
    def notes(letter: str) -> Patch:  # the keys of a patch are sorted
        return alone(**{f"{letter}_note_{i}": 1 for i in range(MAX_GUESSED)}, lora_alpah=1, lora_alpha=DROP)

    before_them, after_them = (check(notes(letter), "CFG114") for letter in "za")
    assert [any("has no key" in one.message for one in found) for found in (before_them, after_them)] == [True, False]
    assert any(f"{MAX_GUESSED + 1} keys" in one.message for one in after_them)


@pytest.mark.parametrize(
    ("peft_type", "since"),
    [("LORA", "0.14"), ("C3A", "0.18"), ("CPT", "0.18"), ("TRAINABLE_TOKENS", "0.18"), ("RANDLORA", "0.20")],
)
def test_a_task_type_is_refused_since_the_release_in_which_the_config_class_checks_it(
    peft_type: str, since: str
) -> None:
    (found,) = check({"peft_type": peft_type, "task_type": "bad"}, "CFG113", peft=["0.21"])
    assert found.peft == f">={since}"


def test_an_adapter_of_before_what_refuses_it_is_right_as_it_is() -> None:
    """OFT of 0.13: with `oft_block_size` added, newer releases load it and apply nothing of it."""
    keys = dict.fromkeys(GOOD_CONFIG.keys() - {"base_model_name_or_path", "target_modules", "task_type"}, DROP)
    tensors = {key.replace("lora_A.weight", "oft_r"): ("F32", (4, 4, 4)) for key in GOOD_TENSORS if "lora_A" in key}
    (finding,) = check(Patch(keys | {"peft_type": "OFT", "r": 4}, {"*": DROP, **tensors}), "CFG160")
    assert finding.peft == ">=0.14"
    assert (finding.help or "").startswith("Load it with PEFT <0.14. ")
