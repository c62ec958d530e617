"""The rank that a config gives each module, and the rank that its tensors have.

Where a method keeps its rank was read off adapters that PEFT 0.21.2 saved; a config with another rank was refused for
each of them (`RuntimeError: ... size mismatch`). Methods whose tensors do not show the rank are not in the table.
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
from adapterlint.peft.matching import Targets, is_affordable, matching_keys


@dataclass(frozen=True, slots=True)
class _Ranks:
    """Where the rank of a PEFT type stands.

    Args:
        axes: Parameter -> the dimension that is the rank; all that a module has must agree.
        key: The key of the config.
        patterned: Whether `rank_pattern` changes it.
        factor: The dimension is so many times the rank.
    """

    axes: Mapping[str, int]
    key: str = "r"
    patterned: bool = False
    factor: int = 1


_TYPES: Mapping[str, _Ranks] = {
    "ADALORA": _Ranks({"lora_A": 0, "lora_B": 1, "lora_E": 0}, "init_r"),
    "DEFT": _Ranks({"deft_P": 1, "deft_R": 0}),
    "DELORA": _Ranks({"delora_A": 0, "delora_B": 1}, patterned=True),
    "GLORA": _Ranks({"glora_A.Xd": 1, "glora_A.Xu": 0, "glora_B.Xd": 1, "glora_B.Xu": 0}),
    "GRALORA": _Ranks({"gralora_A": 2, "gralora_B": 1}),
    "HIRA": _Ranks({"hira_A": 0, "hira_B": 1}),
    "HRA": _Ranks({"hra_u": 1}),
    "LILY": _Ranks({"lily_A.weight": 0, "lily_router.weight": 1}),
    "LOHA": _Ranks({"hada_w1_b": 0, "hada_w2_b": 0}, patterned=True),
    "LOKR": _Ranks({"lokr_w2_a": 1, "lokr_w2_b": 0}, patterned=True),
    "LORA": _Ranks(
        {"lora_A.weight": 0, "lora_B.weight": 1, "lora_embedding_A": 0, "lora_embedding_B": 1}, patterned=True
    ),
    "MISS": _Ranks({"miss_block": 0}),
    "PEANUT": _Ranks({"peanut_A.weight": 0, "peanut_B.weight": 1}),
    "POLY": _Ranks({"poly_lora_A": 3, "poly_lora_B": 2}),
    "PSOFT": _Ranks({"psoft_R.vector_a": 0, "psoft_R.vector_b": 0}),
    "PVERA": _Ranks({"pvera_lambda_d": 0}, factor=2),
    "RANDLORA": _Ranks({"randlora_lambda": 0}),
    "TINYLORA": _Ranks({"tinylora_A": 0, "tinylora_B": 1}),
    "VBLORA": _Ranks({"vblora_logits_A": 0, "vblora_logits_A_topk_indices": 0, "vblora_logits_B": 1}),
    "VERA": _Ranks({"vera_lambda_d": 0}),
}
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
    if default is None or patterns is None or _as_the_default_says(config, ranks, default, patterns, footprint):
        return
    if config.peft_type == "LOKR":
        yield from _lokr_misfits(config, ranks, default, patterns, footprint)
        return
    experts = Targets(config) if config.get("target_parameters") else None
    dropped = footprint.untargeted
    for module, parameters in footprint.tuned.items():
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
        if _is_turned(ranks, parameters, expected):
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


def _as_the_default_says(
    config: Config, ranks: _Ranks, default: int, patterns: Mapping[str, Any], footprint: Footprint
) -> bool:
    """Whether all tensors have the rank that holds where no pattern does: nearly always so, and quickly seen."""
    if patterns or config.peft_type in ("LOKR", "MISS"):  # these have a rank that cannot be seen so simply
        return False
    return all(
        len(shape) > axis and shape[axis] == default * ranks.factor
        for parameter, axis in ranks.axes.items()
        for shape in footprint.shapes.get(parameter, ())
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
    if config.peft_type == "ADALORA" or ranks.patterned:
        return value if isinstance(value, dict) else None
    return None if config.peft_type == "HIRA" else {}  # the first HiRA adapter of a model ignores it, others do not


def _expected(
    config: Config, ranks: _Ranks, module: str, default: int, patterns: Mapping[str, Any], actual: int | None
) -> tuple[int | None, tuple[str, ...], str | None]:
    if config.peft_type == "ADALORA":
        for suffix in ("lora_E", "lora_A"):  # after the budget was allocated: one truth value for each initial rank
            kept = patterns.get(f"{module}.{suffix}")
            if isinstance(kept, list):
                return sum(v is True for v in kept), ("rank_pattern", f"{module}.{suffix}"), None
        return (None if patterns else default), (ranks.key,), None
    keys = list(matching_keys(patterns, module))
    if not keys:
        return default, (ranks.key,), None
    better = next((k for k in keys[1:] if patterns[k] == actual and _is_rank(patterns[k])), None)
    first = patterns[keys[0]]
    return (first if _is_rank(first) else None), ("rank_pattern", keys[0]), better


def _actual(config: Config, ranks: _Ranks, parameters: Mapping[str, Tensor]) -> int | None:
    """The rank that the tensors of a module have, if they agree; where they do not, the rank is not what is wrong."""
    found: set[int] = set()
    for parameter, axis in ranks.axes.items():
        tensor = parameters.get(parameter)
        if tensor is None:
            continue
        shape = tensor.shape
        if parameter == "lora_B.weight" and (len(shape) != 2 or config.get("use_bdlora")):
            continue  # groups of a convolution, and blocks, divide it
        if parameter == "miss_block" and len(shape) == 3:
            axis = 1
        if len(shape) <= axis or 0 in shape or shape[axis] % ranks.factor:
            return None
        found.add(shape[axis] // ranks.factor)
    return found.pop() if len(found) == 1 else None


def _is_turned(ranks: _Ranks, parameters: Mapping[str, Tensor], expected: int) -> bool:
    """Whether the only tensor that tells has the expected rank in its other dimension: then it is transposed."""
    shown = [(parameters[p].shape, axis) for p, axis in ranks.axes.items() if p in parameters]
    return len(shown) == 1 and len(shown[0][0]) == 2 and shown[0][0][1 - shown[0][1]] == expected * ranks.factor


def _is_rank(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
