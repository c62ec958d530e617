"""How values from files are put into words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterlint.words import (
    MAX_SHOWN,
    counted,
    listed,
    masked,
    none_of,
    portion,
    printable,
    redacted,
    shortened,
    shown,
    suggestion,
)


def test_strings_are_shown_as_they_are_and_the_rest_as_json() -> None:
    assert shown("q_proj") == "`q_proj`"
    assert shown([1, "a", None, True]) == '`[1, "a", null, true]`'
    assert shown({"r": 8}) == '`{"r": 8}`'


def test_long_values_are_cut_in_their_middle() -> None:
    assert len(shown("x" * 10_000)) <= MAX_SHOWN + 2
    assert shortened("abcdefghij", 5) == "ab…ij"


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=20), max_leaves=30))
def test_whatever_is_shown_is_short_printable_and_ends_its_backticks(value: object) -> None:
    text = shown(value)
    assert text.isprintable()
    assert len(text) < 600
    assert text.count("`") == 2


def test_an_integer_beyond_all_bounds_is_shown_in_words() -> None:
    assert shown(10**10_000) == "`a very large int`"


def test_enumerations_end_with_and() -> None:
    assert listed(["a"]) == "`a`"
    assert listed(["a", "b", "c"]) == "`a`, `b` and `c`"
    assert listed("abcdefg", word="layers") == "`a`, `b`, `c`, `d` and 3 more layers"


def test_numbers_carry_their_noun() -> None:
    assert counted(1, "tensor") == "1 tensor"
    assert counted(12_000, "tensor") == "12,000 tensors"
    assert counted(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize("text", ["\x1b[31m", "\x07", "\r", "\u202e", "\x9b1m", "\ud800", "\u2028"])
def test_nothing_that_a_terminal_obeys_stays(text: str) -> None:
    assert printable(f"a{text}b").isprintable()


@pytest.mark.parametrize(
    "secret",
    [
        *("hf_" + "aB3" * 11, "hf_" + "aBcDeFgHiJkLmNoPq" * 2, "api_org_" + "aBcDeFgHiJkLmNoPq" * 2),
        *("ghp_" + "x1" * 18, "sk-proj-" + "a1" * 20, "AKIA" + "ABCD" * 4, "glpat-" + "a1" * 10),
    ],
)
def test_tokens_are_redacted(secret: str) -> None:
    assert redacted(f"a {secret} b") == "a *** b"


def test_a_password_in_a_url_is_redacted_and_the_rest_stays() -> None:
    assert redacted("https://me:secret@host/acme") == "https://***@host/acme"


def test_ordinary_words_are_not_redacted() -> None:
    text = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight hf_internal_testing sk-learn"
    assert redacted(text) == text


def test_the_nearest_word_is_suggested_whatever_its_case() -> None:
    assert suggestion("lora", ["LORA", "LOHA"]) == "LORA"
    assert suggestion("something else", ["LORA"]) is None


@pytest.mark.parametrize(
    "name",
    ["task-oriented-dialogue-llama-adapter", "mask-and-risk-models-for-german", "my_hf_transformers_2024_model_x1"],
)
def test_names_that_only_look_like_keys_stay(name: str) -> None:
    assert redacted(f"adapters/{name}/adapter_config.json") == f"adapters/{name}/adapter_config.json"


def test_masking_keeps_columns() -> None:
    secret = "hf_" + "aB3" * 11
    assert masked(f'"a": "{secret}", "r": 0') == f'"a": "{"*" * len(secret)}", "r": 0'


def test_sentences_about_a_part_agree_with_its_number() -> None:
    one, some, only = portion("a", "abcd"), portion("ab", "abcd"), portion("a", "a")
    assert (
        f"{one.text} {one.have} {one.names}, and {one.lost}" == "1 of 4 tensors has a name, and PEFT does not load it"
    )
    assert (
        f"{some.text} {some.have} {some.names}, and {some.lost}"
        == "2 of 4 tensors have names, and PEFT loads none of them"
    )
    assert f"{only.text} {only.have}" == "The only tensor has"
    assert none_of("abcd") == "None of the 4 tensors"
    assert "1 tensor" not in none_of("a")
