"""FLT122."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Severity, rule, shown
from adapterlint.lint.fleet import paths
from adapterlint.peft.methods import METHODS


@rule(
    "FLT122",
    Severity.ERROR,
    since="0.1",
    bad=FleetPatch({"v1.5": {}, "v2": {}}, declared=True),
    good=FleetPatch({"v1-5": {}, "v2": {}}, declared=True),
    source="torch/nn/modules/module.py, Module.add_module; peft/peft_model.py, PeftModel.add_adapter",
)
def adapter_name_refused(fleet: Fleet) -> Iterator[Finding]:
    """A declared adapter name is none that a module of torch can have.

    PEFT keeps what each adapter brings in modules that are named like the adapter, and torch takes no name that is
    empty or has a dot: `KeyError: module name can't contain ".", got: v1.5` while the adapter is loaded. Prompts
    have no such modules.

    Choose another name under `adapters` of the fleet: names are free, and need not be those of the folders.
    """
    for member in fleet.members if fleet.declared else ():
        if METHODS[member.peft_type].prompt_learning or (member.name and "." not in member.name):
            continue
        text = 'can\'t contain "."' if member.name else "can't be empty string"
        yield Finding(
            f"No adapter can have the name {shown(member.name)}: `KeyError: module name {text}`",
            at=member.adapter.files.at(),
            help=f"Call it {shown(member.name.replace('.', '-') or 'default')}.",
            adapters=paths([member]),
        )
