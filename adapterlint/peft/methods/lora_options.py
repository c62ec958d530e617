"""What LoRA's options, and ways to begin, demand of the modules that an adapter tunes.

Since 0.20 every kind of layer lists the options that it takes, one at a time (`lora_variants` in
`tuners/lora/layer.py`), and refuses others. Before that most are passed over where they do not apply. Combinations that
no kind takes are refused by the config alone (`refusals.json`).
"""

from __future__ import annotations

from adapterlint.peft.inits import changes_base_on_loading
from adapterlint.peft.methods.parameter import OLDEST, Demand
from adapterlint.peft.methods.shapes import (
    CHANNELS,
    IN,
    OUT,
    R,
    Term,
    divides,
    given,
    key,
    least,
    listed,
    not_null,
    same,
    says,
    says_what,
)

DORA = given("use_dora")
BLOCKS = key("use_bdlora.nblocks", 1)
GROUPS = CHANNELS // IN  # of a convolution
IN_BLOCKS_A, IN_BLOCKS_B = listed("use_bdlora.target_modules_bd_a"), listed("use_bdlora.target_modules_bd_b")
_ALORA, _ARROW, _BDLORA = given("alora_invocation_tokens"), given("arrow_config"), not_null("use_bdlora")
_IN_BLOCKS_STRICTLY = _BDLORA & key("use_bdlora.match_strict", True)
_KASA, _MONTECLORA, _VELORA = not_null("kasa_config"), not_null("monteclora_config"), not_null("velora_config")

# PiSSA, OLoRA and LoftQ take the factors from the weight, which has no more ranks than its smaller side; OLoRA does not
# turn the weight of a GPT-2 Conv1D before, so that neither factor fits it (`olora_init`).
DECOMPOSED = says_what("init_lora_weights", "takes the weight apart", changes_base_on_loading)
TURNED = says_what("init_lora_weights", "is olora", lambda init: str(init).lower() == "olora")
MICA = says("init_lora_weights", "mica")


def _without(
    option: Term,
    text: str,
    error: str = "ValueError",
    *,
    since: str = OLDEST,
    until: str | None = None,
    cause: str = "config",
) -> Demand:
    return Demand(~option, error, text, since=since, until=until, cause=cause)


def _unlisted(*options: Term) -> tuple[Demand, ...]:
    """Options that a kind of layer does not list."""
    return tuple(_without(one, "Invalid or unsupported variant combination", since="0.20") for one in options)


_FEW_COMPONENTS = Demand(
    least(IN, OUT) >= R,
    text="MiCA requires `r` <= min(in_features, out_features) but got r={r}",
    when=MICA,
    cause="config",
)
_NO_EXPERTS = (  # what Arrow mixes is put together before any adapter is loaded from a file
    _without(_ARROW, "'dict' object has no attribute 'top_k'", "AttributeError", since="0.18", until="0.20"),
    _without(_ARROW, "'NoneType' object has no attribute 'copy'", "AttributeError", since="0.21"),
)
_INTO_BLOCKS = (
    Demand(
        IN_BLOCKS_A | IN_BLOCKS_B,
        text="Target {module} matches neither A nor B block-diagonal patterns.",
        when=_IN_BLOCKS_STRICTLY,
        cause="bd-lora",
    ),
    Demand(  # the default of 0.19 is a tuple, by a comma too many
        not_null("use_bdlora.nblocks"),
        "TypeError",
        "unsupported operand type(s) for %: 'int' and 'tuple'",
        when=_BDLORA & (IN_BLOCKS_A | IN_BLOCKS_B),
        until="0.19",
        cause="bd-lora",
    ),
    *(
        Demand(
            divides(BLOCKS, one),
            text=f"self.in_features={inputs} or self.out_features={outputs} not divisible by {{use_bdlora[nblocks]}}",
            when=_BDLORA & half,
            cause="bd-lora",
        )
        for half, sides, inputs, outputs in (
            (IN_BLOCKS_A, (IN, R), "{in_features}", "{r}"),
            (IN_BLOCKS_B, (R, OUT), "{r}", "{out_features}"),
        )
        for one in sides
    ),
)

ON_LINEAR = (
    *_NO_EXPERTS,
    Demand(
        least(IN, OUT) > R,
        text="KaSA requires `r` ({r}) to be smaller than min(in_features, out_features) so that at least one singular "
        "component of the base weight is preserved after truncation.",
        when=_KASA,
        cause="kasa",
    ),
    _FEW_COMPONENTS,
    *_INTO_BLOCKS,
)
ON_GPT2 = (
    Demand(
        ~DORA,
        "RuntimeError",
        "The size of tensor a must match the size of tensor b at non-singleton dimension 1",
        until="0.10",
        cause="target-unsupported",
    ),
    *_NO_EXPERTS,
    _FEW_COMPONENTS,
    _without(
        _KASA,
        "KaSA does not support `fan_in_fan_out=True` layers (e.g. Conv1D). Please target nn.Linear layers.",
        since="0.21",
    ),
    _INTO_BLOCKS[0],
    _without(
        _BDLORA & (IN_BLOCKS_A | IN_BLOCKS_B),
        "'Conv1D' object has no attribute 'in_features'",
        "AttributeError",
        cause="bd-lora",
    ),
    Demand(~TURNED | same(IN, OUT), "RuntimeError", in_forward=True),
)
ON_EMBEDDING = (
    _without(DORA, "Embedding does not support DoRA yet, please set it to False", until="0.12"),
    Demand(~given("lora_bias"), text="lora_bias=True is not supported for Embedding."),
    _FEW_COMPONENTS,
    *_unlisted(_ALORA, _ARROW, _BDLORA, _KASA, _MONTECLORA, _VELORA),
)


def _is_unknown_to_convolutions(init: object) -> bool:
    return isinstance(init, str) and init.lower() != "gaussian" and init not in ("", "loftq", "lora_ga")


_UNKNOWN_INIT = "Unknown initialization init_lora_weights={init_lora_weights!r}"
ON_CONVOLUTION = (
    Demand(
        divides(GROUPS, R),
        text="rank {r}. Currently, support is limited to conv layers where the rank is divisible by groups.",
        since="0.16",
    ),
    _without(_ALORA, "aLoRA does not support adapting conv layers.", since="0.18", until="0.18"),
    _without(_VELORA, "VeLoRA does not support adapting conv layers.", since="0.20"),
    *_unlisted(_ALORA, _ARROW, _BDLORA, _KASA, MICA, _MONTECLORA),
    _without(says_what("init_lora_weights", "is unknown to convolutions", _is_unknown_to_convolutions), _UNKNOWN_INIT),
    _without(says("init_lora_weights", "lora_ga"), _UNKNOWN_INIT, until="0.18"),
)
_NO_WEIGHT = "'MultiheadAttention' object has no attribute 'weight'"
ON_ATTENTION = (
    _without(DORA, "MultiheadAttention does not support DoRA (yet), please set use_dora to False"),
    _without(_VELORA, "MultiheadAttention does not support VeLoRA, please set `velora_config=None`.", since="0.20"),
    _without(_KASA, "MultiheadAttention does not support KaSA, please set `kasa_config=None`.", since="0.21"),
    _without(
        _ALORA,
        "MultiheadAttention does not support aLoRA (yet), please set use_alora to False",
        since="0.18",
        until="0.18",
    ),
    *_NO_EXPERTS,
    *_unlisted(_ALORA, _BDLORA, MICA, _MONTECLORA),
    _without(DECOMPOSED, _NO_WEIGHT, "AttributeError"),
    _without(says("init_lora_weights", "orthogonal"), _NO_WEIGHT, "AttributeError", since="0.16"),
    _without(says("init_lora_weights", "lora_ga"), _NO_WEIGHT, "AttributeError", since="0.19"),
    _without(  # it is not told its name
        _IN_BLOCKS_STRICTLY,
        "Target  matches neither A nor B block-diagonal patterns.",
        since="0.19",
        until="0.19",
        cause="bd-lora",
    ),
)
ON_PARAMETER = tuple(
    Demand(~given(key), text=f"lora.ParamWrapper does not work with {key}.", cause="target-parameters")
    for key in ("lora_dropout", "fan_in_fan_out", "lora_bias", "use_dora", "velora_config", "kasa_config")
)
