"""The model card: what the examples of the rules do not say."""

from __future__ import annotations

from typing import Any

import pytest

from adapterlint import Finding
from adapterlint.lint.engine import Engine
from adapterlint.lint.example import Patch
from adapterlint.lint.loader import load_rules

RULES = [r for r in load_rules() if r.family == "CRD"]


def findings(card: str, **config: Any) -> list[tuple[str, Finding]]:
    engine = Engine(RULES)
    adapter = Patch(config=config, files={"README.md": card}).adapter()
    found = [(one.rule.code, one.finding) for one in engine.check_adapter(adapter, None)]
    assert not engine.crashes
    return found


def codes(card: str, **config: Any) -> list[str]:
    return [code for code, _ in findings(card, **config)]


def card(base: str) -> str:
    return f"---\nlicense: mit\nbase_model: {base}\n---\n# An adapter\n"


@pytest.mark.parametrize(
    ("named", "base"),
    [
        ("meta-llama/Llama-3.1-8B", "unsloth/llama-3.1-8b-bnb-4bit"),
        ("meta-llama/Llama-3.1-8B", "unsloth/Llama-3.1-8B-unsloth-bnb-4bit"),
        ("google-bert/bert-base-uncased", "bert-base-uncased"),
        ("meta-llama/Llama-3.1-8B", "/data/models/llama"),
        ("meta-llama/Llama-3.1-8B", "./llama"),
        ("meta-llama/Llama-3.1-8B", "models/sft-final"),
        ("meta-llama/Llama-3.1-8B", None),
        ("meta-llama/Llama-3.1-8B", ""),
        ("[]", "acme/tiny-llama"),
        ("''", "acme/tiny-llama"),
        ("[Qwen/Qwen3-8B, meta-llama/Llama-3.1-8B]", "meta-llama/Llama-3.1-8B"),
    ],
)
def test_names_that_may_mean_one_model_do_not_differ(named: str, base: str | None) -> None:
    assert codes(card(named), base_model_name_or_path=base) == []


@pytest.mark.parametrize(
    ("named", "base"),
    [
        ("mistralai/Mistral-7B-v0.1", "mistralai/Mistral-7B-Instruct-v0.1"),
        ("[Qwen/Qwen3-8B, Qwen/Qwen3-14B]", "meta-llama/Llama-3.1-8B"),
        ("meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-13b-hf"),
    ],
)
def test_names_of_two_models_differ(named: str, base: str) -> None:
    assert codes(card(named), base_model_name_or_path=base) == ["CRD101"]


def test_the_finding_stands_at_the_line_of_the_name() -> None:
    (_, finding), *_ = findings(card("acme/other-llama"))
    span = finding.at.located()
    assert span is not None
    assert (span.line, span.column, span.end_column) == (3, 1, 11)


@pytest.mark.parametrize("path", ["/home/user/llama", "./llama", "../llama", "~/llama", "C:\\llama", "a/b/c"])
def test_a_path_is_no_model_id(path: str) -> None:
    assert codes(card(path)) == ["CRD103"]


@pytest.mark.parametrize("name", ["acme/tiny-llama", "gpt2", "https://huggingface.co/acme/tiny-llama"])
def test_an_id_or_an_address_is_no_path(name: str) -> None:
    assert "CRD103" not in codes(card(name))


@pytest.mark.parametrize(
    "text", ["---\n- a\n- b\n---\n", "---\na: *x\n---\n", "---\na: @b\n---\n", "---\ndate: 2024-13-45\n---\n"]
)
def test_front_matter_that_save_pretrained_raises_on_is_told(text: str) -> None:
    assert codes(text) == (["CRD102"] if "*x" not in text else [])


@pytest.mark.parametrize("text", ["", "# No front matter\n", "---\n", "---\n---\n", "---\na: &x 1\nb: *x\n---\n"])
def test_a_card_that_is_only_unusual_is_not_told(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize("value", ["1", "{a: 1}", "[1, [2]]", "null", "true", "2024-01-01", "'\\0'"])
@pytest.mark.parametrize("base", [None, 5, [], {}, "x" * 10_000, "a/b"])
def test_odd_values_never_stop_a_rule(value: str, base: Any) -> None:
    findings(card(value), base_model_name_or_path=base)
