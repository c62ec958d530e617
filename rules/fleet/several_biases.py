"""FLT107."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Patch, Severity, rule
from adapterlint.lint.causes import together, worst
from adapterlint.lint.fleet import name_all, paths, they

_BIAS = Patch(
    config={"bias": "lora_only"},
    tensors={
        f"base_model.model.model.layers.{i}.self_attn.{name}.base_layer.bias": ("F32", (16,))
        for i in range(2)
        for name in ("q_proj", "v_proj")
    },
)


@rule(
    "FLT107",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"a": _BIAS, "b": _BIAS}),
    good=FleetPatch({"a": {}, "b": {"bias": "none"}}),
    source="peft/tuners/tuners_utils.py, BaseTuner._check_new_adapter_config",
)
def several_biases(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """Several adapters train the biases of the base.

    The biases belong to the base, so PEFT takes at most one adapter whose `bias` is not `"none"`: loading the second
    raises `ValueError: LoraModel supports only 1 adapter with bias`. Before 0.18 it refused any such adapter that was
    not the first one, even where no other has trained biases.

    Set `bias` to `"none"` where the file has no bias tensors; otherwise give such an adapter a model of its own.
    """
    tuner = "`ValueError: ... supports only 1 adapter with bias`"
    for causes in together(simulation.about("several-biases")):
        members = tuple(dict.fromkeys(m for cause in causes for m in cause.members))
        biased = [m for m in members if m.config.get("bias") not in (None, "none")]
        if len(biased) > len({m for cause in causes for m in cause.first} - set(biased)) > 0 or len(biased) == 1:
            others = [m for m in members if m not in biased]
            yield Finding(
                f"{they(biased, 'has', 'have')} a `bias` other than `none`, so it can only be loaded first: {tuner}",
                at=biased[0].config.at("bias"),
                help="Load it first.",
                severity=worst(causes),
                adapters=paths((*biased, *others)),
                peft=causes[0].peft,
            )
            continue
        yield Finding(
            f"{name_all(biased)} have a `bias` other than `none`, and only one such adapter can be loaded: {tuner}",
            at=biased[0].config.at("bias"),
            help="Load them into models of their own, or set `bias` to `none` where the file has no biases.",
            severity=worst(causes),
            adapters=paths(biased),
            peft=causes[0].peft,
        )
