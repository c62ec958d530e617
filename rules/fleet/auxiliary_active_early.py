"""FLT121."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Severity, listed, rule
from adapterlint.lint.causes import by_type, first_of, later_of, modules_of
from adapterlint.lint.example import with_tokens
from adapterlint.lint.fleet import name_all, paths, they

_TIED = {"tie_word_embeddings": True}


@rule(
    "FLT121",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"plain": {}, "chat": with_tokens(60)}, declared=True, ordered=True, base=_TIED),
    good=(
        FleetPatch({"plain": {}, "chat": with_tokens(60)}, declared=True, ordered=True, base={}),
        FleetPatch({"plain": {}, "more": {"lora_alpha": 8}}, declared=True, ordered=True, base=_TIED),
    ),
    source="peft/utils/other.py, set_additional_trainable_modules; https://github.com/huggingface/peft/pull/2758",
)
def auxiliary_active_early(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """A module of an adapter that is loaded later is active at once, though the adapter is not.

    Loading an adapter is not to change which one is active. Before PEFT 0.18 every module in `modules_to_save` and
    every token row of a later adapter is used from the moment it is loaded, so that the model gives neither the
    output of the first adapter nor that of the later one. Since 0.18 this is left over for the tied partner of an
    embedding with token rows, and for prompts with `modules_to_save`.

    Call `model.set_adapter(...)` with the adapter to use after the last one was loaded, even if it is active
    already.
    """
    for causes in by_type(simulation.about("auxiliary-active-early")):
        later = later_of(causes)
        first = first_of(causes)
        modules = modules_of(causes)
        whole = any(cause.roles[1] == "whole" for cause in causes)
        others = [m for m in first if m not in later] or list(first)
        yield Finding(
            f"{they(later, 'is', 'are')} active in {listed(modules, word='modules')} as soon as loaded, while "
            f"{name_all(others)} should be: the output is that of neither",
            at=later[0].at_whole(modules[0]) if whole else later[0].at_tokens(modules[0]),
            help=f"Call `model.set_adapter({others[0].name!r})` after the last load, even if it is active already.",
            adapters=paths((*later, *others)),
            peft=causes[0].peft,
        )
