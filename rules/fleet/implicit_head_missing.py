"""FLT113."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Patch, Severity, listed, rule, shown
from adapterlint.lint.causes import by_type, first_of, later_of, modules_of, worst
from adapterlint.lint.fleet import paths, they

_CLASSIFIER = Patch(
    config={"task_type": "SEQ_CLS", "modules_to_save": ["classifier", "score"]},
    tensors={"base_model.model.score.weight": ("F32", (2, 16))},
)
_HEADLESS = Patch(config={"task_type": "FEATURE_EXTRACTION"})
_GENERATING = ("CAUSAL_LM", "SEQ_2_SEQ_LM")


@rule(
    "FLT113",
    Severity.WARNING,
    since="0.1",
    bad=(
        FleetPatch({"labels": _CLASSIFIER, "style": _HEADLESS}),
        FleetPatch({"labels": _CLASSIFIER, "style": _HEADLESS}, declared=True, ordered=True),
    ),
    good=FleetPatch({"style": _HEADLESS, "labels": _CLASSIFIER}, declared=True, ordered=True),
    source="peft/peft_model.py, PeftModelForSequenceClassification.add_adapter",
)
def implicit_head_missing(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """A classifier that is loaded first asks every later adapter for a head.

    If the first adapter of a model is a sequence classifier, a token classifier or for question answering
    (`task_type`), PEFT adds `classifier` and `score`, or `qa_outputs`, to the `modules_to_save` of every later adapter.
    Loading one without these tensors raises `KeyError: 'base_model.model.score.weight'`, in all releases. The opposite
    order works, unless the adapter without a head is one for generating text: it cannot be the first one on a
    classification model (`AttributeError: ... has no attribute 'prepare_inputs_for_generation'`).

    Load an adapter without a head first, and declare this `order` in the settings.
    """
    for causes in by_type(simulation.about("implicit-head-missing")):
        first = first_of(causes)
        headless = later_of(causes)
        wanted = modules_of(causes)
        generating = [m for m in headless if m.config.get("task_type") in _GENERATING]
        starters = [m for m in headless if m not in generating]
        severity = worst(causes) or (Severity.ERROR if fleet.declared and not starters else None)
        yield Finding(
            f"{they(first, 'brings', 'bring')} a head ({listed(wanted, word='modules')}) because of `task_type` "
            f"{shown(first[0].config.get('task_type'))}, and {they(headless, 'has', 'have')} none: loading after "
            f"{'it' if len(first) == 1 else 'one of them'} raises `KeyError`",
            at=first[0].config.at("task_type"),
            help=f"Load {shown(starters[0].name)} first."
            if starters
            else "Load them into models of their own: an adapter that generates text cannot come first either.",
            severity=severity,
            adapters=paths((*first, *headless)),
            peft=causes[0].peft,
        )
