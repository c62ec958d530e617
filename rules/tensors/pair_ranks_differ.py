"""TEN121."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, Patch, Severity, WeightsHeader, listed, rule

_B = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
_PAIRS = (("lora_A.weight", "lora_B.weight"), ("lora_embedding_A", "lora_embedding_B"))
# Variants whose factors are cut into blocks, or are those of several experts.
_OTHER_SHAPES = ("use_bdlora", "target_parameters", "use_qalora")


@rule(
    "TEN121",
    Severity.ERROR,
    since="0.1",
    bad=Patch(tensors={_B: ("F32", (16, 4))}),
    good=Patch(),
    types=("LORA",),
    source="peft/tuners/lora/layer.py, LoraLayer.update_layer; torch refuses the shape in load_state_dict",
)
def pair_ranks_differ(config: Config, header: WeightsHeader, footprint: Footprint) -> Iterator[Finding]:
    """`lora_A` and `lora_B` of a module have different ranks.

    `lora_A` is (rank, inputs) and `lora_B` is (outputs, rank); whatever rank the config gives, one of the two does not
    fit the layer that PEFT builds, and loading raises `RuntimeError: ... size mismatch for ...lora_B...`. A transposed
    factor, as other libraries store it, shows up here as well.

    Save the adapter again, or transpose the factor that stands the wrong way round.
    """
    if any(config.get(variant) for variant in _OTHER_SHAPES):
        return
    wrong: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for a, b in _PAIRS:
        if a not in footprint.shapes or b not in footprint.shapes:
            continue
        ranks = {s[0] for s in footprint.shapes[a] if len(s) == 2} | {s[1] for s in footprint.shapes[b] if len(s) == 2}
        if len(ranks) < 2:
            continue
        for module, parameters in footprint.tuned.items():
            if a not in parameters or b not in parameters:
                continue
            first, second = parameters[a].shape, parameters[b].shape
            # A convolution in groups has a share of the rank in `lora_B`.
            if len(first) == len(second) == 2 and first[0] != second[1] and first[0] and second[1]:
                wrong.setdefault((first[0], second[1]), []).append((module, b))
    for (rank_a, rank_b), pairs in wrong.items():
        names = [module for module, _ in pairs]
        yield Finding(
            f"`lora_A` has rank {rank_a} and `lora_B` rank {rank_b} in {listed(names, word='modules')}",
            at=header.at(footprint.names.get(pairs[0])),
            help="Save the adapter again, or transpose the factor that stands the wrong way round.",
        )
