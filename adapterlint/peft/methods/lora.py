"""Entries of the catalogue: LoRA with its variants, and AdaLoRA."""

from __future__ import annotations

from adapterlint.peft.methods.config_class import LAYERS, ConfigClass
from adapterlint.peft.methods.lora_options import (
    BLOCKS,
    DECOMPOSED,
    DORA,
    GROUPS,
    IN_BLOCKS_A,
    IN_BLOCKS_B,
    MICA,
    ON_ATTENTION,
    ON_CONVOLUTION,
    ON_EMBEDDING,
    ON_GPT2,
    ON_LINEAR,
    ON_PARAMETER,
    TURNED,
)
from adapterlint.peft.methods.method import Method, MixedBatch, Together
from adapterlint.peft.methods.parameter import (
    ATTENTION,
    CONV1D,
    CONV2D,
    CONV3D,
    EMBEDDING,
    GPT2,
    LINEAR,
    LINEARS,
    OLDEST,
    PARAMETER,
    VALUE_ERROR,
    Begins,
    Demand,
    Form,
    Parameter,
    Patterned,
)
from adapterlint.peft.methods.shapes import (
    AREA,
    CHANNELS,
    EXPERTS,
    IN,
    KERNEL,
    NEVER,
    ONES,
    OUT,
    R,
    Shape,
    Term,
    either,
    given,
    key,
    least,
    not_null,
    parts,
    rank,
)

IDLE, FIXED = Begins.IDLE, Begins.FIXED

# `lora_B` begins as zeros, but for PiSSA and others, which take both factors out of the weight, and for MiCA, which has
# zeros in `lora_A`. What is taken out of a weight has no more ranks than that.
_ZERO = given("init_lora_weights") & ~(DECOMPOSED | MICA)
_RANK = either(DECOMPOSED, least(R, IN, OUT), R)
# BD-LoRA cuts one factor of a module into blocks on the diagonal, and saves no more than these.
_A_INPUTS = either(IN_BLOCKS_A, IN // BLOCKS, IN)
_B_RANK = either(IN_BLOCKS_B, R // BLOCKS, _RANK)
_BIAS = Parameter("lora_B.bias", (OUT,), when=given("lora_bias"), begins=IDLE, idle_if=_ZERO)
_SAMPLES = key("monteclora_config.num_samples", 8)
_VARIANTS = (
    Parameter("lora_diag", (R,), when=not_null("kasa_config")),
    Parameter(  # which only a backward pass uses
        "lora_velora_embed",
        (parts(IN, key("velora_config.num_groups", 64)),),
        when=not_null("velora_config"),
        begins=FIXED,
    ),
    Parameter("lora_monteclora_sampler.expert_weights", (_SAMPLES,), when=not_null("monteclora_config"), begins=FIXED),
    Parameter("lora_monteclora_sampler.expert_weights_prior", (_SAMPLES,), when=not_null("monteclora_config")),
    Parameter("lora_monteclora_sampler.gaussian_var_prior", (R, R), when=not_null("monteclora_config"), begins=FIXED),
    Parameter("lora_monteclora_sampler.std_prior", (R,), when=not_null("monteclora_config")),
)


def _on_convolution(dora: str = OLDEST) -> tuple[Parameter, ...]:
    """Its parameters on a convolution, with DoRA since some release.

    Up to 0.15 the second factor of a grouped convolution is not grouped.
    """
    return (
        Parameter("lora_A.weight", (R, CHANNELS, KERNEL)),
        Parameter("lora_B.weight", (OUT, R, ONES), begins=IDLE, idle_if=_ZERO, until="0.15"),
        Parameter("lora_B.weight", (OUT, R // GROUPS, ONES), begins=IDLE, idle_if=_ZERO, since="0.16"),
        _BIAS,
        _magnitude((1, OUT, ONES), dora),
    )


def _magnitude(shape: Shape = (OUT,), since: str = OLDEST) -> Parameter:
    """DoRA's, which begins as the lengths of the weight's rows: as long as they are that, B A = 0 changes nothing."""
    return Parameter(
        "lora_magnitude_vector", shape, when=DORA, begins=IDLE, idle_if=_ZERO, in_model=".weight", since=since
    )


# W + B A, with a scale. What its options and its ways to begin demand of modules stands in `lora_options`.
LORA = Method(
    name="LORA",
    title="LoRA",
    prefix="lora_",
    tuner="LoraModel",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("lora_A.weight", (_RANK, _A_INPUTS), begins=IDLE, idle_if=MICA),
                Parameter("lora_B.weight", (OUT, _B_RANK), begins=IDLE, idle_if=_ZERO),
                _BIAS,
                _magnitude(),
                *_VARIANTS,
            ),
            demands=ON_LINEAR,
        ),
        Form(
            on=(GPT2,),
            parameters=(
                Parameter("lora_A.weight", (_RANK, either(TURNED, OUT, _A_INPUTS)), begins=IDLE, idle_if=MICA),
                Parameter("lora_B.weight", (either(TURNED, IN, OUT), _B_RANK), begins=IDLE, idle_if=_ZERO),
                _BIAS,
                _magnitude(),
                *_VARIANTS,
            ),
            demands=ON_GPT2,
        ),
        Form(
            on=(EMBEDDING,),
            parameters=(
                Parameter("lora_embedding_A", (R, IN), begins=IDLE, idle_if=given("init_lora_weights")),
                Parameter("lora_embedding_B", (OUT, R)),
                _magnitude(since="0.13"),
            ),
            demands=ON_EMBEDDING,
        ),
        Form(on=(CONV2D,), parameters=_on_convolution(), demands=ON_CONVOLUTION),
        Form(on=(CONV3D,), parameters=_on_convolution(), since="0.14", demands=ON_CONVOLUTION),
        Form(
            on=(CONV1D,),
            parameters=_on_convolution(dora="0.16"),
            since="0.15",
            demands=(
                *ON_CONVOLUTION,
                Demand(~DORA, "NotImplementedError", until="0.15", cause="target-unsupported"),
            ),
        ),
        Form(  # the projections of the inputs, as one; that of the outputs is a linear layer with the same rank
            on=(ATTENTION,),
            parameters=(
                Parameter("lora_A.weight", (R, IN)),
                Parameter("lora_B.weight", (OUT, R), begins=IDLE, idle_if=_ZERO),
                _BIAS,
            ),
            since="0.15",
            demands=ON_ATTENTION,
            weight="in_proj_weight",
            along="out_proj",
        ),
        Form(  # `ParamWrapper`: all experts of one weight have their ranks in one tensor
            on=(PARAMETER,),
            parameters=(
                Parameter("lora_A.weight", (R * EXPERTS, IN)),
                Parameter("lora_B.weight", (OUT, R * EXPERTS), begins=IDLE, idle_if=_ZERO),
            ),
            since="0.17",
            demands=ON_PARAMETER,
        ),
    ),
    refuses=VALUE_ERROR,
    patterns={"r": Patterned("rank_pattern"), "lora_alpha": Patterned("alpha_pattern")},
    lists=("use_bdlora.target_modules_bd_a", "use_bdlora.target_modules_bd_b"),
    ties=True,
    fused_experts=True,
    spares_mamba=True,
    config=ConfigClass(beside_pattern=LAYERS),
    containers="lora_dropout: lora_A: lora_B: lora_embedding_A lora_embedding_B lora_magnitude_vector:",
    looks_up=True,
    together=Together.ORDER,
    in_order=given("use_dora"),
    mixed=True,
    mixed_first=True,
    mixed_batch=MixedBatch.ALL,
    asks_for_weight=False,
    weighs=True,
    hot_swaps=True,
)


def _adalora(inputs: Term) -> tuple[Parameter, ...]:
    r = rank("init_r")
    return (
        Parameter("lora_A", (r, inputs)),
        Parameter("lora_B", (OUT, r)),
        Parameter("lora_E", (r, 1), until="0.11"),
        Parameter("lora_E", (r, 1), begins=IDLE, idle_if=given("init_lora_weights"), since="0.12"),
        Parameter("ranknum", (1,), begins=FIXED, saved=NEVER),  # how many ranks are left
    )


# W + B diag(E) A. Training prunes ranks: `rank_pattern` has a truth value for each, which loading cuts the file to.
ADALORA = Method(
    name="ADALORA",
    prefix="lora_",
    tuner="AdaLoraModel",
    layer="SVDLinear",
    forms=(
        Form(on=LINEARS, parameters=_adalora(IN)),
        Form(on=(CONV2D,), parameters=_adalora(IN * AREA), since="0.20"),  # grouped ones do not run
    ),
    refuses=VALUE_ERROR,
    masks_ranks=True,
    zero_rank=True,  # its rank is `init_r`; nothing reads `r`
    ties=True,
    spares_mamba=True,
    config=ConfigClass(
        beside_pattern=("layers_to_transform",),
        null_patterns=True,
        unread=("alpha_pattern", "init_lora_weights", "megatron_config", "monteclora_config", "r", "use_rslora"),
    ),
    containers="lora_dropout: lora_A lora_B lora_embedding_A lora_embedding_B lora_magnitude_vector: lora_E ranknum",
    mixed=True,
    mixed_first=True,
    mixed_batch=MixedBatch.REFUSED,
    asks_for_weight=False,
)
