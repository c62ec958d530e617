"""FIT120."""

from __future__ import annotations

from collections.abc import Iterator

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
from adapterlint.lint.example import DROP
from adapterlint.lint.tensor_faults import RAISES, Faults, Lacking, faults, misplaced
from adapterlint.peft.methods.parameter import Begins

_Q = "base_model.model.model.layers.0.self_attn.q_proj."


@rule(
    "FIT120",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch(tensors={f"{_Q}lora_B.weight": DROP}),
        Patch(tensors={f"{_Q}lora_A.weight": DROP}),
        Patch(tensors={f"{_Q}lora_B.weight": DROP}, base={}),
    ),
    good=(Patch(), Patch(base={})),
    source="peft/peft_model.py, PeftModel.from_pretrained: missing keys are a warning",
)
def tensor_missing(
    config: Config,
    header: WeightsHeader,
    footprint: Footprint,
    base: ModuleTree | None,
    simulation: AdapterSimulation | None,
) -> Iterator[Finding]:
    """A module lacks a tensor that its method has there.

    PEFT saves all parameters of a module, and of what stands once beside the modules: `lora_A` and `lora_B` in LoRA,
    the vectors and the projections in VeRA. If the file lacks one, PEFT keeps the value the layer began with: a missing
    `lora_B` is zero, so the module is not changed at all; a missing `lora_A` is random, so the trained `lora_B` is
    multiplied with noise, another one at each load. `from_pretrained` warns "Found missing adapter keys" since 0.14,
    `load_adapter` says nothing. A few are asked for: without its projection VeRA raises a `ValueError`.
    Such files come from shards that were put together badly, from filters on names, and from extraction tools.

    Save the adapter again from where it was trained; what is missing cannot be computed from the rest.
    """
    for found in faults(config, footprint, header, base, simulation):
        by_name: dict[tuple[str, str], list[Lacking]] = {}
        for one in found.missing:
            by_name.setdefault((one.name, one.beside), []).append(one)
        groups: dict[object, list[list[Lacking]]] = {}  # names that the same modules lack, for the same reason
        for (_, beside), group in by_name.items():
            key = beside, tuple(one.module for one in group), _settings(group[0])
            groups.setdefault(key, []).append(group)
        for names in groups.values():
            yield _finding(names, found, config, header, footprint)


def _settings(one: Lacking) -> tuple[str, ...]:
    return tuple(sorted(one.entry.when.keys)) if one.entry is not None else ()


def _finding(
    groups: list[list[Lacking]], found: Faults, config: Config, header: WeightsHeader, footprint: Footprint
) -> Finding:
    lacking, modules = [group[0] for group in groups], [one.module for one in groups[0]]
    names, beside, keys = [one.name for one in lacking], lacking[0].beside, _settings(lacking[0])
    raised = list(dict.fromkeys(RAISES[name] for name in names if name in RAISES))
    where = f" in {listed(modules, word='modules')}" if modules[0] else ""
    nothing = found.idle or (names == ["lora_B.weight"] and len(modules) == len(header.tensors))
    asked = f", which {listed(keys)} {'asks' if len(keys) == 1 else 'ask'} for," if keys else ""
    near = f" beside {shown(beside)}" if beside else ""
    then = f"PEFT raises {listed(raised)}" if raised else "; ".join(_consequences(lacking, config))
    return Finding(
        f"{listed(names)}{asked} {'is' if len(names) == 1 else 'are'} missing{near}{where}; {then}",
        at=header.at(footprint.names.get((modules[0], beside))),
        help=_remedy(names, modules, config, footprint),
        severity=Severity.ERROR if raised or nothing or found.refused else None,
        peft=found.peft,
    )


def _remedy(names: list[str], modules: list[str], config: Config, footprint: Footprint) -> str:
    elsewhere = misplaced(config.peft_type, footprint) if not modules[0] else {}
    found = [name for name, own in elsewhere.items() if own in names]
    if found:
        own = listed(f"base_model.{elsewhere[name]}" for name in found)
        return f"Rename {listed(found)} to {own}: that is where PEFT looks for {'it' if len(found) == 1 else 'them'}."
    return "Save the adapter again from where it was trained."


_LORA = {
    "lora_B.weight": "PEFT keeps it at zero there, so these modules are not changed",
    "lora_A.weight": "PEFT keeps it random there, so these modules are changed at random",
}
_BEGINS = {
    Begins.IDLE: "PEFT keeps {what they begin} with",
    Begins.FIXED: "PEFT keeps {what they begin} with",
    Begins.NOISE: "PEFT fills {them} with random numbers",
}


def _consequences(lacking: list[Lacking], config: Config) -> Iterator[str]:
    """What PEFT does without them, those together of which it does the same."""
    alike: dict[str, list[str]] = {}
    for one in lacking:
        alike.setdefault(_consequence(one, config), []).append(one.name)
    for then, names in alike.items():
        them, they_begin = ("it", "it begins") if len(names) == 1 else ("them", "they begin")
        if len(alike) > 1:
            them, they_begin = listed(names), f"{listed(names)} {'begins' if len(names) == 1 else 'begin'}"
        value = "the value" if len(names) == 1 else "the values"
        yield then.replace("{what they begin}", f"{value} {they_begin}").replace("{them}", them)


def _consequence(one: Lacking, config: Config) -> str:
    if config.peft_type == "LORA" and one.name in _LORA:
        return _LORA[one.name]
    return _BEGINS[one.entry.begins] if one.entry is not None else "PEFT keeps what the base has"
