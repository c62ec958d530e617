"""FLT102."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Cause, Finding, Fleet, FleetPatch, FleetSimulation, Member, Severity, listed, rule, shown
from adapterlint.lint.example import with_tokens
from adapterlint.lint.fleet import common_rows, common_tokens, each, paths


@rule(
    "FLT102",
    Severity.WARNING,
    since="0.1",
    bad=(
        FleetPatch({"chat": with_tokens(60, 61), "tools": with_tokens(61, 62)}),
        FleetPatch({"chat": with_tokens(60), "tools": with_tokens(60)}, activate=(("chat", "tools"),), declared=True),
    ),
    good=FleetPatch(
        {"plain": {}, "chat": with_tokens(60, 61), "tools": with_tokens(61, 62)},
        activate=(("plain", "chat"), ("plain", "tools")),
        declared=True,
        ordered=True,
    ),
    source="peft/tuners/trainable_tokens/layer.py, TrainableTokensLayer._check_overlapping_tokens",
)
def token_overlap(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """Several adapters replace the same token rows of one module.

    A token row is replaced, not added to, so two adapters that replace the same one exclude each other. Merged
    together, PEFT refuses them (`ValueError: Token indices of adapter ... are already defined and would result in
    undefined merging behavior`); merged one after the other, it refuses them since 0.21, and before the last one wins
    without a word. Activated together, `base_model.set_adapter([...])` raises `ValueError: Only one adapter can be set
    at a time for TrainableTokensWrapper` since 0.18; before, the rows that were active stay in place without a word.
    Adapters of the type TRAINABLE_TOKENS are refused by the forward pass instead. Switching between them works.

    Switch between such adapters, or train again with tokens that no other adapter of the fleet uses.
    """
    for cause in simulation.about("token-overlap"):
        members = cause.later
        for module in common_rows(members, cause.modules):
            common = common_tokens(members, module)
            if common:
                yield Finding(
                    f"{fleet.who(members, declared=cause.declared)} replace the same token rows of {shown(module)} "
                    f"({_rows(members, common)}): {_consequence(cause)}",
                    at=members[0].at_tokens(module),
                    help="Switch between them with `set_adapter`, or train with tokens that no other adapter uses.",
                    severity=cause.severity,
                    adapters=paths(members),
                    peft=cause.peft,
                )


def _rows(members: tuple[Member, ...], common: dict[tuple[Member, ...], list[int]]) -> str:
    if common.keys() == {members}:
        return listed(common[members], word="rows")
    return each({", ".join(map(str, rows)): owners for owners, rows in common.items()})


def _consequence(cause: Cause) -> str:
    pair = "both" if len(cause.later) == 2 else "two of them"
    merging = f"merging {pair} raises `ValueError: Token indices of adapter ... are already defined`"
    if cause.kind == "forward-fails":
        return f"{merging}, and so does every forward pass with {pair} active"
    if cause.error is None:
        return f"{merging}, activating {pair} silently leaves the rows in place that were active before"
    refused = "raises `ValueError: Only one adapter can be set at a time for TrainableTokensWrapper`"
    return f"{merging}, activating {pair} {refused}"
