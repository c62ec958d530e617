"""FLT103."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Severity, rule, shown
from adapterlint.lint.example import with_tokens
from adapterlint.lint.fleet import common_tokens, paths, shared

_CONSEQUENCES = {
    ">=0.18": "raises `ValueError: Only one adapter can be set at a time for TrainableTokensWrapper` nevertheless",
    "<0.18": "silently leaves the rows in place that were active before",
}


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
def token_rows_disjoint(fleet: Fleet) -> Iterator[Finding]:
    """Several adapters replace different token rows of one module, and PEFT does not activate them together.

    Nothing stands against it, but PEFT does not compare the indices when adapters are activated:
    `base_model.set_adapter([...])` raises `ValueError: Only one adapter can be set at a time for
    TrainableTokensWrapper` since 0.18 for any two adapters with rows of one module. Before, the rows that were active
    stay in place, and those of the others are not used, without a word. Merging them works, and so does switching.

    Merge such adapters (`merge_adapter`, `merge_and_unload` with `adapter_names`) to have all of their tokens.
    """
    for company in fleet.companies():
        if company.members[0].peft_type == "TRAINABLE_TOKENS":  # it has no wrapper, and can do this
            continue
        for members, modules in shared(company.members, lambda m: m.rows).items():
            for module in modules:
                if common_tokens(members, module):
                    continue
                pair = "both" if len(members) == 2 else "two of them"
                for peft, consequence in _CONSEQUENCES.items():
                    yield Finding(
                        f"{company.who(members)} replace different token rows of {shown(module)}: activating {pair} "
                        f"{consequence}",
                        at=members[0].at_tokens(module),
                        help="Merge them, which takes the rows of all of them, or switch between them.",
                        severity=company.severity if peft != "<0.18" else None,  # silent then
                        adapters=paths(members),
                        peft=peft,
                    )
