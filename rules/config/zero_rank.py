"""CFG104."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import Config, Finding, Severity, rule, shown


@rule(
    "CFG104",
    Severity.ERROR,
    since="0.1",
    bad=({"r": 0}, {"r": -8}, {"rank_pattern": {"q_proj": 0}}),
    good={"r": 8},
    source="peft/tuners/lora/layer.py, LoraLayer.update_layer",
    types=("LORA",),
)
def zero_rank(config: Config) -> Iterator[Finding]:
    """The rank `r` is not a positive integer.

    PEFT refuses to build a LoRA layer of rank 0 or below, so the adapter cannot be loaded.
    Set `r` (or the entry of `rank_pattern`) to the rank it was trained with: the first dimension of any `lora_A`.
    """
    ranks: list[tuple[tuple[str, ...], Any]] = [(("r",), config.get("r"))]
    ranks += [(("rank_pattern", name), rank) for name, rank in config.mapping("rank_pattern").items()]
    for route, rank in ranks:
        if isinstance(rank, int) and not isinstance(rank, bool) and rank <= 0:
            yield Finding(
                f"`{route[-1]}` is {shown(rank)}, but a rank is a positive integer",
                at=config.at(*route),
                help="Set it to the first dimension of the `lora_A` tensors.",
            )
