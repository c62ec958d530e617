"""FLT119."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Patch, Severity, rule
from adapterlint.lint.causes import by_type, first_of, later_of
from adapterlint.lint.fleet import name_all, paths, they

_REPLICATED = Patch(config={"layer_replication": [[0, 1], [0, 1]]})


@rule(
    "FLT119",
    Severity.WARNING,
    since="0.1",
    bad=(FleetPatch({"deep": _REPLICATED, "plain": {}}), FleetPatch({"deep": _REPLICATED, "plain": {}}, base={})),
    good=FleetPatch({"plain": {}, "another": {"layer_replication": None}}),
    source="peft/tuners/lora/model.py, LoraModel._prepare_model",
)
def layer_replication_in_fleet(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """An adapter replicates layers of the base, which all adapters of the model share.

    `layer_replication` rebuilds the stack of layers of the shared base while the adapter is loaded. Every other
    adapter, loaded before or after, then runs on the longer stack and gives other output than alone, without a word; so
    does the model under `disable_adapter()`. Two adapters with the same value replicate the layers twice.

    Load such an adapter into a model of its own.
    """
    for causes in by_type(simulation.about("layer-replication-in-fleet")):
        deep = later_of(causes)
        others = [m for m in first_of(causes) if m not in deep]
        yield Finding(
            f"{they(deep, 'replicates', 'replicate')} layers of the base while loading, which makes the output of "
            f"{name_all(others) or 'each other'} wrong",
            at=deep[0].config.at("layer_replication"),
            help="Load it into a model of its own.",
            adapters=paths((*deep, *others)),
            peft=causes[0].peft,
        )
