"""FIT101."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, Footprint, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.lint.example import DROP, HIDDEN, VOCABULARY
from adapterlint.lint.tensor_sizes import wrong_ranks
from adapterlint.peft.inits import changes_base_on_loading
from adapterlint.peft.ranks import RANKED, Fate, Misfit

_EMBEDDING = "base_model.model.model.embed_tokens.lora_embedding_"
_EXPERTS = "base_model.model.model.layers.0.mlp.experts.lora_"


@rule(
    "FIT101",
    Severity.ERROR,
    since="0.1",
    bad=(
        {"r": 4},
        {"r": DROP, "rank_pattern": {"v_proj": 16}},
        Patch(
            {"r": 4, "target_modules": ["embed_tokens"]},
            {"*": DROP, f"{_EMBEDDING}A": ("F32", (8, VOCABULARY)), f"{_EMBEDDING}B": ("F32", (HIDDEN, 8))},
        ),
        Patch(
            {"r": 3, "target_modules": [], "target_parameters": ["mlp.experts.down_proj"]},
            {"*": DROP, f"{_EXPERTS}A.weight": ("F32", (8, HIDDEN)), f"{_EXPERTS}B.weight": ("F32", (HIDDEN, 8))},
        ),
    ),
    good=({"r": 4, "rank_pattern": {"q_proj|v_proj": 8}}, {"r": DROP}, Patch()),
    source="peft/tuners/lora/layer.py, LoraLayer.update_layer; torch refuses the shape in load_state_dict",
    types=RANKED,
)
def rank_mismatch(
    config: Config, footprint: Footprint, base: ModuleTree | None, simulation: AdapterSimulation | None
) -> Iterator[Finding]:
    """The rank in the config is not the rank of the tensors.

    PEFT builds layers of the rank that `r` and `rank_pattern` give a module (AdaLoRA: `init_r`, or the truth values
    that `rank_pattern` has for it), then torch refuses the tensors of another size: `RuntimeError: Error(s) in loading
    state_dict for PeftModel: size mismatch for ...`. The adapter stays registered, half loaded. With
    `ignore_mismatched_sizes=True` the tensors are skipped and the adapter does nothing. LoKr splits its second factor
    only for small ranks; there the tensors may be dropped without a word, and a random factor takes their place.

    Set `r`, or the entry of `rank_pattern`, to the rank of the tensors: the first dimension of `lora_A`. If the config
    is right about the rank, the tensors are from another run.
    """
    groups: dict[tuple[tuple[str, ...], int, int | None, Fate], list[str]] = {}
    lone = simulation.alone.values() if simulation is not None else ()
    refused = any(one.error is not None and one.error.cause == "size-mismatch" for one in lone)
    idle = any(one.loads and one.forward is None and not one.expression for one in lone)
    for one in wrong_ranks(config, footprint, base):
        if _is_cut(one, config, footprint):
            continue
        if one.better is None:  # else the order of the keys is what is wrong
            groups.setdefault((one.route, one.expected, one.actual, one.fate), []).append(one.module)
    for (route, expected, actual, fate), modules in groups.items():
        if len(route) > 1:
            given = f"`rank_pattern` gives {shown(route[-1])} rank {shown(expected)}"
        else:
            given = f"`{route[0]}` is {'' if route[0] in config else 'missing, which means '}{shown(expected)}"
        where = listed(modules, word="modules")
        if actual is None:
            text = f"{given}, for which LoKr splits `lokr_w2`, but it is whole in {where}"
        elif fate is Fate.NO_MULTIPLE:
            text = (
                f"{given}, but `lora_A` has {shown(actual)} rows for the experts of {where}, which is no multiple of it"
            )
        elif fate is Fate.MASKED:
            text = f"{given}, but `rank_pattern` has {shown(actual)} truth values for {where}"
        else:
            text = f"{given}, but the tensors of {where} have rank {shown(actual)}"
        yield Finding(
            text,
            at=config.at(*route),
            help=f"Set the rank of these modules to {shown(actual)}."
            if fate is not Fate.NO_MULTIPLE and actual
            else None,
            severity=Severity.WARNING if fate is Fate.DROPPED and not (refused or idle) else None,
        )


def _is_cut(one: Misfit, config: Config, footprint: Footprint) -> bool:
    """Whether an initialisation took all singular values of a weight, which were fewer than the rank."""
    if not changes_base_on_loading(config.get("init_lora_weights")) or one.actual is None:
        return False
    shapes = {name: tensor.shape for name, tensor in footprint.tuned.get(one.module, {}).items()}
    a, b = shapes.get("lora_A.weight"), shapes.get("lora_B.weight")
    return bool(a and b and one.actual < one.expected and one.actual == min(a[-1], b[0]))
