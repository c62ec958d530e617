"""FLT114."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Severity, listed, rule
from adapterlint.lint.causes import by_type, first_of, later_of
from adapterlint.lint.fleet import name_all, paths, they


@rule(
    "FLT114",
    Severity.WARNING,
    since="0.1",
    bad=(
        FleetPatch({"pissa": {"init_lora_weights": "pissa"}, "plain": {}}),
        FleetPatch({"a": {"init_lora_weights": "olora"}, "b": {"init_lora_weights": "olora"}}),
    ),
    good=FleetPatch({"eva": {"init_lora_weights": "eva"}, "plain": {}}),
    also=("base-mutating-init",),
    source="peft/tuners/lora/layer.py, LoraLayer.pissa_init and olora_init",
)
def base_mutating_init_in_fleet(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """An initialisation that changes the base runs again when the adapter is loaded beside others.

    PiSSA, OLoRA and LoftQ subtract a part of each weight from the base. An adapter saved without conversion does that
    again whenever it is loaded, so all adapters loaded before and after it work on a changed base and give other
    output than alone, and so does the model under `disable_adapter()`. Of two such adapters, the second one meets the
    base that the first has changed. PEFT warns about `pissa` and `olora` alone, and not about `pissa_niter_N`.

    Convert the adapter to an ordinary one: `save_pretrained(path_initial_model_for_weight_conversion=...)`, which
    writes `init_lora_weights: true` and doubles the rank.
    """
    for causes in by_type(simulation.about("base-mutating-init-in-fleet")):
        changing = later_of(causes)
        others = tuple(m for m in first_of(causes) if m not in changing)
        inits = listed(dict.fromkeys(m.config.get("init_lora_weights") for m in changing))
        yield Finding(
            f"{they(changing, 'changes', 'change')} the base when loaded (`init_lora_weights` is {inits}), which "
            f"makes the output of {name_all(others) or 'each other'} wrong",
            at=changing[0].config.at("init_lora_weights"),
            help="Convert it with `save_pretrained(path_initial_model_for_weight_conversion=...)`, or load it into "
            "a model of its own.",
            adapters=paths((*changing, *others)),
            peft=causes[0].peft,
        )
