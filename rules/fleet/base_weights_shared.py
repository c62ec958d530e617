"""FLT108."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Member, Patch, Severity, listed, rule
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
def base_weights_shared(fleet: Fleet) -> Iterator[Finding]:
    """An adapter carries weights of the base, which all adapters of the model share.

    A tensor with the name of a parameter of the base is copied into the base while the adapter is loaded. From then
    on every other adapter works on the changed base, and so does the model under `disable_adapter()`; switching or
    deleting the adapter does not bring the old weights back. Of two adapters that carry the same parameter, the one
    loaded last wins. Biases that an adapter has trained (`bias`) are such weights too.

    Name the module in `modules_to_save`, so that PEFT keeps a copy for the adapter, or give the adapter a model of its
    own.
    """
    for members in fleet.alike():
        several = sum(bool(m.footprint.biases) for m in members) > 1  # then no two can be loaded, which FLT107 tells
        carried = {m: names for m in members if (names := _carried(m, biases=not several))}
        if not carried:
            continue
        carriers, tensors = list(carried), list(dict.fromkeys(name for names in carried.values() for name in names))
        others = [m for m in members if m not in carried]
        header = carriers[0].adapter.header
        yield Finding(
            f"{they(carriers, 'carries', 'carry')} {counted(len(tensors), 'tensor')} of the base itself "
            f"({listed(tensors, word='tensors')}), which changes the base of {name_all(others) or 'the others'} too",
            at=header.at(carried[carriers[0]][0]) if header is not None else carriers[0].adapter.files.at(),
            help="Name the modules in `modules_to_save` of that adapter, or load it into a model of its own.",
            adapters=paths((*carriers, *others)),
        )


def _carried(member: Member, *, biases: bool) -> tuple[str, ...]:
    """Tensors of the base; not those that PEFT saves along with a tuned embedding, which are mostly unchanged."""
    touched = member.footprint
    return (*(touched.biases if biases else ()), *(name for name in touched.overwrites if ".base_layer." not in name))
