"""FLT109."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Severity, rule, shown
from adapterlint.lint.fleet import name_all
from adapterlint.words import suggestion


@rule(
    "FLT109",
    Severity.ERROR,
    since="0.1",
    bad=FleetPatch({"german": {}, "french": {}}, activate=(("german", "frensh"),), declared=True),
    good=FleetPatch({"german": {}, "french": {}}, activate=(("german", "french"),), declared=True),
    source="peft/peft_model.py, PeftModel.set_adapter; peft/tuners/tuners_utils.py, BaseTuner.set_adapter",
)
def unknown_adapter_name(fleet: Fleet) -> Iterator[Finding]:
    """A declared order or set names an adapter that the fleet does not have.

    `model.set_adapter` refuses such a name (`ValueError: Adapter ... not found`), but `base_model.set_adapter([...])`,
    which activates several adapters, takes it without a word and goes on as if it were active.

    Write the name as it stands under `adapters` of the fleet, or add the adapter there.
    """
    for name in fleet.unknown:
        near = suggestion(name, [m.name for m in fleet.members])
        where = f"the fleet {shown(fleet.name)}" if fleet.name else "the fleet"
        yield Finding(
            f"There is no adapter {shown(name)} in {where}, which has {name_all(fleet.members)}",
            at=fleet.members[0].adapter.files.at(),
            help=f"Write {shown(near)}." if near else "Add it to `adapters` of the fleet, or take the name out.",
        )
