"""CFG115."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from adapterlint import Config, Finding, Severity, rule, shown
from adapterlint.peft.fields import fields_of
from adapterlint.peft.fields import wrong_type as expected_instead
from adapterlint.peft.releases import RELEASES, between

# Told by rules of their own, at the exact place or with other consequences.
_ELSEWHERE = frozenset(
    {"base_model_name_or_path", "peft_type", "task_type", "token_indices", "trainable_token_indices"}
)
_RANKS = {"rank_pattern": "an integer", "alpha_pattern": "a number"}
_RANKED = ("LOHA", "LOKR", "LORA")
MAX_TOLD = 5  # entries of one pattern

# What PEFT 0.21.2 loads and runs with, and gets wrong or overlooks; every other wrong type ends in an exception.
_TAKEN_AS_TRUTH = frozenset({"bool", "bool | None"})
_NEVER_TRUTH = frozenset({"init_weights", "select_top"})  # booleans that are compared with `is`, or computed with
_HASHED = frozenset({"runtime_offload_base_weight", "save_precomputed_indices", "save_projection"})
_TAKEN_SOMEHOW = frozenset(
    {"cpt_mask", "cpt_token_ids", "num_cayley_neumann_terms", "proj_seed", "shadow_num_hidden_layers"}
)
_NESTED_SINCE = "0.21"  # before, nested configs were kept as they stand, and mostly not looked at on loading
_LOOKED_AT_SINCE = {"layers_pattern": "0.14"}
_EMPTY_PASSES = frozenset({("DEFT", "alpha"), ("HIRA", "init_weights"), ("OSF", "rank_pattern")})


@rule(
    "CFG115",
    Severity.ERROR,
    since="0.1",
    bad=(
        {"r": "8"},
        {"use_rslora": "false"},
        {"lora_dropout": None},
        {"target_modules": 3},
        {"alpha_pattern": {"q_proj": "16"}},
    ),
    good=({"r": 8}, {"lora_alpha": 16.0}, {"use_rslora": False}),
    source="the config classes in peft/tuners/*/config.py",
)
def wrong_type(config: Config) -> Iterator[Finding]:
    """A value of the config has a JSON type that PEFT cannot work with.

    PEFT does not check types. Most wrong ones end in a `TypeError`, `AttributeError` or `ValueError` while the
    adapter is loaded, or in its first forward pass. Where a boolean is expected, anything but an empty value counts
    as true, so the string `"false"` switches a feature on: that is reported as a warning.

    Write the value in the type that the finding names; numbers and booleans have no quotes in JSON.
    """
    fields = fields_of(config.peft_type)
    for key, value in config.values.items():
        if key not in fields or key in _ELSEWHERE:
            continue
        expected = expected_instead(config.peft_type, key, value)
        if expected is not None:
            nested = _NESTED_SINCE if fields[key].annotation.endswith("Config | None") else RELEASES[0]
            since = max(fields[key].since, nested, _LOOKED_AT_SINCE.get(key, RELEASES[0]), key=RELEASES.index)
            found = _finding(config, (key,), value, expected, fields[key].annotation)
            yield replace(found, peft=between(since, None))
        elif key in _RANKS and config.peft_type in _RANKED and isinstance(value, dict):
            wrong = [name for name, one in value.items() if not _is_rank(key, one)]
            for name in wrong[:MAX_TOLD]:
                yield _finding(config, (key, name), value[name], _RANKS[key], "int")


def _is_rank(key: str, value: Any) -> bool:
    if key == "alpha_pattern":
        return isinstance(value, int | float)
    return isinstance(value, int) and not isinstance(value, bool)


def _finding(config: Config, route: tuple[str, ...], value: Any, expected: str, annotation: str) -> Finding:
    key, at = route[0], config.at(*route)
    named = shown(key) if len(route) == 1 else f"{shown(route[1])} in {shown(key)}"
    if annotation in _TAKEN_AS_TRUTH and key not in _NEVER_TRUTH and not _cannot_be_hashed(key, value):
        return Finding(
            f"{named} is {_described(value)}, which PEFT takes for true",
            at=at,
            help="Write `true` or `false`, without quotes.",
            severity=Severity.WARNING,
        )
    if _passes(config.peft_type, route, value, annotation):
        return Finding(
            f"{named} is {_described(value)}, but PEFT expects {expected} and makes something else of it",
            at=at,
            help=f"Write {expected}.",
            severity=Severity.WARNING,
        )
    return Finding(
        f"{named} is {_described(value)}, but PEFT expects {expected} and fails as it loads or runs the adapter",
        at=at,
        help=f"Write {expected}{_unquoted(value, expected)}.",
    )


def _passes(peft_type: str, route: tuple[str, ...], value: Any, annotation: str) -> bool:
    """Whether PEFT may load and run the adapter with the value."""
    if len(route) > 1 or (route[0] == "r" and peft_type != "OFT"):
        return False
    if isinstance(value, bool):  # a number for Python, but not a list, an object or a string
        return any(word in annotation.split(" | ") for word in ("int", "float"))
    return route[0] in _TAKEN_SOMEHOW or (not value and (peft_type, route[0]) in _EMPTY_PASSES)


def _cannot_be_hashed(key: str, value: Any) -> bool:
    return key in _HASHED and isinstance(value, list | dict)


def _described(value: Any) -> str:
    if isinstance(value, str):
        return f"the string {shown(value)}" if value else "an empty string"
    return shown(value)


def _unquoted(value: Any, expected: str) -> str:
    wants_number = "integer" in expected.split() or "number" in expected.split()
    is_number = isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdecimal()
    return ", without quotes" if wants_number and is_number else ""
