"""FLT107."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Member, Patch, Severity, rule
from adapterlint.lint.fleet import name_all, paths, they
from adapterlint.peft.methods import METHODS

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
def several_biases(fleet: Fleet) -> Iterator[Finding]:
    """Several adapters train the biases of the base.

    The biases belong to the base, so PEFT takes at most one adapter whose `bias` is not `"none"`: loading the second
    raises `ValueError: LoraModel supports only 1 adapter with bias`. Before 0.18 it refused any such adapter that was
    not the first one, even where no other has trained biases.

    Set `bias` to `"none"` where the file has no bias tensors; otherwise give such an adapter a model of its own.
    """
    for members in fleet.alike():
        if not METHODS[members[0].peft_type].has_bias:
            continue
        biased = [m for m in members if isinstance(bias := m.config.get("bias"), str) and bias != "none"]
        if not biased:
            continue
        tuner = "`ValueError: ... supports only 1 adapter with bias`"
        if len(biased) > 1:
            yield Finding(
                f"{name_all(biased)} have a `bias` other than `none`, and only one such adapter can be loaded: {tuner}",
                at=biased[0].config.at("bias"),
                help="Load them into models of their own, or set `bias` to `none` where the file has no biases.",
                severity=fleet.severity,
                adapters=paths(biased),
            )
        elif _comes_later(fleet, members, biased[0]):
            yield Finding(
                f"{they(biased, 'has', 'have')} a `bias` other than `none`, so it can only be loaded first: {tuner}",
                at=biased[0].config.at("bias"),
                help="Load it first.",
                severity=fleet.severity if fleet.ordered else None,
                adapters=paths((*biased, *members)),
                peft="<0.18",
            )


def _comes_later(fleet: Fleet, members: tuple[Member, ...], biased: Member) -> bool:
    return not fleet.ordered or members[0] is not biased
