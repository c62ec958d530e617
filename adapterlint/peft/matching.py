"""Which modules a config means: targets and whole modules.

Each function follows one of PEFT's: `check_target_module_exists` (tuners/tuners_utils.py) and `_set_trainable`
(utils/other.py). An answer is `None` where the config alone does not decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, Protocol

from adapterlint.caches import kept
from adapterlint.peft.fields import fields_of
from adapterlint.peft.methods import METHODS
from adapterlint.peft.pattern_keys import MAX_MATCHES, cost_of, is_expression, is_path_at
from adapterlint.peft.patterns import MAX_PATTERNS, Pattern, are_few, pattern
from adapterlint.peft.tasks import IMPLICIT_HEADS

ALL_LINEAR = "all-linear"

# Real lists have some ten entries, or hundreds of whole paths; of longer ones the answer is not worth the time.
MAX_TARGETS = 4096
MAX_WHOLE = 1024

# The number of a layer in a module's path, from PEFT 0.20 on (before, the last number counted).
_FIRST_INDEX = re.compile(r".*?\.[^.]*\.(\d+)\.")
_LAST_INDEX = re.compile(r".*\.[^.]*\.(\d+)\.")
_NAME = re.compile(r"\w+")
_PATH = re.compile(r"[\w.]+")


class _Values(Protocol):
    """A config: the file, or what a release of PEFT made of it."""

    @property
    def peft_type(self) -> str: ...

    def get(self, key: str, default: Any = None, /) -> Any: ...


class Targets:
    """The target modules of one config.

    Args:
        config: The adapter's config.
        last_index: Whether the last number in a path is its layer (PEFT before 0.20) instead of the first.
        rooted: Whether the list of layers may stand at the top of the model (since 0.21).
        saved: The entries of `modules_to_save` that keep a module from being a target; by default all of the config,
            and the heads that a task type adds before it looks for targets.
    """

    __slots__ = (
        "_excluded",
        "_excluded_names",
        "_excluded_tails",
        "_index",
        "_layers",
        "_layers_patterns",
        "_names",
        "_parameter_owners",
        "_pattern",
        "_rooted",
        "_saved",
        "_simple",
        "_tails",
        "_unknown_owner",
    )

    def __init__(
        self,
        config: _Values,
        *,
        last_index: bool = False,
        rooted: bool = True,
        saved: tuple[str, ...] | None = None,
    ) -> None:
        self._rooted = rooted
        fields = fields_of(config.peft_type)
        value = config.get("target_modules")
        method = METHODS.get(config.peft_type)
        if method is not None and not method.matches_targets and isinstance(value, str):
            value = [value]  # a name, compared by suffix
        self._names = frozenset(_strings(value)) if _is_list(value) and len(value) <= MAX_TARGETS else None
        self._tails = _tails(self._names or ())
        text = value if isinstance(value, str) and value.lower() != ALL_LINEAR else None
        self._pattern: Pattern | None = None if text is None else pattern(text)
        excluded = config.get("exclude_modules") if "exclude_modules" in fields else None
        self._excluded: Pattern | None = pattern(excluded) if isinstance(excluded, str) and excluded else None
        self._excluded_names = frozenset(_strings(excluded))
        self._excluded_tails = _tails(self._excluded_names)
        # Of the heads that it adds by itself, those of SEQ_CLS are there before the targets are looked for.
        if saved is None:
            saved = whole_modules(config)
            if config.get("task_type") == "SEQ_CLS":
                saved += IMPLICIT_HEADS["SEQ_CLS"]
        self._saved = Components(saved)
        self._layers = _layers(config.get("layers_to_transform")) if "layers_to_transform" in fields else None
        patterns = config.get("layers_pattern")
        self._layers_patterns = ((patterns,) if patterns else ()) if isinstance(patterns, str) else _strings(patterns)
        self._index = _LAST_INDEX if last_index else _FIRST_INDEX
        parameters = _strings(config.get("target_parameters")) if "target_parameters" in fields else ()
        owners = {p.rpartition(".")[0] for p in parameters} if len(parameters) <= MAX_WHOLE else {""}
        self._unknown_owner = "" in owners  # a bare name may be a parameter of any module
        owners.discard("")
        self._parameter_owners = (*owners, *_tails(owners))
        narrowed = excluded or saved or self._layers is not None or parameters
        self._simple = self._names is not None and not narrowed

    @property
    def decided(self) -> bool:
        """Whether the config names its targets; `all-linear` and the default of a model type need the base."""
        return self._names is not None or self._pattern is not None

    def match(self, module: str) -> bool | None:
        """Whether a module of the base is a target; `None` if that cannot be said from the config alone."""
        if self._simple:
            return module.endswith(self._tails) or module in (self._names or ())
        if any(_ends(module, owner) for owner in self._parameter_owners):
            return True
        found = self._matches(module)
        return None if found is False and self._unknown_owner else found

    def verdict(self, module: str) -> bool | None:
        """Whether a module is a target, as `check_target_module_exists` says it: `None` stands for an excluded one.

        Parameters that are targeted do not count; a pattern that cannot be matched in time matches nothing.
        """
        if self._simple:
            return module.endswith(self._tails) or module in (self._names or ())
        out = self._is_out(module)
        return None if out else bool(out is False and self._is_named(module))

    def why_not(self, module: str) -> str:
        """The key of the config that keeps a module from being a target, for one that is none."""
        if self.is_excluded(module):
            return "exclude_modules"
        if self._saved.cover(module):
            return "modules_to_save"
        named = self._names is not None and module.endswith(self._tails)
        return "layers_to_transform" if named else "target_modules"

    def owns_parameter(self, module: str) -> bool | None:
        """Whether `target_parameters` names a parameter of a module; `None` if it may be one of another module."""
        if any(_ends(module, owner) for owner in self._parameter_owners):
            return True
        return None if self._unknown_owner and not self._matches(module) else False

    def _matches(self, module: str) -> bool | None:
        out = self._is_out(module)
        found = False if out else self._is_named(module)
        return None if found and out is None else found

    def _is_out(self, module: str) -> bool | None:
        excluded = self.is_excluded(module)
        saved = False if excluded else self._saved.cover(module)
        return True if excluded or saved else None if None in (excluded, saved) else False

    def _is_named(self, module: str) -> bool | None:
        if self._names is None:
            return None if self._pattern is None else self._pattern.matches(module)
        if module in self._names:  # PEFT lets a full name pass `layers_to_transform`
            return True
        return module.endswith(self._tails) and self._in_layers(module)

    def is_excluded(self, module: str) -> bool | None:
        """Whether `exclude_modules` takes a module out; `None` if its pattern cannot be matched in time."""
        if self._excluded is not None:
            return self._excluded.matches(module)
        return module in self._excluded_names or module.endswith(self._excluded_tails)

    def _in_layers(self, module: str) -> bool | None:
        if self._layers is None:
            return True
        if len(self._layers_patterns) > MAX_PATTERNS:
            return None
        for name in self._layers_patterns:
            found = _in_layer(name, module, self._rooted)
            if found is None or found:
                return None if found is None else _number(found.group(1)) in self._layers
        index = None if self._layers_patterns else self._index.match(module)
        return index is not None and _number(index.group(1)) in self._layers


class Components:
    """Entries of `modules_to_save` as PEFT compares them with targets: regular expressions for components of a path.

    Args:
        entries: The entries.
    """

    __slots__ = ("_cost", "_left", "_matchers", "_names")

    def __init__(self, entries: Iterable[str]) -> None:
        entries = frozenset(entries)
        others = [entry for entry in entries if not _NAME.fullmatch(entry)]
        self._names = entries.difference(others)  # most are plain names, which are faster
        self._cost = cost_of(others)
        self._left = MAX_MATCHES if are_few(filter(is_expression, others)) else 0
        self._matchers = [_component_matcher(entry) for entry in others] if self._left else []

    def cover(self, module: str) -> bool | None:
        """Whether any entry matches components of a module's path; `None` if that would take too long to find out."""
        if self._names and not self._names.isdisjoint(module.split(".")):
            return True
        if not self._cost:
            return False
        self._left -= self._cost
        if self._left < 0:
            return None
        found = [matches(module) for matches in self._matchers]
        return True if True in found else None if None in found else False


def component_pattern(entry: str) -> str:
    """The regular expression that PEFT makes of an entry of `modules_to_save`, for `re.match`."""
    return rf"(^|.*\.){entry}($|\..*)"


@kept(4096)
def _component_matcher(entry: str) -> Callable[[str], bool | None]:
    """`re.match(component_pattern(entry), module)`, without a regular expression for plain paths."""
    if is_expression(entry):
        return pattern(component_pattern(entry), whole=False).matches
    length = len(entry)

    def matches(module: str) -> bool:
        start = 0
        while start + length <= len(module):
            if module[start + length : start + length + 1] in ("", ".") and is_path_at(entry, module, start):
                return True
            start = module.find(".", start) + 1
            if not start:
                break
        return False

    return matches


def names_module(entry: str, module: str) -> bool:
    """Whether an entry of a list of modules names a module: its whole path, or its last components."""
    return module == entry or module.endswith(f".{entry}")


def idle_entries(entries: Iterable[str], modules: Iterable[str]) -> tuple[str, ...]:
    """The entries of a list of modules that name none of some modules, in their order."""
    left = tuple(dict.fromkeys(entries))
    for module in modules:
        if not left:
            break
        if module.endswith(left):
            left = tuple(entry for entry in left if not names_module(entry, module))
    return left


def whole_modules(config: _Values) -> tuple[str, ...]:
    """The entries of `modules_to_save` as PEFT reads them: a string is a list of its characters."""
    if config.peft_type in METHODS and "modules_to_save" not in fields_of(config.peft_type):
        return ()
    entries = dict.fromkeys(v for v in _strings(config.get("modules_to_save"), characters=True) if v)
    return tuple(entries)[:MAX_WHOLE]


def saved_as(module: str, entries: Iterable[str]) -> str | None:
    """The path of the whole module that a parameter's module belongs to, or `None` if no entry covers it.

    PEFT compares names by plain suffix, and wraps containers too: the parameters of `mlp.down_proj` belong to
    `mlp` if that is what is saved.
    """
    tails = tuple(entries)
    if not tails:
        return None
    end = module.find(".")
    while end != -1:
        if module.endswith(tails, 0, end):
            return module[:end]
        end = module.find(".", end + 1)
    return module if module.endswith(tails) else None


def _in_layer(name: str, module: str, rooted: bool) -> re.Match[str] | Literal[False] | None:
    """Where a module's path has the number of its layer, after a component `name`; `None` if that is undecided."""
    if _PATH.fullmatch(name):
        return _layer_pattern(name, rooted).match(module) or False
    return False if pattern(rf"{_BEFORE[rooted]}{name}\.\d+\.", whole=False).matches(module) is False else None


_BEFORE = {True: r"(?:^|.*?\.)", False: r".*?\."}


@kept(256)
def _layer_pattern(name: str, rooted: bool) -> re.Pattern[str]:
    return re.compile(rf"{_BEFORE[rooted]}{name}\.(\d+)\.")


def _layers(value: Any) -> frozenset[int | float] | None:
    """The layers that a config is limited to; for values of another type, which PEFT refuses, no limit."""
    if isinstance(value, int):
        return frozenset([value])
    if _is_list(value) and value:
        return frozenset(v for v in value if isinstance(v, int | float))
    return None


def _number(digits: str) -> int:
    return int(digits) if len(digits) < 20 else -1


def _is_list(value: Any) -> bool:
    return isinstance(value, list | dict)  # of an object PEFT takes the keys


def _strings(value: Any, *, characters: bool = False) -> tuple[str, ...]:
    if _is_list(value) or (characters and isinstance(value, str)):
        return tuple(v for v in value if isinstance(v, str))
    return ()


def _tails(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f".{name}" for name in names)


def _ends(module: str, owner: str) -> bool:
    return module.endswith(owner) if owner.startswith(".") else module == owner
