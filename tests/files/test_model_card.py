from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapterlint.files.model_card import Card, read_card


def test_the_front_matter_of_a_peft_card_is_read() -> None:
    card = read_card(b"---\nbase_model: meta-llama/Llama-3.1-8B\nlibrary_name: peft\ntags:\n- lora\n---\n\n# Card\n")
    assert card == Card(
        data={"base_model": "meta-llama/Llama-3.1-8B", "library_name": "peft", "tags": ["lora"]},
        base_models=("meta-llama/Llama-3.1-8B",),
        base_model_line=2,
        library_name="peft",
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_several_base_models_and_any_line_end(end: str) -> None:
    card = read_card(end.join(["", "---", "x: 1", "base_model:", "- a/b", "- c/d", "- 3", "---", "text"]).encode())
    assert card.base_models == ("a/b", "c/d")
    assert card.base_model_line == 4
    assert card.problem is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"# Card",
        b"---\nno second line of dashes\n",
        b"text\n---\na: 1\n---\n",
        b"---\n---\n",
        b"---\n# only a comment\n---\n",
        b"---\n\xff: 1",
    ],
)
def test_without_front_matter_the_card_is_empty(raw: bytes) -> None:
    assert read_card(raw) == Card()


def test_a_byte_order_mark_and_a_foreign_byte_do_no_harm() -> None:
    card = read_card(b"\xef\xbb\xbf---\nlicense: \xff\nlibrary_name: 3\n---\n")
    assert card == Card(data={"license": "\N{REPLACEMENT CHARACTER}", "library_name": 3})


def test_a_yaml_error_is_told_with_its_line() -> None:
    assert read_card(b"---\na: 1\nb: c: d\n---\n").problem == (
        "line 3 is not YAML: mapping values are not allowed in this context"
    )


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        ("- a", "the front matter is not a mapping of names to values"),
        ("a: &a [1]\nb: *a", "the front matter has a YAML alias (`*name`), which is not followed"),
        ("a: " + "[" * 60 + "]" * 60, "the front matter is nested too deep or too long"),
        ("a: [" + "1," * 60_000 + "]", "the front matter is nested too deep or too long"),
        ("a: 1" + ":1" * 100_000, "the front matter has an unquoted value of more than 10000 characters"),
        ("a: \x01", "the front matter has a character or a value that YAML does not allow"),
        ("a: 2024-13-45", "the front matter has a character or a value that YAML does not allow"),
        ("a: !!bool x", "the front matter has a character or a value that YAML does not allow"),
        ("a: " + "9" * 5000, "the front matter has a character or a value that YAML does not allow"),
    ],
)
def test_what_is_not_read_is_a_problem(yaml: str, problem: str) -> None:
    card = read_card(f"---\n{yaml}\n---\n".encode())
    assert card.problem == problem
    assert card == Card(problem=problem, invalid=card.invalid)


@pytest.mark.parametrize(("yaml", "invalid"), [("- a", True), ("a: 2024-13-45", True), ("a: &a [1]\nb: *a", False)])
def test_a_bound_of_ours_is_no_fault_of_the_card(yaml: str, invalid: bool) -> None:
    assert read_card(f"---\n{yaml}\n---\n".encode()).invalid is invalid


def test_no_python_object_is_made() -> None:
    problem = read_card(b"---\na: !!python/object/apply:os.system [x]\n---\n").problem
    assert problem is not None
    assert problem.startswith("line 2 is not YAML: could not determine a constructor for the tag")


def test_an_alias_bomb_costs_nothing() -> None:
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 20))]
    start = time.perf_counter()
    assert read_card("\n".join(["---", *lines, "---"]).encode()).problem
    assert time.perf_counter() - start < 1


PIECES = [
    "---",
    "\n",
    "\r\n",
    " ",
    "- ",
    "? ",
    ": ",
    "a",
    "base_model",
    "&x ",
    "*x",
    "<<",
    "[",
    "]",
    "{",
    "}",
    "!!int ",
    "!!",
]
PIECES += [
    '"',
    "'",
    "|",
    ">",
    "%YAML",
    "\t",
    "\x00",
    "\ufeff",
    "1",
    "1:2",
    "2024-01-01",
    "0x",
    "=",
    "#",
    "é",
    "~",
    "...",
    ",",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES)))
def test_no_yaml_like_text_raises(pieces: list[str]) -> None:
    read_card(f"---\n{''.join(pieces)}\n---\n".encode())


@given(st.binary())
def test_no_bytes_raise(raw: bytes) -> None:
    read_card(raw)
    read_card(b"---\n" + raw + b"\n---\n")
