"""The rank that a config gives each module, and the rank that its tensors have.

A dimension that the catalogue says is the rank shows it. A config with another rank is refused (`RuntimeError: ... size
mismatch`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from adapterlint.adapter import Config
from adapterlint.files.safetensors_header import Tensor
from adapterlint.peft.fields import fields_of
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.matching import Targets
from adapterlint.peft.methods import METHODS, Method
from adapterlint.peft.methods.shapes import Term
from adapterlint.peft.pattern_keys import is_affordable, matching_keys
from adapterlint.peft.releases import NEWEST, in_range


@dataclass(frozen=True, slots=True)
class _Axis:
    """A dimension of a parameter that is the rank.

    Args:
        axis: Counted from 0.
        factor: How many times the rank it is.
        capped: Whether sizes of the module may make it smaller.
        unless: Settings with which it may be something else.
    """

    axis: int
    factor: int
    capped: bool
    unless: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Ranks:
    """Where the rank of a PEFT type stands.

    Args:
        key: The key of the config.
        axes: Parameter and how many dimensions it has -> the first one that is the rank; all that a module has must
            agree.
        patterned: Whether `rank_pattern` changes it; `None` if not that of the first adapter of a model.
        masked: Whether `rank_pattern` says which ones are left.
    """

    key: str
    axes: Mapping[tuple[str, int], _Axis]
    patterned: bool | None
    masked: bool


def _ranks_of(method: Method) -> _Ranks | None:
    """What the shapes of a method's parameters show."""
    axes: dict[tuple[str, int], _Axis] = {}
    keys = set[str]()
    newest = method.until or NEWEST
    for kind, one in ((kind, one) for form in method.forms for one in form.parameters for kind in form.on):
        terms = [(axis, size) for axis, size in enumerate(one.shape) if isinstance(size, Term)]
        shown = next(((axis, size) for axis, size in terms if _unless(size) is not None), None)
        if shown is not None and "#" not in one.name and in_range(newest, one.since, one.until):
            axis, size = shown
            rank = _otherwise(size)
            keys |= rank.keys
            unless = _unless(size) or frozenset()
            axes.setdefault((one.name, one.dimensions(kind)), _Axis(axis, rank.ranks, rank.capped, unless))
    pattern = method.patterns_in(NEWEST).get("r")
    patterned = pattern is not None and (pattern.for_first or None)
    return _Ranks(keys.pop(), axes, patterned, method.masks_ranks) if keys else None


def _otherwise(size: Term) -> Term:
    """What a size is where none of its conditions holds."""
    while size.choice is not None:
        size = size.choice[2]
    return size


def _unless(size: Term) -> frozenset[str] | None:
    """The settings with which a size may be something else than the rank; `None` if it never is the rank."""
    if size.choice is None:
        return frozenset() if size.ranks else None
    condition, yes, no = size.choice
    otherwise, then = _unless(no), _unless(yes)
    return None if otherwise is None else otherwise | (condition.keys if then is None else then)


_TYPES: Mapping[str, _Ranks] = {name: ranks for name, method in METHODS.items() if (ranks := _ranks_of(method))}
RANKED = frozenset(_TYPES)
PATTERNED = frozenset(name for name, ranks in _TYPES.items() if ranks.patterned)
"""PEFT types whose `rank_pattern` is a mapping of patterns that PEFT really uses (HiRA's is not)."""


def rank_key(peft_type: str) -> str | None:
    """The key of the config that holds the rank, for types whose tensors show it."""
    ranks = _TYPES.get(peft_type)
    return ranks.key if ranks is not None else None


class Fate(StrEnum):
    """What PEFT does with tensors of another rank."""

    REFUSED = "refused"
    DROPPED = "dropped"  # LoKr may build other parameters for a rank
    NO_MULTIPLE = "no multiple"  # refused: experts have the rank times their number
    MASKED = "masked"  # refused: AdaLoRA has another number of truth values, which is the actual rank


@dataclass(frozen=True, slots=True)
class Misfit:
    """A module whose tensors have another rank than the config gives it.

    Args:
        expected: What the config gives it.
        actual: What its tensors have; `None` if they are not split into factors of any rank (LoKr).
        route: Where in the config `expected` stands, or would stand.
        better: A later key of `rank_pattern` that matches the module too and gives the actual rank.
        fate: What PEFT does with the tensors.
    """

    module: str
    expected: int
    actual: int | None
    route: tuple[str, ...]
    better: str | None = None
    fate: Fate = Fate.REFUSED


def misfits(config: Config, footprint: Footprint) -> Iterator[Misfit]:
    """The modules whose tensors have another rank than the config gives them."""
    ranks = _TYPES.get(config.peft_type)
    if ranks is None:
        return
    default = _default(config, ranks)
    patterns = _patterns(config, ranks)
    if patterns and not is_affordable(patterns, footprint.tuned):
        return
    if default is None or patterns is None:
        return
    if config.peft_type == "LOKR":  # whose tensors may show none
        yield from _lokr_misfits(config, ranks, default, patterns, footprint)
        return
    if _as_the_default_says(ranks, default, patterns, footprint):
        return
    experts = Targets(config) if config.get("target_parameters") else None
    dropped = footprint.untargeted
    for module, parameters in footprint.tuned.items():
        mask = mask_of(module, patterns) if ranks.masked else None
        if mask is not None and len(mask) != default and module not in dropped:
            yield Misfit(module, default, len(mask), (ranks.key,), fate=Fate.MASKED)
            continue
        actual = _actual(config, ranks, parameters)
        if actual is None:
            continue
        expected, route, better = _expected(config, ranks, module, default, patterns, actual)
        if expected == actual:
            continue
        outer = footprint.outer(module)
        if outer != module:
            expected, route, better = _expected(config, ranks, outer, default, patterns, actual)
        if expected is None or expected == actual or module in dropped:
            continue
        if _is_turned(ranks, parameters, expected) or (actual < expected and _is_cut(ranks, parameters)):
            continue
        if experts is None or experts.owns_parameter(module) is False:
            yield Misfit(module, expected, actual, route, better)
        elif not patterns and actual % expected:
            yield Misfit(module, expected, actual, route, fate=Fate.NO_MULTIPLE)


def _lokr_misfits(
    config: Config, ranks: _Ranks, default: int, patterns: Mapping[str, Any], footprint: Footprint
) -> Iterator[Misfit]:
    """LoKr splits its second factor only for ranks below half of the longer side (`LoKrLayer.update_layer`)."""
    dropped = footprint.untargeted
    for module, parameters in footprint.tuned.items():
        left, right, full = (parameters.get(name) for name in ("lokr_w2_a", "lokr_w2_b", "lokr_w2"))
        if module in dropped or "lokr_t2" in parameters:
            continue
        actual = _actual(config, ranks, parameters)
        expected, route, better = _expected(config, ranks, module, default, patterns, actual)
        if expected is None:
            continue
        if left is not None and right is not None and full is None and actual not in (None, expected):
            # Of a convolution only the first side is known, since the kernel is part of the second.
            fate = Fate.DROPPED if expected >= left.shape[0] / 2 else Fate.REFUSED
            yield Misfit(module, expected, actual, route, better, fate)
        elif full is not None and left is None and len(full.shape) == 2 and expected < max(full.shape) / 2:
            yield Misfit(module, expected, None, route, fate=Fate.DROPPED)


def _as_the_default_says(ranks: _Ranks, default: int, patterns: Mapping[str, Any], footprint: Footprint) -> bool:
    """Whether all tensors have the rank that holds where no pattern does: nearly always so, and quickly seen."""
    return not patterns and all(
        (one := ranks.axes.get((parameter, len(shape)))) is None or shape[one.axis] == default * one.factor
        for parameter, shapes in footprint.shapes.items()
        for shape in shapes
    )


def _default(config: Config, ranks: _Ranks) -> int | None:
    """The rank that holds where no pattern does; `None` if PEFT takes no such value."""
    value = config.get(ranks.key) if ranks.key in config else fields_of(config.peft_type)[ranks.key].default
    return value if _is_rank(value) else None


def _patterns(config: Config, ranks: _Ranks) -> Mapping[str, Any] | None:
    """`rank_pattern`, as far as the type uses it; `None` if it cannot be said what it does."""
    value = config.get("rank_pattern")
    if not value:
        return {}
    if ranks.masked or ranks.patterned:
        return value if isinstance(value, dict) else None
    return None if ranks.patterned is None else {}


def _expected(
    config: Config, ranks: _Ranks, module: str, default: int, patterns: Mapping[str, Any], actual: int | None
) -> tuple[int | None, tuple[str, ...], str | None]:
    if ranks.masked:
        mask = mask_of(module, patterns)
        if mask is not None:
            name = next(name for name, value in patterns.items() if value is mask)
            return sum(v is True for v in mask), ("rank_pattern", name), None
        return (None if patterns else default), (ranks.key,), None
    keys = list(matching_keys(patterns, module))
    if not keys:
        return default, (ranks.key,), None
    better = next((k for k in keys[1:] if patterns[k] == actual and _is_rank(patterns[k])), None)
    first = patterns[keys[0]]
    return (first if _is_rank(first) else None), ("rank_pattern", keys[0]), better


def mask_of(module: str, patterns: Mapping[str, Any]) -> list[Any] | None:
    """AdaLoRA, after the budget was allocated: one truth value for each initial rank of a module."""
    found = (patterns.get(f"{module}.{suffix}") for suffix in ("lora_E", "lora_A"))
    return next((one for one in found if isinstance(one, list)), None)


def _actual(config: Config, ranks: _Ranks, parameters: Mapping[str, Tensor]) -> int | None:
    """The rank that the tensors of a module have, if they agree; where they do not, the rank is not what is wrong."""
    found: set[int] = set()
    for parameter, tensor in parameters.items():
        shape = tensor.shape
        one = ranks.axes.get((parameter, len(shape)))
        if one is None or any(config.get(key) for key in one.unless):
            continue
        if 0 in shape or shape[one.axis] % one.factor:
            return None
        found.add(shape[one.axis] // one.factor)
    return found.pop() if len(found) == 1 else None


def _is_turned(ranks: _Ranks, parameters: Mapping[str, Tensor], expected: int) -> bool:
    """Whether the only tensor that tells has the expected rank in its other dimension: then it is transposed."""
    shapes = [(tensor.shape, ranks.axes.get((name, len(tensor.shape)))) for name, tensor in parameters.items()]
    shown = [(shape, one) for shape, one in shapes if one is not None]
    if len(shown) != 1 or len(shown[0][0]) != 2:
        return False
    shape, one = shown[0]
    return shape[1 - one.axis] == expected * one.factor


def _is_cut(ranks: _Ranks, parameters: Mapping[str, Tensor]) -> bool:
    """Whether the rank of a module's tensors is another size of it too, which made it smaller than in the config."""
    shapes = [(tensor.shape, ranks.axes.get((name, len(tensor.shape)))) for name, tensor in parameters.items()]
    shown = [(shape, one.axis) for shape, one in shapes if one is not None and one.capped]
    return any(size == shape[axis] for shape, axis in shown for place, size in enumerate(shape) if place != axis)


def _is_rank(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
