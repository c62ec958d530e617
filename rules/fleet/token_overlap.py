"""FLT102."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Member, Severity, listed, rule, shown
from adapterlint.lint.example import with_tokens
from adapterlint.lint.fleet import common_tokens, each, paths, shared


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
def token_overlap(fleet: Fleet) -> Iterator[Finding]:
    """Several adapters replace the same token rows of one module.

    A token row is replaced, not added to, so two adapters that replace the same one exclude each other. Merged
    together, PEFT refuses them (`ValueError: Token indices of adapter ... are already defined and would result in
    undefined merging behavior`); merged one after the other, it refuses them since 0.21, and before the last one wins
    without a word. Activated together, `base_model.set_adapter([...])` raises `ValueError: Only one adapter can be set
    at a time for TrainableTokensWrapper` since 0.18; before, the rows that were active stay in place without a word.
    Adapters of the type TRAINABLE_TOKENS are refused by the forward pass instead. Switching between them works.

    Switch between such adapters, or train again with tokens that no other adapter of the fleet uses.
    """
    for company in fleet.companies():
        for members, modules in shared(company.members, lambda m: m.rows).items():
            for module in modules:
                common = common_tokens(members, module)
                if not common:
                    continue
                for peft, consequence in _consequences(members):
                    yield Finding(
                        f"{company.who(members)} replace the same token rows of {shown(module)} "
                        f"({_rows(members, common)}): {consequence}",
                        at=members[0].at_tokens(module),
                        help="Switch between them with `set_adapter`, or train with tokens that no other adapter uses.",
                        severity=company.severity if peft != "<0.18" else None,  # silent then
                        adapters=paths(members),
                        peft=peft,
                    )


def _rows(members: tuple[Member, ...], common: dict[tuple[Member, ...], list[int]]) -> str:
    if common.keys() == {members}:
        return listed(common[members], word="rows")
    return each({", ".join(map(str, rows)): owners for owners, rows in common.items()})


def _consequences(members: tuple[Member, ...]) -> Iterator[tuple[str | None, str]]:
    pair = "both" if len(members) == 2 else "two of them"
    merging = f"merging {pair} raises `ValueError: Token indices of adapter ... are already defined`"
    if members[0].peft_type == "TRAINABLE_TOKENS":
        yield None, f"{merging}, and so does every forward pass with {pair} active"
        return
    refused = "raises `ValueError: Only one adapter can be set at a time for TrainableTokensWrapper`"
    yield ">=0.18", f"{merging}, activating {pair} {refused}"
    yield "<0.18", f"{merging}, activating {pair} silently leaves the rows in place that were active before"
