"""BAS114."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, ModuleTree, Patch, Severity, counted, listed, rule
from adapterlint.lint.against_base import is_known
from adapterlint.peft.fields import fields_of

_INDEX = re.compile(r"\.(\d+)(?:\.|$)")


@rule(
    "BAS114",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch({"layers_to_transform": [0, 1, 2]}, base={}),
        Patch({"layers_to_transform": [0, 1, 30, 31], "layers_pattern": "layers"}, base={}),
    ),
    good=Patch({"layers_to_transform": [0, 1]}, base={}),
    source="peft/tuners/tuners_utils.py, check_target_module_exists",
)
def layers_out_of_range(config: Config, base: ModuleTree, simulation: AdapterSimulation) -> Iterator[Finding]:
    """`layers_to_transform` has layers that the base does not have.

    PEFT compares the number in a module's path with the list, and passes over numbers that no path has: nothing is said
    as long as any layer is left. Either the adapter was trained on a base with more layers, or the list is wrong, for
    instance counted from 1.

    Load the adapter into the base that it was trained on, or take the numbers out.
    """
    layers = config.get("layers_to_transform")
    listed_layers = layers if isinstance(layers, list) else [layers]
    if not listed_layers or not all(type(i) is int for i in listed_layers) or not is_known(base):
        return
    if "layers_to_transform" not in fields_of(config.peft_type) or all(
        lone.error is not None for lone in simulation.alone.values()
    ):
        return
    numbers = {int(number) for path in base.nodes for number in _INDEX.findall(path) if len(number) < 10}
    beyond = [i for i in listed_layers if i >= 0 and i not in numbers]
    if numbers and beyond:
        yield Finding(
            f"`layers_to_transform` names the {'layer' if len(beyond) == 1 else 'layers'} "
            f"{listed(beyond, word='layers')}, "
            f"but the base has {counted(max(numbers) + 1, 'layer')}, counted from 0",
            at=config.at("layers_to_transform", layers.index(beyond[0]))
            if isinstance(layers, list)
            else config.at("layers_to_transform"),
            help="Take them out, or load the adapter into the base that it was trained on.",
        )
