"""The keys of `rank_pattern` and the like: which of them match a module, and what they give it.

Follows `get_pattern_key` (`peft/utils/other.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any

from adapterlint.caches import kept
from adapterlint.peft.methods.parameter import ANYWHERE, COMPONENTS, OLDEST, Patterned
from adapterlint.peft.patterns import are_few, pattern
from adapterlint.peft.releases import in_range

MAX_MATCHES = 500_000  # keys of a pattern times modules, where a regular expression counts as
PATTERN_COST = 20

_PATH = re.compile(r"[\w.]+")


def is_affordable(patterns: Collection[str], modules: Sized) -> bool:
    """Whether all keys of a pattern can be tried on all modules in a reasonable time."""
    return cost_of(patterns) * len(modules) <= MAX_MATCHES and are_few(filter(is_expression, patterns))


def cost_of(patterns: Iterable[str]) -> int:
    """How much it takes to try keys on a module, in comparisons of plain paths."""
    return sum(PATTERN_COST if is_expression(key) else 1 for key in patterns)


def is_expression(key: str) -> bool:
    """Whether a key is more than a plain path, whose dots stand for any character."""
    return _PATH.fullmatch(key) is None


def matching_keys(patterns: Iterable[str], module: str, form: str = COMPONENTS) -> Iterator[str]:
    """The keys of `rank_pattern` or the like that match a module; the first of them decides.

    Args:
        form: How PEFT matches them.
    """
    if form == COMPONENTS:
        return (key for key in patterns if pattern_matches(key, module))
    before = "(?s:.*?)" if form == ANYWHERE else ""
    return (key for key in patterns if pattern(before + form.format(key), whole=False).matches(module))


def overrides(
    patterns: Mapping[str, Patterned], values: Mapping[str, Any], names: Sequence[str], release: str, *, first: bool
) -> dict[str, Any]:
    """What the patterns of a config give to a module, in place of what holds for all of them.

    Args:
        patterns: What they are of, and where they stand, as in the catalogue of methods.
        values: The config.
        names: The names of the module, of which the first that any key matches decides.
        release: The release that reads the config.
        first: Whether its adapter is the first one of the module.
    """
    found: dict[str, Any] = {}
    for key, patterned in patterns.items():
        given = values.get(patterned.key)
        if not isinstance(given, dict) or not given or (first and not patterned.for_first):
            continue
        if not in_range(release, OLDEST, patterned.until):
            continue
        match = next((one for name in names for one in matching_keys(given, name, patterned.form)), None)
        if match is not None:
            found[key] = given[match]
    return found


def pattern_matches(key: str, module: str) -> bool | None:
    """Whether a key of `rank_pattern` or `alpha_pattern` matches a module; `None` if it takes too long to match."""
    return _matcher(key)(module)


@kept(4096)
def _matcher(key: str) -> Callable[[str], bool | None]:
    """`re.match(rf"(.*\\.)?({key})$", module)`, without a regular expression for plain paths."""
    if is_expression(key):
        return pattern(rf"(.*\.)?({key})$", whole=False).matches
    length = len(key)

    def matches(module: str) -> bool:
        start = len(module) - length
        if start < 0 or (start and module[start - 1] != "."):
            return False
        return is_path_at(key, module, start)

    return matches


def is_path_at(path: str, module: str, start: int) -> bool:
    """Whether a module's path has another one at a place; a dot of the other stands for any character there."""
    if module.startswith(path, start):
        return True
    return all(p in (m, ".") for p, m in zip(path, module[start : start + len(path)], strict=True))
