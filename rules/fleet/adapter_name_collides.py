"""FLT123."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Severity, rule, shown
from adapterlint.lint.fleet import Member, name_all, paths
from adapterlint.peft.methods import METHODS


@rule(
    "FLT123",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"0": {}, "german": {}}, declared=True),
    good=(FleetPatch({"zero": {}, "german": {}}, declared=True), FleetPatch({"0": {}, "1": {}})),
    source="peft/utils/save_and_load.py, get_peft_model_state_dict; https://github.com/huggingface/peft/issues/3584",
)
def adapter_name_collides(fleet: Fleet) -> Iterator[Finding]:
    """A declared adapter name is part of the names of tensors, so that saving loses some of them.

    To save one adapter, PEFT takes the names of the others for a sign of what is not its own. Since 0.20 it drops
    from the file of an adapter every tensor whose name has the name of another adapter as a component: with an
    adapter called `0`, `layers` or `self_attn` beside it, the file of each other one is incomplete, and the next
    time that it is loaded PEFT says no more than that keys are missing. Up to 0.17 the file of the adapter itself
    is spoiled, also if its name is the method's prefix (`lora`).

    Choose another name under `adapters` of the fleet.
    """
    if not fleet.declared:
        return
    for members in fleet.alike():
        for member in members:
            others = [m for m in members if m is not member and _drops(member.name, m)]
            if others:
                yield Finding(
                    f"The name {shown(member.name)} is part of the names of tensors of {name_all(others)}: "
                    "`save_pretrained` drops these tensors",
                    at=member.adapter.files.at(),
                    help="Choose another name for it.",
                    adapters=paths((member, *others)),
                    peft=">=0.20",
                )
            if _spoils(member):
                yield Finding(
                    f"The name {shown(member.name)} is part of the names of its own tensors, or of the prefix of "
                    f"{shown(member.peft_type)}: `save_pretrained` writes them under wrong names",
                    at=member.adapter.files.at(),
                    help="Choose another name for it.",
                    adapters=paths([member]),
                    peft="<0.18",
                )


def _components(member: Member) -> frozenset[str]:
    tensors = member.adapter.header.tensors if member.adapter.header is not None else ()
    return frozenset(part for name in tensors for part in name.split(".")[1:])


def _drops(name: str, member: Member) -> bool:
    """Whether some tensors of an adapter have a name in theirs; where all have it, PEFT keeps all."""
    tensors = member.adapter.header.tensors if member.adapter.header is not None else ()
    if name not in _components(member):
        return False
    return not all(f".{name}." in tensor or tensor.endswith(f".{name}") for tensor in tensors)


def _spoils(member: Member) -> bool:
    prefix = METHODS[member.peft_type].prefix or ""
    return bool(member.name) and (member.name in _components(member) or member.name == prefix.rstrip("_"))
