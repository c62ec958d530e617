"""FLT119."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Patch, Severity, rule
from adapterlint.lint.fleet import name_all, paths, they

_REPLICATED = Patch(config={"layer_replication": [[0, 2], [0, 2]]})


@rule(
    "FLT119",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"deep": _REPLICATED, "plain": {}}),
    good=FleetPatch({"plain": {}, "another": {"layer_replication": None}}),
    source="peft/tuners/lora/model.py, LoraModel._prepare_model",
)
def layer_replication_in_fleet(fleet: Fleet) -> Iterator[Finding]:
    """An adapter replicates layers of the base, which all adapters of the model share.

    `layer_replication` rebuilds the stack of layers of the shared base while the adapter is loaded. Every other
    adapter, loaded before or after, then runs on the longer stack and gives other output than alone, without a word; so
    does the model under `disable_adapter()`. Two adapters with the same value replicate the layers twice.

    Load such an adapter into a model of its own.
    """
    for members in fleet.alike():
        deep = [m for m in members if m.peft_type == "LORA" and m.config.get("layer_replication")]
        others = [m for m in members if m not in deep]
        if deep:
            yield Finding(
                f"{they(deep, 'replicates', 'replicate')} layers of the base while loading, which makes the output of "
                f"{name_all(others) or 'the others'} wrong",
                at=deep[0].config.at("layer_replication"),
                help="Load it into a model of its own.",
                adapters=paths((*deep, *others)),
            )
