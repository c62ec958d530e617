"""FLT116."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Member, Patch, Severity, listed, rule
from adapterlint.lint.fleet import paths, shared
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.method import Together
from adapterlint.peft.methods.shapes import Ground

_MODULES = [f"model.layers.{i}.self_attn.{name}" for i in range(2) for name in ("q_proj", "v_proj")]
_DORA = Patch(
    config={"use_dora": True},
    tensors={f"base_model.model.{module}.lora_magnitude_vector": ("F32", (16,)) for module in _MODULES},
)
_REASONS = {
    Together.ORDER: "each works on the output of the one before, so that another order gives another output",
    Together.FIRST: "only the first adapter of the set is used",
}
_DORA_REASON = "DoRA works on the weights with the adapters before it, so that another order gives another output"


@rule(
    "FLT116",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"dora": _DORA, "plain": {}}, activate=(("dora", "plain"),), declared=True),
    good=(
        FleetPatch({"dora": _DORA, "plain": {}}),
        FleetPatch({"a": {}, "b": {}}, activate=(("a", "b"),), declared=True),
    ),
    source="peft/tuners/lora/dora.py, DoraLinearLayer.forward; peft/tuners/oft/layer.py, Linear.forward",
)
def activation_order(fleet: Fleet) -> Iterator[Finding]:
    """What adapters of a declared set give together depends on the order in which the set names them.

    Most methods add up, so that the order of the names does not matter. DoRA takes the norm of the weights with
    the adapters before it, OFT, BOFT, HRA, C3A and ROAD (`road_2`, `road_4`) work on the output of the one
    before, and of OSF only the first adapter of the set is used at all. `base_model.set_adapter(["a", "b"])` and
    `(["b", "a"])` then give different output where both tune the same module, and none need be what was trained.

    Keep to one order everywhere, or activate such adapters alone.
    """
    for company in fleet.companies():
        method = METHODS[company.members[0].peft_type]
        reason = _DORA_REASON if method.name == "LORA" else _REASONS.get(method.together)
        if not company.declared or reason is None:
            continue
        together = shared(company.members, lambda m: filter(m.tunes, m.footprint.tuned))
        groups = {members: modules for members, modules in together.items() if _matters(members)}
        if groups:
            members = tuple(m for m in company.members if any(m in those for those in groups))
            modules = [module for those in groups.values() for module in those]
            key = "use_dora" if members[0].peft_type == "LORA" else "peft_type"
            first = next((m for m in members if key in m.config), members[0])
            yield Finding(
                f"{company.who(members)} tune the same modules ({listed(modules, word='modules')}), where {reason}",
                at=first.config.at(key),
                help="Name them in the same order everywhere, or activate one at a time.",
                adapters=paths(members),
            )


def _matters(members: tuple[Member, ...]) -> bool:
    in_order = METHODS[members[0].peft_type].in_order
    return any(in_order.of(Ground(m.config.values)) for m in members)
