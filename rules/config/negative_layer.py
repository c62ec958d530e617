"""CFG126."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import Config, Finding, Severity, listed, rule, shown
from adapterlint.peft.fields import fields_of


@rule(
    "CFG126",
    Severity.WARNING,
    since="0.1",
    bad={"layers_to_transform": [0, 1, -1]},
    good={"layers_to_transform": [0, 1]},
    source="peft/tuners/tuners_utils.py, check_target_module_exists",
)
def negative_layer(config: Config) -> Iterator[Finding]:
    """`layers_to_transform` has a negative number.

    PEFT compares it with the number in a module's name, so `-1` is no layer at all, not the last one: nothing is
    tuned for it, without a message. If all numbers are negative nothing is tuned and loading ends in `ValueError:
    Target modules ... not found in the base model` (since 0.21 its subclass `NoMatchingPeftModuleError`).

    Count the layers from 0.
    """
    value: Any = config.get("layers_to_transform")
    if "layers_to_transform" not in fields_of(config.peft_type):
        return
    layers = value if isinstance(value, list) else [value]
    numbers = [layer for layer in layers if isinstance(layer, int) and not isinstance(layer, bool)]
    negative = [layer for layer in numbers if layer < 0]
    if not negative or isinstance(config.get("target_modules"), str):
        return
    first = layers.index(negative[0])
    at = config.at("layers_to_transform", first) if isinstance(value, list) else config.at("layers_to_transform")
    nothing = len(negative) == len(layers) and not any("." in name for name in config.strings("target_modules"))
    yield Finding(
        f"`layers_to_transform` counts from 0, so {listed(negative)} {'is' if len(negative) == 1 else 'are'} no "
        f"{'layer' if len(negative) == 1 else 'layers'}" + (" and nothing is tuned" if nothing else ""),
        at=at,
        help=f"Write the last layer as its own number instead of {shown(negative[0])}.",
        severity=Severity.ERROR if nothing and not config.get("target_parameters") else None,
    )
