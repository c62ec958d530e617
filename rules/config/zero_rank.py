"""CFG104."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import DROP, Config, Finding, Patch, Severity, rule, shown
from adapterlint.lint.example import BASE, GOOD_CONFIG
from adapterlint.peft.fields import fields_of
from adapterlint.peft.methods import METHODS

_REFUSING = tuple(name for name, one in METHODS.items() if "r" in fields_of(name) and not one.zero_rank)
_HRA = Patch(
    config=dict.fromkeys(GOOD_CONFIG, DROP)
    | {
        "peft_type": "HRA",
        "r": 0,
        "base_model_name_or_path": BASE,
        "target_modules": ["q_proj"],
        "inference_mode": True,
    },
    tensors={"*": DROP, "base_model.model.model.layers.0.self_attn.q_proj.hra_u": ("F32", (16, 8))},
)


@rule(
    "CFG104",
    Severity.ERROR,
    since="0.1",
    bad=({"r": 0}, {"r": -8}, {"rank_pattern": {"q_proj": 0}}, _HRA),
    good={"r": 8},
    source="peft/tuners/lora/layer.py, LoraLayer.update_layer",
    types=_REFUSING,
)
def zero_rank(config: Config) -> Iterator[Finding]:
    """The rank `r` is not a positive integer.

    PEFT refuses to build a layer of rank 0 or below (`ValueError`, of VeRA and RandLoRA `ZeroDivisionError`), so the
    adapter cannot be loaded. Methods that take 0 (OFT, GLoRA, and AdaLoRA, which does not read `r`) are not meant.
    Set `r` (or the entry of `rank_pattern`) to the rank it was trained with, for LoRA the first dimension of any
    `lora_A`.
    """
    ranks: list[tuple[tuple[str, ...], Any]] = [(("r",), config.get("r"))]
    if config.peft_type == "LORA":
        ranks += [(("rank_pattern", name), rank) for name, rank in config.mapping("rank_pattern").items()]
    for route, rank in ranks:
        if isinstance(rank, int) and not isinstance(rank, bool) and rank <= 0:
            yield Finding(
                f"`{route[-1]}` is {shown(rank)}, but a rank is a positive integer",
                at=config.at(*route),
                help="Set it to the rank that the tensors have.",
            )
