"""What a plan says of operations besides loading and activation, for people and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from adapterlint.planning import ActiveSet, Operation, Plan, Reason
from adapterlint.report.layers import names
from adapterlint.report.paint import Paint
from adapterlint.words import counted

MAX_SHOWN_SETS = 3

SIGNS = {"load": ">", "switch": ">", "activate": "+", "merge": "+", "weigh": "+", "mix": "+", "swap": "->"}
DOING = {
    "load": "loading",
    "switch": "switching",
    "activate": "both active",
    "merge": "merged",
    "weigh": "weighted",
    "mix": "mixed in a batch",
    "swap": "swapped",
}
"""An operation on a pair -> what stands between the two, and what it is called."""

_CALLS = {
    "merge": "merged while active, by merge_and_unload()",
    "weigh": 'weighted, by add_weighted_adapter(..., combination_type="cat")',
    "mix": "mixed in a batch, by model(..., adapter_names=[...])",
    "swap": "swapped in, by hotswap_adapter(model, ...)",
}
_UNABLE = {
    "merge": "merge_and_unload() is refused",
    "weigh": "no add_weighted_adapter",
    "mix": "adapter_names is of no use",
    "swap": "no hotswap_adapter",
}
_VERDICTS = {
    "ok": "the same",
    "approximate": "near it only",
    "silent": "silently wrong",
    "refused": "refused",
    "unknown": "not known",
}


def operations(plan: Plan, drawn: Callable[[ActiveSet], str], paint: Paint) -> Iterator[str]:
    """A line or more for each operation.

    Args:
        drawn: Draws a set.
    """
    for one in plan.operations:
        if one.able:
            yield from _operation(one, plan, drawn, paint)
    unable = [_UNABLE[one.name] for one in plan.operations if not one.able]
    if unable:
        yield f"with this method {', '.join(unable)}"


def _operation(one: Operation, plan: Plan, drawn: Callable[[ActiveSet], str], paint: Paint) -> Iterator[str]:
    title = _CALLS[one.name] if one.name != "weigh" or one.others else "weighted, by add_weighted_adapter(...)"
    if one.name == "swap":
        yield from _swaps(one, plan, title)
        return
    if set(one.sets) == set(plan.together):
        yield f"{title}: as active together" if one.sets else f"{title}: no two adapters either"
        others = _others(one, 0) if all(len(set(verdicts)) == 1 for verdicts in one.others.values()) else ""
        if others:
            yield f"    {others}"
        return
    yield f"{title}:" + ("" if one.sets else " no two adapters")
    for at, found in enumerate(one.sets[:MAX_SHOWN_SETS]):
        others = _others(one, at)
        yield f"    {drawn(found)}" + (f"; {others}" if others else "")
    if len(one.sets) > MAX_SHOWN_SETS:
        yield f"    and {counted(len(one.sets) - MAX_SHOWN_SETS, 'more set')}"


def _others(one: Operation, at: int) -> str:
    if one.name == "mix":
        alone = at < len(one.others["all"]) and one.others["all"][at] != "ok"
        return "while no other is loaded" if alone else ""
    by: dict[str, list[str]] = {}
    for kind, verdicts in one.others.items():
        if at < len(verdicts):
            by.setdefault(_VERDICTS[verdicts[at]], []).append(f'"{kind}"')
    return ", ".join(f"{' and '.join(kinds)}: {told}" for told, kinds in by.items())


def _swaps(one: Operation, plan: Plan, title: str) -> Iterator[str]:
    if not one.pairs and not one.untried:
        yield f"{title}: each in the place of each other"
        return
    yield f"{title}:" + ("" if one.sets else " none in the place of another")
    for found in one.sets[:MAX_SHOWN_SETS]:
        loaded, takers = found.slots
        others = [name for name in takers if len(loaded) > 1 or name != loaded[0]]
        yield f"    {names(others)} in the place of {names(loaded) if len(loaded) < 2 else f'any of ({names(loaded)})'}"
    if len(one.sets) > MAX_SHOWN_SETS:
        yield f"    and {len(one.sets) - MAX_SHOWN_SETS} more places"


def operations_json(plan: Plan, drawn: Callable[[Reason], Mapping[str, Any]]) -> dict[str, Any]:
    """The operations as JSON: of pairs, those that do not work."""
    return {
        one.name: {
            "able": one.able,
            "sets": [found.slots for found in one.sets],
            "others": dict(one.others),
            "pairs_untried": one.untried,
            "pairs": [
                {
                    "first": one.groups[i],
                    "later": one.groups[j],
                    "outcome": pair.together,
                    "reasons": [drawn(reason) for reason in pair.reasons],
                }
                for (i, j), pair in sorted(one.pairs.items())
            ],
        }
        for one in plan.operations
    }
