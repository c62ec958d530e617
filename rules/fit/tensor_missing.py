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
from adapterlint.lint.tensor_faults import RAISES, Faults, Lacking, faults
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
        groups: dict[tuple[str, str], list[Lacking]] = {}
        for one in found.missing:
            groups.setdefault((one.name, one.beside), []).append(one)
        for (name, beside), group in groups.items():
            yield _finding(name, beside, group, found, config, header, footprint)


def _finding(
    name: str,
    beside: str,
    group: list[Lacking],
    found: Faults,
    config: Config,
    header: WeightsHeader,
    footprint: Footprint,
) -> Finding:
    modules = [one.module for one in group]
    where = f" in {listed(modules, word='modules')}" if modules[0] else ""
    raised = RAISES.get(name)
    nothing = found.idle or (name == "lora_B.weight" and len(modules) == len(header.tensors))
    keys = sorted(group[0].entry.when.keys) if group[0].entry is not None else []
    asked = f", which {listed(keys)} asks for," if keys else ""
    then = f"PEFT raises `{raised}`" if raised else _consequence(name, group[0], config)
    return Finding(
        f"{shown(name)}{asked} is missing beside {shown(beside)}{where}; {then}",
        at=header.at(footprint.names.get((modules[0], beside))),
        help="Save the adapter again from where it was trained.",
        severity=Severity.ERROR if raised or nothing or found.refused else None,
        peft=found.peft,
    )


_LORA = {
    "lora_B.weight": "PEFT keeps it at zero there, so these modules are not changed",
    "lora_A.weight": "PEFT keeps it random there, so these modules are changed at random",
}
_BEGINS = {
    Begins.IDLE: "PEFT keeps the value it begins with",
    Begins.FIXED: "PEFT keeps the value it begins with",
    Begins.NOISE: "PEFT fills it with random numbers",
}


def _consequence(name: str, one: Lacking, config: Config) -> str:
    if config.peft_type == "LORA" and name in _LORA:
        return _LORA[name]
    return _BEGINS[one.entry.begins] if one.entry is not None else "PEFT keeps what the base has"
