"""What PEFT refuses by looking at one config: while the file is read, or while its layers are built on any base.

The checks stand in `refusals.json`, one a line, in the order in which PEFT makes them. They come from `__post_init__`
and `check_kwargs` in `peft/tuners/*/config.py` (`"config"`), and from `update_layer` and its helpers in
`peft/tuners/*/layer.py` and `peft/tuners/tuners_utils.py` (`"injection"`). Each was seen to raise, with the class and
text given there, when an adapter folder with such a config was loaded by PEFT 0.10 to 0.21.2.

Elsewhere: peft_type and task_type, unknown keys and JSON types, ranks, regexes, layers_pattern and layers_to_transform,
token indices, and what only fails where a package is missing.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from adapterlint.peft.fields import defaults_of, fields_of
from adapterlint.peft.methods import METHODS
from adapterlint.peft.releases import RELEASES, in_range

Place = Literal["config", "injection", "factors", "layer"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason for which PEFT does not load an adapter, whatever the base.

    Args:
        pointer: JSON pointer of the value to blame, whether the file has it or PEFT fills in its default.
        error: Name of the exception's class.
        text: The exception's text.
        types: The PEFT types with this check.
        since: First release line that refuses this type for it; `"0.10"` means 0.10 or older.
        until: Last one; `None` if the newest still does.
        where: `"config"` if reading `adapter_config.json` raises already, `"injection"` if building the layers does
            (which says nothing of configs that are only read), `"factors"` if filling the two factors of LoRA does,
            `"layer"` if building those that nearly every adapter has does, and the catalogue says which they are.
    """

    pointer: str
    error: str
    text: str
    types: tuple[str, ...]
    since: str
    until: str | None = None
    where: Place = "config"


def refusals(peft_type: str, values: Mapping[str, Any], *, release: str | None = None) -> Iterator[Refusal]:
    """Every refusal that a config runs into, in the order in which PEFT would come across them.

    Args:
        peft_type: The config's `peft_type`; nothing is yielded for one that PEFT never had.
        values: The config file. A missing key counts with its default in the release, or in the newest; checks that
            meet a value of the wrong type are passed over.
        release: Yield only what this release refuses; without it, what any release does.
    """
    former = METHODS[peft_type].config.former_defaults(release) if release is not None and peft_type in METHODS else {}
    config = _Config(peft_type, values, former)
    given = config.given()
    for check in _checks().get(peft_type, ()):
        # Most configs keep most defaults, and hardly a default is refused.
        if check.guard is not None and check.guard.isdisjoint(given):
            continue
        if (release is None or in_range(release, check.since, check.until)) and (blame := check.blame(config)):
            path, text = blame
            pointer = "/" + path.replace(".", "/")
            yield Refusal(pointer, check.error, text, check.types, check.since, check.until, check.where)


_NO_DEFAULTS: Mapping[str, Any] = MappingProxyType({})


class _Config(dict[str, Any]):
    """The values of one config; what it lacks has its default, and what the type does not know is `None`."""

    def __init__(self, peft_type: str, values: Mapping[str, Any], former: Mapping[str, Any] = _NO_DEFAULTS) -> None:
        super().__init__(values)
        self.peft_type = peft_type
        self._defaults = {**defaults_of(peft_type), **former} if former else defaults_of(peft_type)

    def __missing__(self, key: str) -> Any:
        return self._defaults.get(key)

    def given(self) -> frozenset[str]:
        """The keys whose value is not the default."""
        return frozenset(key for key, value in self.items() if value != self._defaults.get(key))

    def at(self, path: str) -> Any:
        """The value of a key, or of a key in a nested config (`eva_config.rho`), where a missing one is `None`."""
        outer, _, inner = path.partition(".")
        if not inner:
            return self[outer]
        return self[outer].get(inner) if isinstance(self[outer], dict) else None


class _Words(dict[str, Any]):
    """What a text may name: `{value}`, and every key of the config."""

    def __init__(self, config: _Config, path: str) -> None:
        super().__init__(value=config.at(path))
        self.config = config

    def __missing__(self, key: str) -> Any:
        return self.config[key]


_Condition = Callable[[_Config], bool]
_Blame = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Check:
    types: tuple[str, ...]
    since: str
    until: str | None
    error: str
    where: Place
    blame: Callable[[_Config], _Blame | None]
    """The path to blame and the text, if the config is refused."""
    guard: frozenset[str] | None
    """Keys without which, all of them at their defaults, nothing is refused; `None` if there are no such keys."""


def refusal_texts() -> tuple[str, ...]:
    """The texts of all refusals that are templates, with `…` for what they put in."""
    return tuple(dict.fromkeys(re.sub(r"\{[^{}]*\}", "…", row["text"]) for row in _rows() if "text" in row))


def _rows() -> Any:
    from importlib import resources  # imports slowly

    return json.loads(resources.files("adapterlint.peft").joinpath("refusals.json").read_text("utf-8"))


@functools.cache
def _checks() -> Mapping[str, tuple[_Check, ...]]:
    rows = _rows()
    found = {name: [_check(row, name) for row in rows if name in row["types"]] for name in METHODS}
    return MappingProxyType({name: tuple(filter(None, checks)) for name, checks in found.items()})


def _check(row: Mapping[str, Any], peft_type: str) -> _Check | None:
    """One row for one of its types, within the releases that have both the type and the key to blame."""
    method, field = METHODS[peft_type], fields_of(peft_type).get(row.get("at", "").partition(".")[0])
    starts = [method.since, row.get("since"), field and field.since]
    ends = [method.until, row.get("until"), field and field.until]
    since = max((line for line in starts if line), key=RELEASES.index)
    until = min((line for line in ends if line), key=RELEASES.index, default=None)
    if until is not None and RELEASES.index(since) > RELEASES.index(until):
        return None
    blame = _BLAMES[row["by"]] if "by" in row else _template(row["at"], row["text"], row["if"])
    return _Check(
        types=tuple(row["types"]),
        since=since,
        until=until,
        error=row.get("error", "ValueError"),
        where=row.get("where", "config"),
        blame=blame,
        guard=None if "by" in row else _guard(peft_type, row["if"]),
    )


def _guard(peft_type: str, conditions: list[list[Any]]) -> frozenset[str] | None:
    """The keys of a condition that fails at their defaults, whatever the other keys say; `None` if there is none."""
    defaults = _Config(peft_type, {})
    for name, path, *arguments in conditions:
        if name not in ("present", "absent") and not _condition(name, path, *arguments)(defaults):
            keys = ["init_lora_weights"] if name == "init" else [path, *arguments] if name in _ON_KEYS else [path]
            return frozenset(key.partition(".")[0] for key in keys)
    return None


def _template(path: str, text: str, conditions: list[list[Any]]) -> Callable[[_Config], _Blame | None]:
    tests = [_condition(*condition) for condition in conditions]

    def blame(config: _Config) -> _Blame | None:
        return (path, text.format_map(_Words(config, path))) if all(test(config) for test in tests) else None

    return blame


def _condition(name: str, path: str, *arguments: Any) -> _Condition:
    """`["<=", "u", 0]` as a function of the config."""
    if name in _ON_NUMBERS:
        return lambda config: _is_number(value := config.at(path)) and _ON_NUMBERS[name](value, *arguments)
    if name in _ON_WORDS:
        return lambda config: isinstance(value := config.at(path), str) and _ON_WORDS[name](value, *arguments)
    if name in _ON_VALUES:
        return lambda config: _ON_VALUES[name](config.at(path), *arguments)
    return lambda config: _ON_KEYS[name](config, path, *arguments)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_ON_NUMBERS: Mapping[str, Callable[..., bool]] = MappingProxyType(
    {
        "<": lambda value, bound: value < bound,
        "<=": lambda value, bound: value <= bound,
        ">": lambda value, bound: value > bound,
        ">=": lambda value, bound: value >= bound,
        "odd": lambda value: value % 2 != 0,
        "outside": lambda value, low, high: not low <= value <= high,
    }
)
_ON_WORDS: Mapping[str, Callable[..., bool]] = MappingProxyType(
    {
        "not in": lambda value, *words: value not in words,
        "not in lower": lambda value, *words: value.lower() not in words,
        "ending": lambda value, suffix: value.endswith(suffix),
        "not ending": lambda value, suffix: not value.endswith(suffix),
        "string": lambda value: True,
    }
)


def _are_strings(value: object) -> bool:
    """Whether a value is a list of names, and not empty: any other entry is the name of nothing."""
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


_ON_VALUES: Mapping[str, Callable[..., bool]] = MappingProxyType(
    {
        "true": lambda value: bool(value),  # as PEFT asks: a nested config that is given at all is an object by then
        "false": lambda value: not value,
        "null": lambda value: value is None,
        "not null": lambda value: value is not None,
        "is": lambda value, other: value == other,
        "none of": lambda value, *others: value not in others,
        "object": lambda value: isinstance(value, dict),
        "strings": _are_strings,
        "empty list": lambda value: value == [],
    }
)


def _two_numbers(test: Callable[..., bool]) -> Callable[..., bool]:
    def on_keys(config: _Config, *keys: str) -> bool:
        values = [config.at(key) for key in keys]
        try:
            return all(map(_is_number, values)) and test(*values)
        except OverflowError:  # an integer of hundreds of digits beside a float
            return False

    return on_keys


def _has_stranger(config: _Config, inner_key: str, outer_key: str) -> bool:
    inner, outer = config[inner_key], config[outer_key]
    return isinstance(inner, list) and isinstance(outer, list) and any(name not in outer for name in inner)


def _has_other_length(config: _Config, key: str, other_key: str) -> bool:
    """CPT takes absent tokens as one token, and absent masks as long enough."""
    tokens, mask = [0] if config[key] is None else config[key], config[other_key]
    return isinstance(tokens, list) and isinstance(mask, list) and len(tokens) != len(mask)


_ON_KEYS: Mapping[str, Callable[..., bool]] = MappingProxyType(
    {
        "present": lambda config, key: key in config,
        "absent": lambda config, key: key not in config,
        "zero": _two_numbers(lambda *values: not any(values)),
        "not zero": _two_numbers(lambda *values: all(values)),
        "indivisible": _two_numbers(lambda value, divisor: value % divisor != 0),
        "more than": _two_numbers(lambda value, other: value > other),
        "not before": _two_numbers(lambda value, other: value >= other),
        "no time between": _two_numbers(lambda start, total, end: start >= total - end),
        "not within": _has_stranger,
        "longer or shorter": _has_other_length,
        "init": lambda config, kind: _init(config) == kind,
    }
)


# LoRA: `tuners/lora/config.py` and `tuners/lora/layer.py`

_INITS = frozenset({"eva", "gaussian", "loftq", "lora_ga", "mica", "olora", "orthogonal"})
_CASELESS_INITS = frozenset({"gaussian", "mica", "olora"})
_PREFIX_INITS = ("corda", "pissa")
_EMBEDDINGS = frozenset(
    {"embed_in", "embed_tokens", "embedding", "embeddings", "shared", "tok_embeddings", "word_embeddings", "wpe", "wte"}
)


def _init(config: _Config) -> str | None:
    """The kind of `init_lora_weights`; `None` if it is no word, or if only embeddings are targeted, which take any."""
    word, targets = config["init_lora_weights"], config["target_modules"]
    if isinstance(targets, list) and targets and all(str(name).split(".")[-1] in _EMBEDDINGS for name in targets):
        return None
    if not isinstance(word, str) or not word:
        return None
    if word.lower() in _CASELESS_INITS:
        return word.lower()
    return next((kind for kind in _PREFIX_INITS if word.startswith(kind)), word if word in _INITS else "unknown")


def _pissa_iterations(config: _Config) -> _Blame | None:
    word = config["init_lora_weights"]
    if _init(config) != "pissa" or word == "pissa":
        return None
    parts = word.split("_niter_")
    if len(parts) != 2:
        text = f"init_lora_weights should be 'pissa' or 'pissa_niter_[number of iters]', got {word} instead."
    elif not re.fullmatch(r"\s*[+-]?\d+(_\d+)*\s*", parts[1]):
        text = f"invalid literal for int() with base 10: {parts[1]!r}"
    else:
        return None
    return "init_lora_weights", text


_VARIANTS = (
    *("alora_invocation_tokens", "arrow_config", "kasa_config", "mica", "monteclora_config", "use_bdlora"),
    *("use_dora", "velora_config"),
)
"""What asks for another kind of LoRA layer, in PEFT's order; `mica` is a word of `init_lora_weights`."""
_OBJECTS = frozenset({"kasa_config", "monteclora_config", "use_bdlora", "velora_config"})
"""Objects by the time they are asked for, so that `{}` counts too; `arrow_config` is one since 0.21 only."""
_REFUSED_BY_NAME = frozenset({"kasa_config", "use_dora", "velora_config"})


def _variant_combination(config: _Config) -> _Blame | None:
    """Two variants never go together, and parameters (`target_parameters`) take none: some of these have own texts."""
    values = {name: config["init_lora_weights"] == "mica" if name == "mica" else config[name] for name in _VARIANTS}
    names = tuple(name for name, value in values.items() if value or (name in _OBJECTS and isinstance(value, dict)))
    allowed = 0 if _are_strings(config["target_parameters"]) else 1
    if len(names) <= allowed or (not allowed and not _REFUSED_BY_NAME.isdisjoint(names)):
        return None
    path = "init_lora_weights" if names[-1] == "mica" else names[-1]
    return path, f"Invalid or unsupported variant combination: {names}"


def _block_diagonal_overlap(config: _Config) -> _Blame | None:
    a, b = (config.at(f"use_bdlora.target_modules_bd_{half}") for half in "ab")
    if not (isinstance(a, list) and isinstance(b, list) and any(name in b for name in a)):
        return None
    return "use_bdlora", f"Found overlapping modules in target_modules_bd lists:{a} (A) and {b} (B)."


_MIRROR_ONLY = (
    *("shadow_num_hidden_layers", "shadow_hidden_size", "shadow_num_attention_heads", "shadow_intermediate_size"),
)


def _mirror_overrides(config: _Config) -> _Blame | None:
    """`tuners/shadow/config.py`."""
    keys = [key for key in _MIRROR_ONLY if config[key] is not None]
    if not keys or not isinstance(config["shadow_model"], str) or config["shadow_model"] == "mirror":
        return None
    start = "Explicit `shadow_model` checkpoints define their architecture; unset these mirror-only overrides: "
    return keys[0], f"{start}{', '.join(keys)}."


def _no_targets(config: _Config) -> _Blame | None:
    """`BaseTuner.inject_adapter`."""
    if config["target_modules"] != [] or config["target_parameters"]:
        return None
    if config["modules_to_save"] or config["exclude_modules"]:  # PEFT's words depend on whether these match something
        return "target_modules", "No modules were targeted for adaptation"
    text = (
        "No `target_modules` passed but also no `target_parameters` found. Please check the values for these arguments."
    )
    return "target_modules", text


_BLAMES: Mapping[str, Callable[[_Config], _Blame | None]] = MappingProxyType(
    {
        "block_diagonal_overlap": _block_diagonal_overlap,
        "mirror_overrides": _mirror_overrides,
        "no_targets": _no_targets,
        "pissa_iterations": _pissa_iterations,
        "variant_combination": _variant_combination,
    }
)
