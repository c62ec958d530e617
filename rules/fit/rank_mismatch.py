"""FIT101."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, Patch, Severity, listed, rule, shown
from adapterlint.peft.matching import pattern_value

_WRONG = "base_model.model.model.layers.0.self_attn.q_proj.lora_"


@rule(
    "FIT101",
    Severity.ERROR,
    since="0.1",
    bad=({"r": 4}, {"rank_pattern": {"q_proj": 4}}),
    good=({"r": 4, "rank_pattern": {"q_proj|v_proj": 8}}, Patch()),
    source="peft/tuners/lora/layer.py, LoraLayer.update_layer; torch refuses the shape in load_state_dict",
    types=("LORA",),
)
def rank_mismatch(config: Config, footprint: Footprint) -> Iterator[Finding]:
    """The rank in the config is not the rank of the tensors.

    PEFT builds layers of the rank that `r` and `rank_pattern` give a module, then torch refuses the tensors of another
    size (`RuntimeError: ... size mismatch for ...lora_A`), and the adapter stays half loaded.
    Set `r` or the entry of `rank_pattern` to the first dimension of `lora_A`.
    """
    patterns, default = config.mapping("rank_pattern"), config.get("r", 8)
    wrong: dict[tuple[object, int], list[str]] = {}
    for module, parameters in footprint.tuned.items():
        factor = parameters.get("lora_A.weight")
        if factor is None or not factor.shape:
            continue
        rank = pattern_value(patterns, module, default) if patterns else default
        if isinstance(rank, int) and rank != factor.shape[0] and rank > 0:
            wrong.setdefault((rank, factor.shape[0]), []).append(module)
    for (expected, rows), modules in wrong.items():
        yield Finding(
            f"The config gives {listed(modules, word='modules')} rank {shown(expected)}, "
            f"but `lora_A` has {rows} rows there",
            at=config.at("rank_pattern" if patterns else "r"),
            help=f"Set the rank of these modules to {rows}.",
        )
