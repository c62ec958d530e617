"""What PEFT refuses by looking at one config: while the file is read, or while its layers are built on any base.

The checks come from the `__post_init__` and `check_kwargs` of `peft/tuners/*/config.py` (place `"config"`) and from
`update_layer` and its helpers in `peft/tuners/*/layer.py` and `peft/tuners/tuners_utils.py` (place `"injection"`). Each
was seen to raise, with the class and text given here, when an adapter folder with such a config was loaded by PEFT.

Elsewhere: peft_type and task_type, unknown keys and JSON types, ranks, regexes, layers_pattern and layers_to_transform,
token indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from adapterlint.peft.fields import MISSING, fields_of
from adapterlint.peft.methods import METHODS, RELEASES, in_range

Place = Literal["config", "injection"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason for which PEFT does not load an adapter, whatever the base.

    Args:
        pointer: JSON pointer of the value to blame, whether the file has it or PEFT filled in its default.
        error: Name of the exception's class.
        text: The exception's text.
        types: The PEFT types with this check.
        since: First release line that refuses; `"0.10"` means 0.10 or older.
        until: Last one; `None` if the newest still does.
        where: `"config"` if reading `adapter_config.json` raises already, `"injection"` if building the layers does.
    """

    pointer: str
    error: str
    text: str
    types: tuple[str, ...]
    since: str
    until: str | None = None
    where: Place = "config"

    def holds_in(self, release: str) -> bool:
        """Whether PEFT `release` (`"0.18"` or `"0.18.1"`) refuses."""
        return in_range(release, self.since, self.until)


def refusals(peft_type: str, values: Mapping[str, Any], *, release: str | None = None) -> Iterator[Refusal]:
    """Every refusal that a config runs into, in the order in which PEFT would come across them.

    Args:
        peft_type: The config's `peft_type`; nothing is yielded for one that PEFT never had.
        values: The config file. A missing key counts with the default of the newest release; checks that meet a
            value of the wrong type are passed over.
        release: Yield only what this release refuses; without it, what any release does.
    """
    config = _Config(peft_type, values)
    for check in _checks_of(peft_type):
        if (release is None or in_range(release, check.since, check.until)) and check.when(config):
            yield check.refusal(config)


class _Config(dict[str, Any]):
    """The values of one config; what it lacks has its default, and what the type does not know is `None`."""

    def __init__(self, peft_type: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.peft_type = peft_type

    def __missing__(self, key: str) -> Any:
        field = fields_of(self.peft_type).get(key)
        return None if field is None or field.default is MISSING else field.default

    def number(self, path: str) -> float | None:
        """A number, also in a nested config (`eva_config.rho`); `None` for anything else and where it is absent."""
        value = self.at(path)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def at(self, path: str) -> Any:
        outer, _, inner = path.partition(".")
        if not inner:
            return self[outer]
        return self[outer].get(inner) if isinstance(self[outer], dict) else None


_When = Callable[[_Config], bool]


@dataclass(frozen=True, slots=True)
class _Check:
    types: tuple[str, ...]
    path: str | Callable[[_Config], str]
    text: str | Callable[[_Config], str]
    """PEFT's text: a template over the config's values, where `{value}` is the one at `path`."""
    when: _When
    since: str = RELEASES[0]
    until: str | None = None
    where: Place = "config"
    error: str = "ValueError"

    def refusal(self, config: _Config) -> Refusal:
        path = self.path if isinstance(self.path, str) else self.path(config)
        text = self.text(config) if callable(self.text) else self.text.format_map(_Words(config, path))
        pointer = "/" + path.replace(".", "/")
        return Refusal(pointer, self.error, text, self.types, self.since, self.until, self.where)


class _Words(dict[str, Any]):
    def __init__(self, config: _Config, path: str) -> None:
        super().__init__(value=config.at(path), type=config.peft_type)
        self.config = config

    def __missing__(self, key: str) -> Any:
        return self.config[key]


def _checks_of(peft_type: str) -> tuple[_Check, ...]:
    return _BY_TYPE.get(peft_type, ())


def _number(path: str, refused: Callable[[float], bool]) -> _When:
    def when(config: _Config) -> bool:
        number = config.number(path)
        return number is not None and refused(number)

    return when


def _word(path: str, *allowed: str) -> _When:
    return lambda config: isinstance(word := config.at(path), str) and word not in allowed


def _all(*keys: str) -> _When:
    return lambda config: all(config[key] for key in keys)


def _only(condition: _When, *conditions: _When) -> _When:
    return lambda config: condition(config) and all(other(config) for other in conditions)


# LoRA -----------------------------------------------------------------------------------------------------------------

_LORA = ("LORA",)
_LORAS = ("ADALORA", "LORA")
"""`AdaLoraConfig` inherits from `LoraConfig` and runs its checks first."""

_INITS: Mapping[str, str] = {
    **dict.fromkeys(("gaussian", "loftq"), "0.10"),
    **{"pissa": "0.11", "olora": "0.12", "eva": "0.14", "corda": "0.15", "orthogonal": "0.16"},
    **{"lora_ga": "0.19", "mica": "0.20"},
}
"""What `init_lora_weights` may say, and the release line that brought it."""
_CASELESS_INITS = frozenset({"gaussian", "mica", "olora"})
_PREFIX_INITS = ("pissa", "corda")
_EMBEDDINGS = frozenset(
    {"embed_in", "embed_tokens", "embedding", "embeddings", "shared", "tok_embeddings", "word_embeddings", "wpe", "wte"}
)

_VARIANTS = (
    *("alora_invocation_tokens", "arrow_config", "kasa_config", "mica", "monteclora_config", "use_bdlora"),
    *("use_dora", "velora_config"),
)
"""What makes another kind of LoRA layer, in PEFT's order; `mica` is a word of `init_lora_weights`."""


def _init(config: _Config) -> str | None:
    """The kind of `init_lora_weights` where it is a word and is looked at: embeddings take any word."""
    word, targets = config["init_lora_weights"], config["target_modules"]
    if isinstance(targets, list) and targets and all(str(name).split(".")[-1] in _EMBEDDINGS for name in targets):
        return None
    if not isinstance(word, str) or not word:
        return None
    if word.lower() in _CASELESS_INITS:
        return word.lower()
    return next((prefix for prefix in _PREFIX_INITS if word.startswith(prefix)), word)


def _init_is(kind: str) -> _When:
    return lambda config: _init(config) == kind


def _pissa(malformed: Callable[[list[str]], bool]) -> _When:
    """`pissa` itself is fine; any other word that starts so is split at `_niter_`."""
    return lambda config: (
        _init(config) == "pissa"
        and config["init_lora_weights"] != "pissa"
        and malformed(config["init_lora_weights"].split("_niter_"))
    )


def _is_integer(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _is_odd(number: float) -> bool:
    return number > 0 and number % 2 == 1


def _variants(config: _Config) -> tuple[str, ...]:
    mica = config["init_lora_weights"] == "mica"
    return tuple(name for name in _VARIANTS if (mica if name == "mica" else config[name]))


def _variant_path(config: _Config) -> str:
    name = _variants(config)[-1]
    return "init_lora_weights" if name == "mica" else name


def _variant_text(config: _Config) -> str:
    return f"Invalid or unsupported variant combination: {_variants(config)}"


def _targets_parameters(config: _Config) -> bool:
    return isinstance(config["target_parameters"], list) and bool(config["target_parameters"])


def _single_variant(config: _Config) -> bool:
    names = _variants(config)
    return len(names) == 1 and names[0] not in ("kasa_config", "use_dora", "velora_config")


def _previous(release: str) -> str:
    return RELEASES[RELEASES.index(release) - 1]


_NO_LORA_BIAS = "The argument lora_bias=True is "
_PARAM = "lora.ParamWrapper does not work "
_UNKNOWN_INIT = "Unknown initialization init_lora_weights={value!r}"
_EIGENS = (
    "`eigens` attribute not found for layer, please run `preprocess_corda` first. "
    "More information can be found at examples/corda_finetuning/README.md."
)


def _overlap(config: _Config) -> bool:
    halves = [config.at(f"use_bdlora.target_modules_bd_{half}") for half in "ab"]
    lists = [{name for name in names if isinstance(name, str)} for names in halves if isinstance(names, list)]
    return len(lists) == 2 and not lists[0].isdisjoint(lists[1])


def _overlap_text(config: _Config) -> str:
    a, b = (config.at(f"use_bdlora.target_modules_bd_{half}") for half in "ab")
    return f"Found overlapping modules in target_modules_bd lists:{a} (A) and {b} (B)."


_LORA_CONFIG = (
    _Check(
        _LORAS,
        "monteclora_config.num_samples",
        "`num_samples` must be greater than 0.",
        _number("monteclora_config.num_samples", lambda n: n <= 0),
        "0.20",
    ),
)
