"""Which modules a config means: targets, whole modules, ranks.

Each function follows one of PEFT's: `check_target_module_exists` (tuners/tuners_utils.py), `_set_trainable` and
`get_pattern_key` (utils/other.py). An answer is `None` where the config alone does not decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from adapterlint.adapter import Config
from adapterlint.peft.patterns import Pattern, pattern

# What PeftModelFor* adds to modules_to_save by itself (peft_model.py).
IMPLICIT_HEADS: Mapping[str, tuple[str, ...]] = {
    "SEQ_CLS": ("classifier", "score"),
    "TOKEN_CLS": ("classifier", "score"),
    "QUESTION_ANS": ("qa_outputs",),
}
IMPLICIT = frozenset(name for names in IMPLICIT_HEADS.values() for name in names)
ALL_LINEAR = "all-linear"

# The number of a layer in a module's path, from PEFT 0.20 on (before, the last number counted).
_FIRST_INDEX = re.compile(r".*?\.[^.]*\.(\d+)\.")
_NAME = re.compile(r"\w+")
_LAST_INDEX = re.compile(r".*\.[^.]*\.(\d+)\.")


class Targets:
    """The target modules of one config.

    Args:
        config: The adapter's config.
        last_index: Whether the last number in a path is its layer (PEFT before 0.20) instead of the first.
    """

    __slots__ = (
        "_excluded",
        "_index",
        "_layers",
        "_layers_pattern",
        "_named",
        "_names",
        "_pattern",
        "_saved",
        "_within",
    )

    def __init__(self, config: Config, *, last_index: bool = False) -> None:
        value = config.get("target_modules")
        self._names: frozenset[str] | None = frozenset(config.strings("target_modules")) if _is_list(value) else None
        self._named: tuple[str, ...] = tuple(f".{name}" for name in self._names or ())
        text = value if isinstance(value, str) and value.lower() != ALL_LINEAR else None
        self._pattern: Pattern | None = None if text is None else pattern(text)
        self._excluded = config.get("exclude_modules")
        # PEFT takes entries of modules_to_save for regular expressions here; most are plain names, which are faster.
        saved = whole_modules(config)
        self._within = tuple(f".{m}." for m in saved if _NAME.fullmatch(m))
        self._saved = tuple(pattern(rf"(^|.*\.){m}($|\..*)", whole=False) for m in saved if not _NAME.fullmatch(m))
        self._layers = _layers(config.get("layers_to_transform"))
        self._layers_pattern = config.get("layers_pattern")
        self._index = _LAST_INDEX if last_index else _FIRST_INDEX

    @property
    def decided(self) -> bool:
        """Whether the config names its targets; `all-linear` and the default of a model type need the base."""
        return self._names is not None or self._pattern is not None

    def match(self, module: str) -> bool | None:
        """Whether a module of the base is a target; `None` if that cannot be said from the config alone."""
        if (self._excluded and self.is_excluded(module)) or self._is_saved(module):
            return False
        if self._names is None:
            return None if self._pattern is None else self._pattern.matches(module)
        if module in self._names:  # PEFT lets a full name pass `layers_to_transform`
            return True
        return module.endswith(self._named) and self._in_layers(module)

    def is_excluded(self, module: str) -> bool:
        """Whether `exclude_modules` takes a module out."""
        if isinstance(self._excluded, str):
            return bool(self._excluded) and pattern(self._excluded).matches(module) is True
        if not _is_list(self._excluded):
            return False
        return any(isinstance(e, str) and names_module(e, module) for e in self._excluded)

    def _is_saved(self, module: str) -> bool:
        if self._within and any(name in f".{module}." for name in self._within):
            return True
        return any(p.matches(module) for p in self._saved)

    def _in_layers(self, module: str) -> bool:
        if self._layers is None:
            return True
        patterns = [self._layers_pattern] if isinstance(self._layers_pattern, str) else self._layers_pattern
        if not patterns:
            found = self._index.match(module)
        else:
            found = next(filter(None, (_layer_pattern(str(p)).match(module) for p in patterns)), None)
        return found is not None and int(found.group(1)) in self._layers


def names_module(entry: str, module: str) -> bool:
    """Whether an entry of a list of modules names a module: its whole path, or its last components."""
    return module == entry or module.endswith(f".{entry}")


def whole_modules(config: Config) -> tuple[str, ...]:
    """The entries of `modules_to_save` as PEFT reads them: a string is a list of its characters."""
    value = config.get("modules_to_save")
    if isinstance(value, str):
        return tuple(dict.fromkeys(value))
    return tuple(dict.fromkeys(v for v in value if isinstance(v, str) and v)) if _is_list(value) else ()


def saved_as(module: str, entries: Iterable[str]) -> str | None:
    """The path of the whole module that a parameter's module belongs to, or `None` if no entry covers it.

    PEFT compares names by plain suffix, and wraps containers too: the parameters of `mlp.down_proj` belong to
    `mlp` if that is what is saved.
    """
    tails = tuple(entries)
    if not tails:
        return None
    if module.endswith(tails) and "." not in module:
        return module
    end = module.find(".")
    while end != -1:
        if module[:end].endswith(tails):
            return module[:end]
        end = module.find(".", end + 1)
    return module if module.endswith(tails) else None


def pattern_value(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """What `rank_pattern` or `alpha_pattern` gives a module: the first key that matches, else the default.

    Returns:
        The value, or `None` if a key takes too long to match.
    """
    for key, value in patterns.items():
        found = pattern(rf"(.*\.)?({key})$", whole=False).matches(module)
        if found is None:
            return None
        if found:
            return value
    return default


@lru_cache(maxsize=256)
def _layer_pattern(name: str) -> re.Pattern[str]:
    # Tried as a literal where it is no regular expression: the pattern rules tell that it does not compile.
    try:
        return re.compile(rf"(?:^|.*?\.){name}\.(\d+)\.")
    except (re.error, RecursionError, OverflowError):
        return re.compile(rf"(?:^|.*?\.){re.escape(name)}\.(\d+)\.")


def _layers(value: Any) -> frozenset[int] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return frozenset([value])
    if _is_list(value) and value:
        return frozenset(v for v in value if isinstance(v, int))
    return None


def _is_list(value: Any) -> bool:
    return isinstance(value, list)
