"""FLT108."""

from __future__ import annotations

from collections.abc import Iterator, Set

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Member, Patch, Severity, listed, rule
from adapterlint.lint.causes import by_type, first_of, later_of
from adapterlint.lint.fleet import name_all, paths, they
from adapterlint.words import counted

_NORM = "base_model.model.model.norm.weight"


@rule(
    "FLT108",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"trained": Patch(tensors={_NORM: ("F32", (16,))}), "plain": {}}),
    good=FleetPatch(
        {"trained": Patch(config={"modules_to_save": ["model.norm"]}, tensors={_NORM: ("F32", (16,))}), "plain": {}}
    ),
    also=("base-weights-in-adapter",),
    source="peft/utils/save_and_load.py, set_peft_model_state_dict",
)
def base_weights_shared(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """An adapter carries weights of the base, which all adapters of the model share.

    A tensor with the name of a parameter of the base is copied into the base while the adapter is loaded. From then
    on every other adapter works on the changed base, and so does the model under `disable_adapter()`; switching or
    deleting the adapter does not bring the old weights back. Of two adapters that carry the same parameter, the one
    loaded last wins. Biases that an adapter has trained (`bias`) are such weights too.

    Name the module in `modules_to_save`, so that PEFT keeps a copy for the adapter, or give the adapter a model of its
    own.
    """
    for causes in by_type(simulation.about("base-weights-shared")):
        carriers = later_of(causes)
        others = tuple(m for m in first_of(causes) if m not in carriers)
        modules = {module for cause in causes for module in cause.modules}
        carried = {m: _carried(m, modules) for m in carriers}
        tensors = list(dict.fromkeys(name for names in carried.values() for name in names))
        header, first = carriers[0].adapter.header, carried[carriers[0]]
        told = f"{counted(len(tensors), 'tensor')} of the base itself ({listed(tensors, word='tensors')})"
        yield Finding(
            f"{they(carriers, 'carries', 'carry')} {told}, "
            f"which changes the base of {name_all(others) or 'the others'} too",
            at=header.at(first[0]) if header is not None and first else carriers[0].adapter.files.at(),
            help="Name the modules in `modules_to_save` of that adapter, or load it into a model of its own.",
            adapters=paths((*carriers, *others)),
            peft=causes[0].peft,
        )


def _carried(member: Member, modules: Set[str]) -> tuple[str, ...]:
    """Its tensors of these modules of the base."""
    names = member.footprint.names
    return tuple(
        names[module, parameter]
        for module, tensors in member.footprint.plain.items()
        if module in modules or f"{module}.base_layer" in modules
        for parameter in tensors
    )
