"""FIT121."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import (
    AdapterSimulation,
    Config,
    Finding,
    Footprint,
    ModuleTree,
    Patch,
    Severity,
    WeightsHeader,
    listed,
    rule,
    shown,
)
from adapterlint.lint.example import DROP, HIDDEN, RANK
from adapterlint.lint.places import value_at
from adapterlint.lint.tensor_faults import RAISES, Faults, faults
from adapterlint.lint.written_for import elsewhere, remedy, written_for
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.expected import entry_of
from adapterlint.peft.methods.faults import Unexpected
from adapterlint.peft.releases import spanned

_Q = "base_model.model.model.layers.0.self_attn.q_proj."
_RENAMED: dict[str, Any] = {f"{_Q}lora_A.weight": DROP, f"{_Q}lora_A.weight_old": ("F32", (RANK, HIDDEN))}


@rule(
    "FIT121",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch(tensors=_RENAMED),
        Patch(tensors=_RENAMED, base={}),
        Patch(tensors={f"{_Q}lora_diag": ("F32", (RANK,))}),
    ),
    good=(Patch(), Patch(base={})),
    source="torch's load_state_dict(strict=False), which peft/utils/save_and_load.py calls",
)
def tensor_unexpected(
    config: Config,
    header: WeightsHeader,
    footprint: Footprint,
    base: ModuleTree | None,
    simulation: AdapterSimulation | None,
) -> Iterator[Finding]:
    """A tensor is of no parameter that the config gives its module.

    PEFT builds the parameters that the config asks for, and torch fills those whose names it finds: a tensor under any
    other name is dropped without a word, and what it was meant for keeps the value it begins with. Either the name is
    wrong, or the config lacks the setting with which there is such a parameter (`kasa_config` for `lora_diag`,
    `hybrid_r` for the general factors of GraLoRA, `depth` for the layers of PEANuT).

    A method may also have other parameters in other releases, as OFT has since 0.14 and since 0.16.

    Give the tensor its name, or the config its setting; a tensor that is left over can be taken out.
    """
    for found in faults(config, footprint, header, base, simulation):
        groups: dict[object, list[Unexpected]] = {}
        for one in found.unexpected:
            groups.setdefault(one.keys or (one.near and (one.name, one.near)), []).append(one)
        for group in groups.values():
            names = [one.name for one in group]
            releases = () if group[0].keys else elsewhere(names, config, simulation, found.peft)
            help = remedy(config, written_for(config, footprint, base) or releases) if releases else ""
            yield _finding(group, found, config, header, footprint, spanned(releases) if releases else None, help)


def _finding(
    group: list[Unexpected],
    found: Faults,
    config: Config,
    header: WeightsHeader,
    footprint: Footprint,
    peft: str | None,
    help: str,
) -> Finding:
    one = group[0]
    names = [footprint.names.get((u.module, u.name), u.name) for u in group]
    first = names[0] if names[0] in header.tensors else None
    raises = found.refused or any(u.near in RAISES for u in group)
    severity = Severity.ERROR if found.idle or raises or len(group) == len(header.tensors) else None
    if one.keys:
        said = " and ".join(f"{shown(key)} {_said(config, key)}" for key in one.keys)
        return Finding(
            f"{said}, so no module has a parameter for {listed(names, word='tensors')}, which PEFT drops",
            at=value_at(config, one.keys[0]),
            help=f"Set {listed(one.keys)} to what the adapter was trained with, or take the tensors out.",
            severity=severity,
            peft=found.peft,
        )
    modules = list(dict.fromkeys(u.module for u in group if u.module))
    unlike = list(dict.fromkeys(u.name for u in group))
    alone = len(unlike) == 1
    where = f" of {listed(modules, word='modules')}" if modules else ""
    is_one = "is a parameter" if alone else "are parameters"
    is_none = "is no parameter" if alone else "are no parameters"
    said = f"{is_one} of {config.peft_type} in PEFT {peft} alone" if peft else f"{is_none} of {config.peft_type}"
    near = one.near if not peft else None
    unread = not peft and not near and all(entry_of(METHODS[config.peft_type], name) is not None for name in unlike)
    if unread:
        said = "is not read" if alone else "are not read"
    return Finding(
        f"{listed(unlike)}{where} {said}, so PEFT drops {'it' if alone else 'them'}" + (_lacks(near) if near else ""),
        at=header.at(first),
        help=help or (f"Is {shown(near)} meant? Then give it that name." if near else _REMEDY[unread]),
        severity=severity,
        peft=found.peft,
    )


_REMEDY = {True: "Save the adapter again from where it was trained.", False: "Take it out if it is left over."}
"""Whether a tensor is of a parameter that there is -> what to do."""


def _said(config: Config, key: str) -> str:
    if key not in config:
        return "is missing"
    value = config.get(key)
    return "is not set" if value is None else f"is {shown(value)}"


def _lacks(near: str) -> str:
    return f" and raises `{RAISES[near]}`" if near in RAISES else f" and has nothing for {shown(near)}"
