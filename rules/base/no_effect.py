"""BAS115."""

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
    rule,
)
from adapterlint.lint.against_base import is_known, outcomes, unfilled
from adapterlint.lint.example import DROP
from adapterlint.lint.of_method import is_of_method
from adapterlint.lint.tensor_faults import faults
from adapterlint.lint.tensor_sizes import has_wrong_values
from adapterlint.peft.simulate import Alone
from adapterlint.peft.strays import strays
from adapterlint.words import none_of

_STRAY: dict[str, Any] = {"*": DROP, "prompt_embeddings": ("F32", (20, 16))}


@rule(
    "BAS115",
    Severity.ERROR,
    since="0.1",
    bad=Patch({"init_lora_weights": True}, _STRAY, base={}),
    good=Patch(base={}),
    source="torch's load_state_dict(strict=False), which peft/utils/save_and_load.py calls",
)
def no_effect(
    config: Config, footprint: Footprint, header: WeightsHeader, base: ModuleTree, simulation: AdapterSimulation
) -> Iterator[Finding]:
    """The adapter loads into the base and changes nothing.

    No tensor of the file reaches a parameter that the output depends on: PEFT builds the layers that the config
    names, and they stay as they are initialised, so that the model gives what the base gives.
    `PeftModel.from_pretrained` warns of missing adapter keys since 0.14, `load_adapter` says nothing.

    The config and the weights are of different adapters, or of different methods: put those together that were saved
    together.
    """
    if not is_known(base) or not header.tensors or not _is_untold(config, footprint, header, base):
        return
    if any(one.unexpected or one.missing for one in faults(config, footprint, header, base, simulation)):
        return
    targets = is_of_method(config.peft_type, footprint) and not footprint.foreign
    if targets and any(unfilled(lone, footprint, base) for lone in simulation.alone.values()):
        return
    for _, peft in outcomes(simulation, _is_idle):
        yield Finding(
            f"{none_of(header.tensors)} reaches the base: the adapter loads, and the model gives what the base gives",
            at=header.at(next(iter(header.tensors))),
            help="Put the config and the weights together that were saved together.",
            peft=peft,
        )


def _is_idle(lone: Alone) -> bool | None:
    """`True` if nothing of the file is loaded, and nothing else changes the output."""
    loaded = lone.loaded
    idle = lone.loads and lone.forward is None and not lone.expression and loaded is not None and loaded.unexpected
    return True if idle and loaded is not None and loaded.missing else None


def _is_untold(config: Config, footprint: Footprint, header: WeightsHeader, base: ModuleTree) -> bool:
    """Whether no other rule tells why."""
    if has_wrong_values(config, footprint, base):
        return False
    if footprint.untargeted or any(module not in base.nodes for module in footprint.tuned):
        return False
    if strays(header.tensors, config.peft_type) or any(t.rows is None for t in footprint.trainable_tokens.values()):
        return False
    return bool(footprint.foreign or is_of_method(config.peft_type, footprint) or footprint.overwrites)
