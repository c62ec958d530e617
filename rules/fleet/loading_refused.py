"""FLT125."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Cause, Finding, Fleet, FleetPatch, FleetSimulation, Patch, Severity, listed, rule, shown
from adapterlint.lint.example import GOOD_TENSORS, RANK
from adapterlint.lint.fleet import name_all, paths

_DIAGONALS = {name.replace("lora_A.weight", "lora_diag"): ("F32", (RANK,)) for name in GOOD_TENSORS if "lora_A" in name}
_KASA = Patch({"kasa_config": {"beta": 0.0001, "gamma": 0.001}}, _DIAGONALS)


@rule(
    "FLT125",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"kasa": _KASA, "plain": {}}),
    good=FleetPatch({"plain": {}, "more": {"lora_alpha": 8}}),
    source="peft/peft_model.py, PeftModel.load_adapter",
)
def loading_refused(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """An adapter that can be loaded alone cannot be loaded, or not be used, after another one.

    PEFT checks a config against those of the adapters that are in the model, and puts its layers into modules that
    other adapters may have changed. This finding is about refusals that no other rule explains; it gives the class
    of the error and what it says. After a refusal the adapter stays behind half loaded, so that a new model has to
    be made.

    Where the opposite order works, load the adapters in that one and declare it as the `order` of the fleet;
    otherwise load them into models of their own.
    """
    for cause in simulation.about("loading-refused"):
        where = f" in {listed(cause.modules, word='modules')}" if cause.modules else ""
        yield Finding(
            f"{name_all(cause.later)} cannot be {_what(cause)} after {name_all(cause.first)}{where}: {_error(cause)}",
            at=cause.later[0].config.at("peft_type"),
            help="Load them into models of their own."
            if cause.hopeless
            else f"Load {name_all(cause.later)} before {name_all(m for m in cause.first if m not in cause.later)}.",
            severity=cause.severity,
            adapters=paths(cause.members),
            peft=cause.peft,
        )


def _what(cause: Cause) -> str:
    return "used" if cause.kind == "forward-fails" else "loaded"


def _error(cause: Cause) -> str:
    if cause.error is None:
        return "an error"
    if cause.kind == "forward-fails":
        return f"every forward pass raises {shown(cause.error.type)}"
    return shown(f"{cause.error.type}: {cause.error.text}" if cause.error.text else cause.error.type)
