"""FLT113."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Member, Patch, Severity, listed, rule, shown
from adapterlint.lint.fleet import paths, they
from adapterlint.peft.matching import IMPLICIT_HEADS

_CLASSIFIER = Patch(
    config={"task_type": "SEQ_CLS", "modules_to_save": ["classifier", "score"]},
    tensors={"base_model.model.score.weight": ("F32", (2, 16))},
)
_HEADLESS = Patch(config={"task_type": "FEATURE_EXTRACTION"})
_GENERATING = ("CAUSAL_LM", "SEQ_2_SEQ_LM")
_HEADLESS_TYPES = (None, "FEATURE_EXTRACTION", *_GENERATING)


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
def implicit_head_missing(fleet: Fleet) -> Iterator[Finding]:
    """A classifier that is loaded first asks every later adapter for a head.

    If the first adapter of a model is a sequence classifier, a token classifier or for question answering
    (`task_type`), PEFT adds `classifier` and `score`, or `qa_outputs`, to the `modules_to_save` of every later adapter.
    Loading one without these tensors raises `KeyError: 'base_model.model.score.weight'`, in all releases. The opposite
    order works, unless the adapter without a head is one for generating text: it cannot be the first one on a
    classification model (`AttributeError: ... has no attribute 'prepare_inputs_for_generation'`).

    Load an adapter without a head first, and declare this `order` in the settings.
    """
    for members in fleet.alike():
        heads = {m: found for m in members if (found := _heads(m))}
        wanted = dict.fromkeys(head for found in heads.values() for head in found)
        headless = [m for m in members if m.config.get("task_type") in _HEADLESS_TYPES and _lacks(m, wanted)]
        if not heads or not headless or (fleet.ordered and members[0] not in heads):
            continue
        first = members[:1] if fleet.ordered else tuple(heads)
        starters = [m for m in headless if m.config.get("task_type") not in _GENERATING]
        severity = Severity.ERROR if fleet.ordered or (fleet.declared and not starters) else None
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
        )


def _heads(member: Member) -> tuple[str, ...]:
    """The heads that it brings because of its task type."""
    task = member.config.get("task_type")
    names = IMPLICIT_HEADS.get(task, ()) if isinstance(task, str) else ()
    return tuple(module for module in member.footprint.modules_to_save if module.endswith(names)) if names else ()


def _lacks(member: Member, heads: dict[str, None]) -> bool:
    """Whether a later adapter has nothing for one of the heads; one that tunes a head is another rule's matter."""
    touched = member.footprint
    return any(
        head not in touched.modules_to_save and head not in touched.plain and not member.tunes(head) for head in heads
    )
