"""FLT126."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Patch, Severity, listed, rule
from adapterlint.lint.fleet import name_all, paths, they

_EMBEDDING, _HEAD = "base_model.model.model.embed_tokens.weight", "base_model.model.lm_head.weight"
_TIED = Patch(
    config={"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    tensors={_EMBEDDING: ("F32", (64, 16)), _HEAD: ("F32", (64, 16))},
)


@rule(
    "FLT126",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"de": _TIED, "fr": _TIED}, base={"tie_word_embeddings": True}),
    good=FleetPatch({"plain": {}, "more": {"lora_alpha": 8}}, base={"tie_word_embeddings": True}),
    also=("auxiliary-overlap",),
    source="peft/utils/other.py, _get_module_names_tied_with_embedding; peft/utils/save_and_load.py",
)
def output_changed(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """An adapter gives another output beside others than it gives alone, without a word from PEFT.

    All adapters load, and each can be switched to, but one of them then computes something else than in a fresh
    base, or the base itself does under `disable_adapter()`. Mostly its tensors for tied embeddings reach nothing,
    or those of the base, because another adapter has wrapped the embedding before it. This finding is about changes
    that no other rule explains.

    Load the adapters into models of their own, or in an order in which this does not happen.
    """
    if simulation.partial:  # too little is known of the base
        return
    for cause in simulation.about("output-changed"):
        where = f" in {listed(cause.modules, word='modules')}" if cause.modules else ""
        others = [m for m in cause.first if m not in cause.later] or list(cause.first)
        yield Finding(
            f"{they(cause.later, 'gives', 'give')} another output{where} in one model with {name_all(others)} "
            "than alone"
            if cause.kind == "unfaithful"
            else f"Once {name_all(cause.later)} are loaded, the base itself gives another output, also under "
            "`disable_adapter()`",
            at=cause.later[0].config.at("target_modules" if "target_modules" in cause.later[0].config else "peft_type"),
            help="Load them into models of their own.",
            adapters=paths(cause.members),
            peft=cause.peft,
        )
