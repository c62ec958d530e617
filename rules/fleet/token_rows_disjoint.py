"""FLT103."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Severity, rule, shown
from adapterlint.lint.example import with_tokens
from adapterlint.lint.fleet import common_rows, common_tokens, paths


@rule(
    "FLT103",
    Severity.WARNING,
    since="0.1",
    bad=(
        FleetPatch({"chat": with_tokens(60), "tools": with_tokens(61)}),
        FleetPatch({"chat": with_tokens(60), "tools": with_tokens(61)}, activate=(("chat", "tools"),), declared=True),
    ),
    good=FleetPatch(
        {"plain": {}, "chat": with_tokens(60), "tools": with_tokens(61)},
        activate=(("plain", "chat"), ("plain", "tools")),
        declared=True,
        ordered=True,
    ),
    source="peft/utils/other.py, TrainableTokensWrapper.check_set_adapter",
)
def token_rows_disjoint(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """Several adapters replace different token rows of one module, and PEFT does not activate them together.

    Nothing stands against it, but PEFT does not compare the indices when adapters are activated:
    `base_model.set_adapter([...])` raises `ValueError: Only one adapter can be set at a time for
    TrainableTokensWrapper` since 0.18 for any two adapters with rows of one module. Before, the rows that were active
    stay in place, and those of the others are not used, without a word. Merging them works, and so does switching.

    Merge such adapters (`merge_adapter`, `merge_and_unload` with `adapter_names`) to have all of their tokens.
    """
    for cause in simulation.about("token-overlap"):
        members = cause.later
        pair = "both" if len(members) == 2 else "two of them"
        raises = "raises `ValueError: Only one adapter can be set at a time for TrainableTokensWrapper` nevertheless"
        silent = "silently leaves the rows in place that were active before"
        for module in common_rows(members, cause.modules):
            if not common_tokens(members, module):
                yield Finding(
                    f"{fleet.who(members, declared=cause.declared)} replace different token rows of {shown(module)}: "
                    f"activating {pair} {raises if cause.error else silent}",
                    at=members[0].at_tokens(module),
                    help="Merge them, which takes the rows of all of them, or switch between them.",
                    severity=cause.severity,
                    adapters=paths(members),
                    peft=cause.peft,
                )
