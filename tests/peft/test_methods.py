"""What PEFT's own registries say about its types, written down by hand from the wheels of 0.10 to 0.21."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from adapterlint.peft import methods
from adapterlint.peft.fields import types_with
from adapterlint.peft.methods import METHODS, Method, low_rank, suggest_type
from adapterlint.peft.methods.method import Together
from adapterlint.peft.releases import RELEASES, in_range

NEW_IN = {
    "0.10": "ADALORA ADAPTION_PROMPT IA3 LOHA LOKR LORA MULTITASK_PROMPT_TUNING OFT POLY PREFIX_TUNING PROMPT_TUNING"
    " P_TUNING",
    "0.11": "BOFT LN_TUNING VERA",
    "0.12": "FOURIERFT HRA XLORA",
    "0.13": "VBLORA",
    "0.14": "BONE CPT",
    "0.15": "TRAINABLE_TOKENS",
    "0.16": "C3A RANDLORA",
    "0.17": "MISS SHIRA",
    "0.18": "DELORA OSF ROAD WAVEFT",
    "0.19": "ADAMSS CARTRIDGE GRALORA LILY PEANUT PSOFT PVERA TINYLORA",
    "0.20": "BEFT DEFT FROD GLORA HIRA UNILORA",
    "0.21": "SHADOW SUPERTUNING",
}


def test_every_type_is_known_since_the_release_that_brought_it() -> None:
    assert {name: method.since for name, method in METHODS.items()} == {
        name: release for release, names in NEW_IN.items() for name in names.split()
    }


def test_every_entry_is_found_where_the_index_says() -> None:
    """A line of the package's docstring names a file and its entries, in their order there."""
    lines = [line.split() for line in str(methods.__doc__).split("\n\n")[1].splitlines()]
    index = {file: types for file, *types in lines}
    found = {
        file: [one.name for one in vars(import_module(f"adapterlint.peft.methods.{file}")).values() if _is_entry(one)]
        for file in index
    }
    assert found == index
    assert sorted(name for types in index.values() for name in types) == list(METHODS)


def test_the_example_of_the_index_is_an_entry_word_for_word() -> None:
    example = str(methods.__doc__).split("HIRA = Method(")[1].split("Shapes are terms")[0]
    told = [line.partition("  #")[0].strip() for line in example.splitlines()]
    entry = [line.partition("  #")[0].strip() for line in inspect.getsource(low_rank).splitlines()]
    assert [line for line in told if line not in ("", "...") and line not in entry] == []
    assert len(told) > 15


def _is_entry(value: object) -> bool:
    return isinstance(value, Method)


def test_every_type_says_what_it_has_on_its_targets_or_at_the_top() -> None:
    assert [name for name, method in METHODS.items() if not (method.forms or method.top)] == []
    prefixes = {name: method.prefix for name, method in METHODS.items() if method.prefix is not None}
    own = {name: prefix for name, prefix in prefixes.items() if name not in ("ADAPTION_PROMPT",)}
    strange = {
        (name, one.name)
        for name, prefix in own.items()
        for form in METHODS[name].forms
        for one in form.parameters
        if not one.name.startswith(prefix) and one.name != "ranknum"
    }
    assert strange == set()


def test_one_adapter_at_a_time_is_said_with_what_happens_else() -> None:
    alone = {name for name, method in METHODS.items() if method.together is Together.ONE}
    assert alone == {
        *("ADAPTION_PROMPT", "CARTRIDGE", "CPT", "LN_TUNING", "MULTITASK_PROMPT_TUNING", "PREFIX_TUNING"),
        *("PROMPT_TUNING", "P_TUNING", "SHADOW"),
    }
    assert [name for name, method in METHODS.items() if bool(method.refusal) != (name in alone)] == []


def test_only_bone_was_removed() -> None:
    assert {name: method.until for name, method in METHODS.items() if method.until} == {"BONE": "0.18"}
    assert METHODS["BONE"].known_in("0.18.1")
    assert not METHODS["BONE"].known_in("0.19.0")
    assert not METHODS["BONE"].known_in("0.13")


def test_releases_are_all_lines_from_0_10_to_0_21_in_order() -> None:
    assert RELEASES[0] == "0.10"
    assert RELEASES[-1] == "0.21"
    assert len(RELEASES) == 12


def test_prompt_learning_has_no_prefix_and_everything_else_has() -> None:
    prompts = {name for name, method in METHODS.items() if method.prompt_learning}
    assert prompts == {
        *("CARTRIDGE", "CPT", "MULTITASK_PROMPT_TUNING", "PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING"),
    }
    assert {name for name, method in METHODS.items() if method.prefix is None} == prompts


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("ADALORA", "lora_"),
        ("ADAPTION_PROMPT", "adaption_prompt_"),
        ("LN_TUNING", "ln_tuning_"),
        ("LOHA", "hada_"),
        ("PVERA", "pvera_lambda_"),
        ("VERA", "vera_lambda_"),
        ("XLORA", "xlora_"),
    ],
)
def test_prefix_is_that_of_peft_even_where_it_is_not_the_name(name: str, prefix: str) -> None:
    assert METHODS[name].prefix == prefix


def test_mixed_models_take_six_types_but_not_oft_first() -> None:
    mixed = {name for name, method in METHODS.items() if method.mixed}
    assert mixed == {"ADALORA", "LOHA", "LOKR", "LORA", "OFT", "SHIRA"}
    assert {name for name, method in METHODS.items() if method.mixed_first} == mixed - {"OFT"}


def test_three_types_have_no_modules_to_save() -> None:
    assert METHODS.keys() - types_with("modules_to_save").keys() == {
        *("ADAPTION_PROMPT", "TRAINABLE_TOKENS", "XLORA"),
    }


def test_types_that_build_layers_of_rank_zero() -> None:
    """Seen with PEFT 0.21.2: AdaLoRA does not read `r`, OFT takes the size of its blocks, GLoRA makes empty factors."""
    assert {name for name, method in METHODS.items() if method.zero_rank} == {"ADALORA", "GLORA", "OFT"}


def test_bias_is_a_key_of_these_types() -> None:
    assert types_with("bias").keys() == {
        *("ADALORA", "BOFT", "BONE", "C3A", "DEFT", "DELORA", "FOURIERFT", "FROD", "GLORA", "GRALORA", "HRA", "LORA"),
        *("MISS", "OFT", "PVERA", "RANDLORA", "TINYLORA", "UNILORA", "VBLORA", "VERA", "WAVEFT"),
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("LORA", "LORA"),
        ("lora", "LORA"),
        (" Lora ", "LORA"),
        ("LoHa", "LOHA"),
        ("PROMPT-TUNING", "PROMPT_TUNING"),
        ("p tuning", "P_TUNING"),
        ("IA3_", "IA3"),
        ("ADA_LORA", "ADALORA"),
        ("QLoRA", "LORA"),
        ("DoRA", "LORA"),
        ("rsLoRA", "LORA"),
        ("PiSSA", "LORA"),
        ("something else", None),
        ("", None),
    ],
)
def test_suggestion_is_the_type_that_was_meant(written: str, meant: str | None) -> None:
    assert suggest_type(written) == meant


@pytest.mark.parametrize(
    ("release", "since", "until", "inside"),
    [
        ("0.9.0", "0.10", None, False),
        ("0.10", "0.10", None, True),
        ("0.21.2", "0.20", None, True),
        ("0.18.1", "0.14", "0.18", True),
        ("0.19", "0.14", "0.18", False),
        ("1.0", "0.14", "0.18", False),
    ],
)
def test_releases_compare_as_numbers(release: str, since: str, until: str | None, inside: bool) -> None:
    assert in_range(release, since, until) is inside
