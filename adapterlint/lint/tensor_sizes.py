"""Tensors of another size than they should have, and which rule tells of each: the config's, or that of the base."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from adapterlint.adapter import Config
from adapterlint.base.tree import Kind, ModuleTree
from adapterlint.lint.simulated import AdapterSimulation
from adapterlint.peft.constructors import refusals
from adapterlint.peft.fields import fields_of
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.keys import TOKENS
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.compared import Compared, compared
from adapterlint.peft.methods.expected import entry_of
from adapterlint.peft.methods.misshapen import Misshapen, keys_of
from adapterlint.peft.ranks import Fate, Misfit, misfits, rank_key
from adapterlint.peft.releases import NEWEST

MAY_BE_EMPTY = frozenset({"ADALORA", "FROD", "GLORA", "PSOFT", "SHIRA", "SUPERTUNING"})
"""Types with a rank or a number of values that may be 0: pruned away, nothing chosen, no angle between axes (PSOFT)."""


def wrong_ranks(config: Config, touched: Footprint, base: ModuleTree | None = None) -> Iterator[Misfit]:
    """Modules of which all tensors have another rank than the config gives them."""
    found, rank = list(misfits(config, touched)), rank_key(config.peft_type)
    if not found or rank is None:
        return
    if rank in refused_keys(config):  # and one that is refused as well does not mend it
        found = [m for m in found if rank not in _named(config.peft_type, {**config.values, rank: m.actual})]
    against = compared(config, touched, base)
    wrong: dict[str, list[Misshapen]] = {}
    for other in against.misshapen:
        wrong.setdefault(other.module, []).append(other)
    for one in found:
        mine = wrong.get(one.module, [])
        if one.actual is None and any(m.keys and rank not in m.keys for m in mine):
            continue  # it is not the rank that makes it whole
        bad = {m.name for m in mine}
        ranked = [n for n in touched.tuned[one.module] if rank in against.keys_behind(one.module, n)]
        if one.fate is not Fate.DROPPED and any(m.turned for m in mine) and any(name not in bad for name in ranked):
            continue
        yield one


def wrong_sizes(
    config: Config, touched: Footprint, base: ModuleTree | None, simulation: AdapterSimulation | None
) -> list[Misshapen]:
    """What contradicts the config, or the rest of its module; ranks and token rows apart, which have their own rules.

    Args:
        base: Its base, which another rule compares sizes with, where it is known what PEFT does.
    """
    if is_refused(config):
        return []
    against, rank = compared(config, touched, base), rank_key(config.peft_type)
    modules, everywhere = _ranked(config, touched, base)
    refused = refused_keys(config, simulation)
    decided = simulation is not None and all(lone.known for lone in simulation.alone.values())
    loads = decided and simulation is not None and all(lone.loads for lone in simulation.alone.values())
    incomplete = {m.module for m in against.missing} | {
        u.module for u in against.unexpected
    }  # what is left may be another form
    found = []
    for one in against.misshapen:
        if (not one.keys and one.module in incomplete) or not refused.isdisjoint(one.keys):
            continue
        ranked = rank in one.keys and (everywhere or one.module in modules)
        if loads and _is_sized(one.module, config, base) and not _is_loose(one, config):
            continue  # a size that is wrong would be refused
        if _is_loose(one, config) and _is_passed_over(one.module, base):
            continue
        sure = one.keys or not decided or (one.turned and _any_keys(one, against)) or _is_loose(one, config)
        if sure and not ranked and TOKENS not in one.name:
            found.append(one)
    return found


def _is_sized(module: str, config: Config, base: ModuleTree | None) -> bool:
    """Whether the base tells what sizes PEFT asks for in a module, or of a prompt."""
    if base is None or base.partial:
        return False
    if not module:
        return METHODS[config.peft_type].prompt_learning and bool(base.config)
    node = base.nodes.get(module)
    return node is not None and node.certain and bool(node.parameters)


def _is_passed_over(module: str, base: ModuleTree | None) -> bool:
    """Whether no forward pass calls a layer: `MultiheadAttention` takes the weight of its projection itself."""
    around = base.nodes.get(module.rpartition(".")[0]) if base is not None else None
    return around is not None and around.kind is Kind.ATTENTION


def explained(config: Config, touched: Footprint, base: ModuleTree | None) -> Callable[[str, str], bool]:
    """Whether the config alone tells why a tensor (its module, its name there) has another size than in the base."""
    against, rank = compared(config, touched, base), rank_key(config.peft_type)
    modules, everywhere = _ranked(config, touched, base)
    method = METHODS[config.peft_type]
    wrong = {(one.module, one.name) for one in against.misshapen if one.keys}
    keys: dict[str, set[str]] = {module: {rank} for module in modules if rank is not None}
    if everywhere and rank is not None:
        keys[""] = {rank}
    for one in against.misshapen:
        blamed = one.keys if one.text in one.keys else [key for key in one.keys if key not in config]
        if not one.turned:
            keys.setdefault(one.module, set()).update(blamed)
    told = {key for of in keys.values() for key in of}

    def tells(module: str, name: str) -> bool:
        depends = against.keys_behind(module, name) or keys_of(entry_of(method, name))
        own = keys.get(module, set()) if module else told
        return (module, name) in wrong or bool(depends & (own | keys.get("", set())))

    return tells


def has_wrong_values(config: Config, touched: Footprint, base: ModuleTree | None) -> bool:
    """Whether a value of the config is told not to be that of the tensors."""
    return has_wrong_rank(config, touched, base) or any(one.keys for one in compared(config, touched, base).misshapen)


def has_wrong_rank(config: Config, touched: Footprint, base: ModuleTree | None) -> bool:
    """Whether the rank of the config is told not to be that of the tensors."""
    return bool(_ranked(config, touched, base)[0])


def refused_keys(config: Config, simulation: AdapterSimulation | None = None) -> frozenset[str]:
    """The keys of the config of which it is told that PEFT refuses their values: what follows from these is not told.

    Args:
        simulation: The adapter in its base, if there is one at hand.
    """
    found = _named(config.peft_type, config.values)
    for lone in simulation.alone.values() if simulation is not None else ():
        found |= lone.error.keys if lone.error is not None else set()
    return frozenset(found)


def _named(peft_type: str, values: Mapping[str, Any]) -> set[str]:
    """The keys that refusals of a config name."""
    known, found = fields_of(peft_type), set[str]()
    for one in refusals(peft_type, values, release=NEWEST):
        found |= {one.pointer.split("/")[1], *(word for word in re.findall(r"\w+", one.text) if word in known)}
    return found


def is_refused(config: Config) -> bool:
    """Whether PEFT does not take the config, whatever the tensors are."""
    rank = config.get("r") if "r" in fields_of(config.peft_type) else None
    if isinstance(rank, int) and not isinstance(rank, bool) and rank <= 0 and not METHODS[config.peft_type].zero_rank:
        return True  # no layer is built
    return any(one.where == "config" for one in refusals(config.peft_type, config.values, release=NEWEST))


def _ranked(config: Config, touched: Footprint, base: ModuleTree | None) -> tuple[frozenset[str], bool]:
    """The modules of which it is told that all tensors have another rank, and whether it is the rank of all modules."""
    found = list(wrong_ranks(config, touched, base))
    return frozenset(one.module for one in found), any(len(one.route) == 1 for one in found)


def breaks_forward_pass(config: Config, touched: Footprint, base: ModuleTree | None) -> bool:
    """Whether a tensor is told to be of a size with which PEFT loads it, and a forward pass raises."""
    return any(_is_loose(one, config) for one in compared(config, touched, base).misshapen)


def _is_loose(one: Misshapen, config: Config) -> bool:
    entry = entry_of(METHODS[config.peft_type], one.name)
    return entry is not None and bool(entry.loose)


def _any_keys(one: Misshapen, against: Compared) -> bool:
    return any(other.keys for other in against.misshapen if (other.module, other.name) == (one.module, one.name))
