"""A plan for people and as JSON: the output of `adapterlint plan`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.errors import AdapterlintError
from adapterlint.peft.releases import newest_patch
from adapterlint.planning import ActiveSet, LeftOut, Pair, Plan, Reason
from adapterlint.report.causes import sentence
from adapterlint.report.layers import clean, cut, names, paths
from adapterlint.report.paint import Paint
from adapterlint.report.plan_code import code
from adapterlint.report.plan_operations import DOING, SIGNS, operations, operations_json
from adapterlint.simulation import drawn_problems
from adapterlint.words import counted, redacted

MAX_MATRIX = 16  # groups of alike adapters that are drawn as a matrix
MAX_REASONS = 20
MAX_PAIRS = 6  # pairs that are named for one reason
MAX_SHOWN_SETS = 4
MAX_ORDER = 24  # names in one line

_LETTERS = {"ok": ".", "silent": "w", "refused": "x", "unknown": "?", "untried": "-"}
_BOLD, _RED, _GREEN, _YELLOW = "1", "1;31", "1;32", "1;33"


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan, and what it was made from.

    Args:
        base: The base model that was given.
        peft: Release.
        transformers: Release.
        problems: What could not be read of the base.
    """

    plan: Plan
    adapters: Mapping[str, Adapter]
    tree: ModuleTree
    base: str | None
    peft: str
    transformers: str
    problems: Sequence[AdapterlintError] = ()


def is_fine(plan: Plan) -> bool:
    """Whether all adapters load and give what they give alone."""
    faithful = all(value in ("yes", None) for value in plan.simulated.faithful.values())
    return not plan.left and faithful and plan.simulated.base in ("yes", None)


def plan_text(shown: Shown, *, color: bool = False) -> str:
    """The order, the sets, the pairs and the Python lines."""
    paint, plan = Paint(color), shown.plan
    name = f"on {clean(shown.tree.name)}" if not shown.tree.partial and shown.tree.name else "on a base not at hand"
    versions = f"PEFT {newest_patch(shown.peft)}, transformers {shown.transformers}"
    lines = [f"{counted(len(shown.adapters), 'adapter')} {name}, {versions}", ""]
    lines += [paint(_BOLD, "load order"), *(f"  {line}" for line in _order(plan, paint)), ""]
    lines += [paint(_BOLD, "active together, by model.base_model.set_adapter([...])")]
    lines += [*(f"  {line}" for line in _sets(plan, paint)), ""]
    if plan.operations:
        lines += [paint(_BOLD, "other operations"), *(f"  {line}" for line in operations(plan, set_text, paint)), ""]
    if len(shown.adapters) > 1:
        lines += [paint(_BOLD, "pairs"), *(f"  {line}" for line in _pairs(plan)), ""]
    program = code(plan, shown.adapters, shown.tree, shown.base)
    if program:
        lines += [paint(_BOLD, "python"), "", *program.splitlines()]
    return redacted("\n".join(lines).rstrip() + "\n")


def _order(plan: Plan, paint: Paint) -> Iterator[str]:
    if plan.order:
        more = [f"{len(plan.order) - MAX_ORDER} more, as in the lines below"] if len(plan.order) > MAX_ORDER else []
        yield " > ".join([*(clean(name, 80) for name in plan.order[:MAX_ORDER]), *more])
    tried = "every order was tried" if plan.everything else f"{counted(plan.tries, 'order')} tried"
    if any(why.error is not None for why in plan.left.values()):
        yield paint(_RED, f"no order was found in which all load ({tried})")
    groups: dict[str, list[str]] = {}
    for name, why in plan.left.items():
        groups.setdefault(_left(why), []).append(name)
    for told, who in groups.items():
        yield f"left out {names(who)}: {told}"
    by_fate: dict[str, list[str]] = {}
    for name, value in plan.simulated.faithful.items():
        idle = value == "yes" and not plan.alone[name].expression
        by_fate.setdefault(_fate(value or "unknown", paint) + (", which is no effect" if idle else ""), []).append(name)
    if by_fate:
        yield "then switched to one at a time by model.set_adapter(name):"
    for fate, who in by_fate.items():
        yield f"  {names(who)}: {fate}"
    if plan.simulated.base not in ("yes", None):
        base = plan.simulated.base
        yield "the base is " + paint(_YELLOW, "silently changed" if base == "no" else f"not to be had: {base}")


def _fate(value: str, paint: Paint) -> str:
    if value in ("yes", "no"):
        return paint(_GREEN, "as alone") if value == "yes" else paint(_YELLOW, "silently not as alone")
    return "not known" if value == "unknown" else paint(_RED, f"a forward pass raises {value}")


def _left(why: LeftOut) -> str:
    if why.error is None:
        return "what happens is not known"
    modules = [event.module for event in why.events if event.module] or ([why.error.module] if why.error.module else [])
    others = [why.blocker] if why.blocker else []
    old = names(others) or "those before it"
    told = sentence(why.error.cause, modules=paths(modules), new="it", old=old)
    when = "alone" if why.alone else f"after {old}"
    return f"{when} it raises {clean(f'{why.error.type}: {why.error.text}', 160)}" + (f" ({told})" if told else "")


def _sets(plan: Plan, paint: Paint) -> Iterator[str]:
    for one in plan.together[:MAX_SHOWN_SETS]:
        yield set_text(one)
    if not plan.together:
        yield "no two adapters" if len(plan.order) > 1 else "there is only one adapter to be active"
    if len(plan.together) > MAX_SHOWN_SETS:
        yield f"and at least {len(plan.together) - MAX_SHOWN_SETS} more sets"
    after = plan.simulated.steps[len(plan.order) + len(plan.together) :]
    for one, step in list(zip(plan.accepted, after, strict=True))[:MAX_SHOWN_SETS]:
        kinds = dict.fromkeys(event.kind for event in step.events)
        told = [_told(kind, [e.module for e in step.events if e.kind == kind], "they") for kind in kinds]
        wrong = [name for name in one.names if plan.simulated.faithful[name] == "no"]
        told += [f"silently not as alone: {names(wrong)}"] if wrong else []
        yield f"{set_text(one)}: accepted, but {paint(_YELLOW, '; '.join(told) or 'not as alone')}"
    if plan.bounded:
        yield "there may be larger sets: not all were looked at"


def _told(kind: str, modules: list[str], new: str) -> str:
    return sentence(kind, modules=paths(m for m in modules if m), new=new, old="")


def set_text(one: ActiveSet) -> str:
    """A set in a line."""
    plain = [slot[0] for slot in one.slots if len(slot) == 1]
    choices = [f"one of ({names(slot)})" for slot in one.slots if len(slot) > 1]
    more = [f"{len(plain) - MAX_ORDER} more"] if len(plain) > MAX_ORDER else []
    return " + ".join([*(clean(name, 80) for name in plain[:MAX_ORDER]), *more, *choices])


def _label(group: tuple[str, ...]) -> str:
    return clean(group[0], 40) + (f" (and {len(group) - 1} alike)" if len(group) > 1 else "")


def _pairs(plan: Plan) -> Iterator[str]:
    groups, found = plan.pairs.groups, plan.pairs.found
    if 1 < len(groups) <= MAX_MATRIX or (len(groups) == 1 and (0, 0) in found):
        yield from _matrix(groups, found)
    if not any(pair.reasons for pair in found.values()):
        yield "every two get on, in both orders"
    told = {reason.kind for pair in found.values() for reason in pair.reasons if reason.do == "activate"}
    reasons: dict[str, list[str]] = {}
    for parts, pairs, skipped in [(groups, found, frozenset()), *((o.groups, o.pairs, told) for o in plan.operations)]:
        for label, reason in _labelled(parts, pairs, _refused_alone(plan)):
            if reason.kind not in skipped and label not in (labels := reasons.setdefault(_reason(reason), [])):
                labels.append(label)
    by_pairs: dict[tuple[str, ...], list[str]] = {}
    for said, labels in list(reasons.items())[:MAX_REASONS]:
        by_pairs.setdefault(tuple(labels), []).append(said)
    for pairs_named, every in by_pairs.items():
        yield f"{cut(pairs_named, MAX_PAIRS, 'more pairs')}:"
        yield from (f"    {said}" for said in every)
    if len(reasons) > MAX_REASONS:
        yield f"and {len(reasons) - MAX_REASONS} more reasons; -o json has all"
    if plan.pairs.untried:
        yield f"{counted(plan.pairs.untried, 'pair')} of kinds of adapters not tried: too many"


def _refused_alone(plan: Plan) -> Set[str]:
    return {name for name, why in plan.left.items() if why.alone and why.error is not None}


def _labelled(
    groups: tuple[tuple[str, ...], ...], found: Mapping[tuple[int, int], Pair], broken: Set[str]
) -> Iterator[tuple[str, Reason]]:
    """Each pair that does not work in a few words, with a reason; not that of one that does not load alone either."""
    for (i, j), pair in found.items():
        for reason in pair.reasons:
            if reason.do == "load" and groups[j if reason.who == "later" else i][0] in broken:
                continue
            sides = [groups[i][0], groups[j][0] if i != j else "another alike"]
            both = sorted(sides) if SIGNS[reason.do] == "+" and i != j else sides
            yield f" {SIGNS[reason.do]} ".join(clean(n, 40) for n in both), reason


def _matrix(groups: tuple[tuple[str, ...], ...], found: Mapping[tuple[int, int], Pair]) -> Iterator[str]:
    """A row an adapter that is loaded first; two letters for each that comes later: loads, active together."""
    labels = [_label(group) for group in groups]
    width = max(map(len, labels))
    yield f"{'first':<{width + 4}}later  {' '.join(f'{j + 1:<3}' for j in range(len(groups)))}".rstrip()
    for i, label in enumerate(labels):
        cells = [_cell(found.get((i, j))) for j in range(len(groups))]
        yield f"{i + 1:>2} {label:<{width}}        {' '.join(f'{cell:<3}' for cell in cells)}".rstrip()
    yield "(loads, active together; . works  w silently wrong  x refused  ? not known  - not tried)"


def _cell(pair: Pair | None) -> str:
    return _LETTERS[pair.load] + _LETTERS[pair.together] if pair else ""


def _reason(reason: Reason) -> str:
    new = {"first": "the first", "later": "the later", "both": "both"}[reason.who]
    old = {"first": "the later", "later": "the first", "both": "the other"}[reason.who]
    told = sentence(reason.kind, modules=paths(reason.modules), new=new, old=old)
    do = DOING[reason.do]
    text = reason.text if reason.do in ("load", "switch", "activate") or not told else ""
    error = clean(f"{reason.error}: {text}" if text else reason.error or "", 160)
    return f"{do}: {'; '.join(part for part in (told, error) if part)}"


def plan_json(shown: Shown) -> str:
    """The plan as JSON, in ASCII."""
    plan = shown.plan
    groups = plan.pairs.groups
    value = {
        "peft": newest_patch(shown.peft),
        "transformers": shown.transformers,
        "base": None if shown.tree.partial else shown.tree.name or None,
        "adapters": {name: adapter.path for name, adapter in shown.adapters.items()},
        "order": plan.order,
        "complete": not plan.left,
        "tried": {"orders": plan.tries, "all": plan.everything},
        "left_out": {name: _left_json(why) for name, why in plan.left.items()},
        "faithful": dict(plan.simulated.faithful),
        "base_unchanged": plan.simulated.base,
        "together": [one.slots for one in plan.together],
        "together_silently_wrong": [one.slots for one in plan.accepted],
        "operations": operations_json(plan, reason_json),
        "pairs": [
            {
                "first": groups[i],
                "later": groups[j],
                "load": pair.load,
                "together": pair.together,
                "reasons": [reason_json(reason) for reason in pair.reasons],
            }
            for (i, j), pair in sorted(plan.pairs.found.items())
        ],
        "code": code(plan, shown.adapters, shown.tree, shown.base),
        "problems": [one.model_dump() for one in drawn_problems(shown.problems)],
    }
    return redacted(json.dumps(value, indent=2)) + "\n"


def _left_json(why: LeftOut) -> dict[str, Any]:
    error = {"type": why.error.type, "text": why.error.text} if why.error else None
    return {"alone": why.alone, "after": why.blocker, "error": error}


def reason_json(reason: Reason) -> dict[str, Any]:
    """A reason as JSON."""
    error = {"type": reason.error, "text": reason.text} if reason.error else None
    return {"do": reason.do, "kind": reason.kind, "who": reason.who, "modules": reason.modules, "error": error}
