"""FLT101."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Patch, Severity, listed, rule
from adapterlint.lint.fleet import paths

_HEAD = "base_model.model.lm_head.weight"
_OWNER = Patch(config={"modules_to_save": ["lm_head"]}, tensors={_HEAD: ("F32", (64, 16))})


@rule(
    "FLT101",
    Severity.WARNING,
    since="0.1",
    bad=(
        FleetPatch({"de": _OWNER, "fr": _OWNER}),
        FleetPatch({"de": _OWNER, "fr": _OWNER, "it": {}}, activate=(("de", "fr"),), declared=True),
    ),
    good=(
        FleetPatch({"de": _OWNER, "plain": {}}),
        FleetPatch({"de": _OWNER, "fr": _OWNER, "it": {}}, activate=(("de", "it"),), declared=True),
    ),
    source="peft/utils/other.py, AuxiliaryTrainingWrapper.check_set_adapter; https://github.com/huggingface/peft/pull/2758",
)
def auxiliary_overlap(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """Several adapters bring the same whole module, of which only one copy can be active.

    A module in `modules_to_save` replaces the base's own; two replacements cannot be added up. Since PEFT 0.18
    `model.base_model.set_adapter([...])` refuses two owners of one module (`ValueError: Only one adapter can be set at
    a time for ModulesToSaveWrapper`); before, it said nothing and left in place whichever module had been active.
    `add_weighted_adapter` refuses them since 0.11. Switching from one to the other with `set_adapter` works. Sequence
    and token classifiers bring their `classifier` or `score` without naming it, question answering its `qa_outputs`.

    Switch between such adapters, or give the module to one of them only. A set under `activate` in the settings says
    what is to be active together; without one, all adapters of a base are judged.
    """
    for cause in simulation.about("auxiliary-overlap"):
        members, modules = cause.later, cause.modules
        pair = "both" if len(members) == 2 else "two of them"
        refused = ", and `add_weighted_adapter` refuses them" if members[0].peft_type == "LORA" else ""
        raises = "raises `ValueError: Only one adapter can be set at a time for ModulesToSaveWrapper`" + refused
        silent = "with `base_model.set_adapter` silently leaves the copy in place that was active before"
        yield Finding(
            f"{fleet.who(members, declared=cause.declared)} {'both' if pair == 'both' else 'all'} bring "
            f"{listed(modules, word='modules')} whole: activating {pair} {raises if cause.error else silent}",
            at=members[0].at_whole(modules[0]),
            help="Switch between them with `set_adapter`, or let only one of them bring "
            f"{'it' if len(modules) == 1 else 'these modules'}.",
            severity=cause.severity,
            adapters=paths(members),
            peft=cause.peft,
        )
