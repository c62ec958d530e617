"""Entries of the catalogue: LoRA with its variants, and AdaLoRA."""

from __future__ import annotations

from adapterlint.peft.inits import asks_for_weight, changes_base_on_loading
from adapterlint.peft.methods.method import (
    ATTENTION,
    CONV1D,
    CONV2D,
    CONV3D,
    EMBEDDING,
    GPT2,
    LINEAR,
    LINEARS,
    PARAMETER,
    VALUE_ERROR,
    Begins,
    Demand,
    Form,
    Method,
    Parameter,
    Patterned,
    Together,
)
from adapterlint.peft.methods.shapes import (
    ALWAYS,
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
    divides,
    either,
    given,
    key,
    least,
    listed,
    not_null,
    parts,
    rank,
    same,
    says_what,
)

IDLE, FIXED = Begins.IDLE, Begins.FIXED

# PiSSA, OLoRA and LoftQ take the factors from the weight, which has no more ranks than its smaller side; OLoRA does not
# turn the weight of a GPT-2 Conv1D before, so that neither factor fits it (`olora_init`).
_DECOMPOSED = says_what("init_lora_weights", "takes the weight apart", changes_base_on_loading)
_TURNED = says_what("init_lora_weights", "is olora", lambda init: str(init).lower() == "olora")
_ZERO = given("init_lora_weights") & ~_DECOMPOSED
_RANK = either(_DECOMPOSED, least(R, IN, OUT), R)
_BLOCKS = key("use_bdlora.nblocks")
_A_INPUTS = either(listed("use_bdlora.target_modules_bd_a"), IN // _BLOCKS, IN)
_B_RANK = either(listed("use_bdlora.target_modules_bd_b"), R // _BLOCKS, _RANK)
_BIAS = Parameter("lora_B.bias", (OUT,), when=given("lora_bias"), begins=FIXED)
_DORA = given("use_dora")
_SAMPLES = key("monteclora_config.num_samples")
_VARIANTS = (
    Parameter("lora_diag", (R,), when=not_null("kasa_config"), begins=FIXED),
    Parameter("lora_velora_embed", (parts(IN, key("velora_config.num_groups")),), when=not_null("velora_config")),
    Parameter("lora_monteclora_sampler.expert_weights", (_SAMPLES,), when=not_null("monteclora_config")),
    Parameter("lora_monteclora_sampler.expert_weights_prior", (_SAMPLES,), when=not_null("monteclora_config")),
    Parameter("lora_monteclora_sampler.gaussian_var_prior", (R, R), when=not_null("monteclora_config")),
    Parameter("lora_monteclora_sampler.std_prior", (R,), when=not_null("monteclora_config")),
)
_IN_BLOCKS = not_null("use_bdlora")
_VARIANTS_DEMAND = (
    Demand(
        least(IN, OUT) > R,
        text="KaSA requires `r` ({r}) to be smaller than min(in_features, out_features) so that at least one singular "
        "component of the base weight is preserved after truncation.",
        when=not_null("kasa_config"),
        cause="kasa",
    ),
    Demand(
        listed("use_bdlora.target_modules_bd_a") | listed("use_bdlora.target_modules_bd_b"),
        text="Target matches neither A nor B block-diagonal patterns.",
        when=_IN_BLOCKS & key("use_bdlora.match_strict"),
        cause="config",
    ),
    *(
        Demand(divides(_BLOCKS, one), text="not divisible by the number of blocks", when=_IN_BLOCKS & listed(setting))
        for setting, sizes in (
            ("use_bdlora.target_modules_bd_a", (IN, R)),
            ("use_bdlora.target_modules_bd_b", (R, OUT)),
        )
        for one in sizes
    ),
)
_WHOLE_VARIANTS = ("velora_config", "kasa_config")
_LINEAR_VARIANTS = ("alora_invocation_tokens", "arrow_config", "monteclora_config", "use_bdlora")
_ATTENTION_DEMANDS = (
    Demand(~_DORA, text="MultiheadAttention does not support DoRA (yet), please set use_dora to False", cause="config"),
    Demand(
        ~says_what("init_lora_weights", "asks for the weight", asks_for_weight),
        "AttributeError",
        "'MultiheadAttention' object has no attribute 'weight'",
        cause="config",
    ),
    *(Demand(~not_null(key), text="MultiheadAttention does not support it", cause="config") for key in _WHOLE_VARIANTS),
    *(
        Demand(~given(key), text="Invalid or unsupported variant combination", since="0.21", cause="config")
        for key in _LINEAR_VARIANTS
    ),
)
# Up to 0.15 the second factor of a grouped convolution is not grouped.
_GROUPS = CHANNELS // IN


def _on_convolution(dora: str = "0.10") -> tuple[Parameter, ...]:
    """Its parameters on a convolution, with DoRA since some release."""
    return (
        Parameter("lora_A.weight", (R, CHANNELS, KERNEL)),
        Parameter("lora_B.weight", (OUT, R, ONES), begins=IDLE, idle=_ZERO, until="0.15"),
        Parameter("lora_B.weight", (OUT, R // _GROUPS, ONES), begins=IDLE, idle=_ZERO, since="0.16"),
        _BIAS,
        _magnitude((1, OUT, ONES), dora),
    )


_NOT_ON_PARAMETERS = (*("lora_dropout", "fan_in_fan_out", "lora_bias", "use_dora", "velora_config", "kasa_config"),)


def _magnitude(shape: Shape = (OUT,), since: str = "0.10") -> Parameter:
    return Parameter("lora_magnitude_vector", shape, when=_DORA, begins=IDLE, idle=_ZERO, inner=".weight", since=since)


LORA = Method(
    name="LORA",
    title="LoRA",
    prefix="lora_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("lora_A.weight", (_RANK, _A_INPUTS)),
                Parameter("lora_B.weight", (OUT, _B_RANK), begins=IDLE, idle=_ZERO),
                _BIAS,
                _magnitude(),
                *_VARIANTS,
            ),
            demands=_VARIANTS_DEMAND,
        ),
        Form(
            on=(GPT2,),
            parameters=(
                Parameter("lora_A.weight", (_RANK, either(_TURNED, OUT, _A_INPUTS))),
                Parameter("lora_B.weight", (either(_TURNED, IN, OUT), _B_RANK), begins=IDLE, idle=_ZERO),
                _BIAS,
                _magnitude(),
                *_VARIANTS,
            ),
            demands=(Demand(~_TURNED | same(IN, OUT), "RuntimeError", in_forward=True),),
        ),
        Form(
            on=(EMBEDDING,),
            parameters=(
                Parameter("lora_embedding_A", (R, IN), begins=IDLE, idle=given("init_lora_weights")),
                Parameter("lora_embedding_B", (OUT, R)),
                _magnitude(since="0.13"),
            ),
            demands=(
                Demand(
                    ~_DORA,
                    text="Embedding does not support DoRA yet, please set it to False",
                    until="0.12",
                    cause="config",
                ),
                Demand(~given("lora_bias"), text="lora_bias=True is not supported for Embedding."),
            ),
        ),
        Form(on=(CONV2D,), parameters=_on_convolution()),
        Form(on=(CONV3D,), parameters=_on_convolution(), since="0.14"),
        Form(
            on=(CONV1D,),
            parameters=_on_convolution(dora="0.16"),
            since="0.15",
            demands=(Demand(~_DORA, "NotImplementedError", until="0.15", cause="target-unsupported"),),
        ),
        Form(  # the projections of the inputs, as one; that of the outputs is a linear layer with the same rank
            on=(ATTENTION,),
            parameters=(
                Parameter("lora_A.weight", (R, IN)),
                Parameter("lora_B.weight", (OUT, R), begins=IDLE, idle=_ZERO),
                _BIAS,
            ),
            since="0.15",
            demands=_ATTENTION_DEMANDS,
            weight="in_proj_weight",
            along="out_proj",
        ),
        Form(
            on=(PARAMETER,),
            parameters=(
                Parameter("lora_A.weight", (R * EXPERTS, IN)),
                Parameter("lora_B.weight", (OUT, R * EXPERTS), begins=IDLE, idle=_ZERO),
            ),
            since="0.17",
            demands=tuple(
                Demand(~given(key), text=f"lora.ParamWrapper does not work with {key}.", cause="target-parameters")
                for key in _NOT_ON_PARAMETERS
            ),
        ),
    ),
    refuses=VALUE_ERROR,
    patterns={"r": Patterned("rank_pattern"), "lora_alpha": Patterned("alpha_pattern")},
    facts=("use_bdlora.target_modules_bd_a", "use_bdlora.target_modules_bd_b"),
    together=Together.ORDER,
    in_order=given("use_dora"),
    mixed=True,
    mixed_first=True,
    mixed_batch=True,
    hot_swaps=True,
    has_bias=True,
    containers="lora_dropout: lora_A: lora_B: lora_embedding_A lora_embedding_B lora_magnitude_vector:",
    weighs=True,
)


def _adalora(inputs: Term) -> tuple[Parameter, ...]:
    r = rank("init_r")
    return (
        Parameter("lora_A", (r, inputs)),
        Parameter("lora_B", (OUT, r)),
        Parameter("lora_E", (r, 1), begins=IDLE, idle=ALWAYS),
        Parameter("ranknum", (1,), begins=FIXED, saved=NEVER),
    )


ADALORA = Method(
    name="ADALORA",
    prefix="lora_",
    forms=(
        Form(on=LINEARS, parameters=_adalora(IN)),
        Form(on=(CONV2D,), parameters=_adalora(CHANNELS * AREA), since="0.20"),
    ),
    refuses=VALUE_ERROR,
    mixed=True,
    mixed_first=True,
    has_bias=True,
    containers="lora_dropout: lora_A lora_B lora_embedding_A lora_embedding_B lora_magnitude_vector: lora_E ranknum",
)
