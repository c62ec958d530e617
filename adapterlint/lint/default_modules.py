"""The modules of a file that PEFT does not take where a config names no targets."""

from __future__ import annotations

from typing import Any

from adapterlint.adapter import Config
from adapterlint.base.tree import ModuleTree
from adapterlint.caches import remembered
from adapterlint.lint.against_base import is_known
from adapterlint.lint.simulated import AdapterSimulation
from adapterlint.peft.default_targets import default_targets, every_default
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.matching import Targets
from adapterlint.peft.methods import METHODS
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.releases import NEWEST, line_of
from adapterlint.peft.replication import is_there
from adapterlint.peft.simulate import Alone


def resized_by_targets(config: Config, touched: Footprint, simulation: AdapterSimulation | None) -> bool:
    """Whether PEFT refuses what all targets share, which has the sizes of the targets, of which some are missing."""
    shared = METHODS[config.peft_type].top or config.get("proportional_parameters")
    if not shared or not touched.untargeted or simulation is None:
        return False
    return any(one.error is not None and one.error.cause == "size-mismatch" for one in simulation.alone.values())


@remembered(1)
def not_by_default(
    config: Config, touched: Footprint, base: ModuleTree | None, simulation: AdapterSimulation | None
) -> tuple[str, ...]:
    """The modules that the file has tensors for, and that are no targets by default; none if the config names targets.

    Those that the base does not have are another matter.

    Args:
        base: The base, whose type tells what PEFT takes; where it is not known, no base has such a type.
    """
    if config.get("target_modules") is not None or config.get("ensure_weight_tying") or touched.untargeted:
        return ()
    if METHODS[config.peft_type].token_rows:
        return _rows_elsewhere(touched, base, simulation)
    defaults = every_default(config.peft_type)
    modules = tuple(touched.tuned)
    if base is not None and simulation is not None and is_known(base):
        lines = map(line_of, simulation.alone)
        found = [default_targets(config.peft_type, base.model_type, line) for line in lines if defaults]
        if config.get("target_parameters"):  # then no module need be a target
            found = [[] if one is None else one for one in found]
        defaults = tuple(one for one in found if one is not None)
        modules = tuple(m for m in modules if is_there(m, base, config.get("layer_replication")))
    if not defaults:
        return ()
    targets = [_targets(config, one) for one in defaults]
    return tuple(m for m in modules if all(one.match(m) is False for one in targets))


def _rows_elsewhere(
    touched: Footprint, base: ModuleTree | None, simulation: AdapterSimulation | None
) -> tuple[str, ...]:
    """The modules of token rows that are neither the input embeddings nor tied to them, which the base alone names."""
    if base is None or simulation is None:
        return ()
    found = [one for one in simulation.alone.values() if one.loads or _has_no_targets(one)]
    rows = (module for module, tokens in touched.trainable_tokens.items() if tokens.rows is not None)
    return tuple(m for m in rows if found and all(m not in one.tokens for one in found))


def _has_no_targets(lone: Alone) -> bool:
    return lone.error is not None and lone.error.cause == "no-targets"


def _targets(config: Config, names: Any) -> Targets:
    return Targets(OpenedConfig(config.peft_type, {**config.values, "target_modules": names}, NEWEST))
