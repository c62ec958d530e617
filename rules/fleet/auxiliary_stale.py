"""FLT127."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Patch, Severity, listed, rule
from adapterlint.lint.fleet import paths

_HEAD = Patch(config={"modules_to_save": ["lm_head"]}, tensors={"base_model.model.lm_head.weight": ("F32", (64, 16))})


@rule(
    "FLT127",
    Severity.WARNING,
    since="0.1",
    peft="<0.18",
    bad=FleetPatch({"plain": {}, "head": _HEAD}, activate=(("plain", "head"),), declared=True, ordered=True),
    good=FleetPatch({"plain": {}, "more": {"lora_alpha": 8}}, activate=(("plain", "more"),), declared=True),
    source="peft/tuners/tuners_utils.py, BaseTuner.set_adapter; https://github.com/huggingface/peft/pull/2758",
)
def auxiliary_stale(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """Activating a declared set leaves whole modules and token rows as they were active before.

    Before PEFT 0.18 `model.base_model.set_adapter([...])` switches the layers of the method alone. Modules in
    `modules_to_save` and token rows stay those of the adapter that was active before, or of the base, without a word.

    Use PEFT 0.18 or newer, or switch to the adapter that owns the modules with `model.set_adapter` before.
    """
    for cause in simulation.about("auxiliary-stale"):
        if cause.declared:
            yield Finding(
                f"{fleet.who(cause.later, declared=True)}: `base_model.set_adapter` does not switch "
                f"{listed(cause.modules, word='modules')}, which stay as they were active before",
                at=cause.later[0].config.at("peft_type"),
                help="Use PEFT 0.18 or newer, or call `model.set_adapter` with the owner of the modules before.",
                adapters=paths(cause.later),
                peft=cause.peft,
            )
