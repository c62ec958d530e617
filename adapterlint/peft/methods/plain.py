"""Entries of the catalogue: methods that train vectors, or a part of the base itself."""

from __future__ import annotations

from adapterlint.peft.methods.config_class import ConfigClass
from adapterlint.peft.methods.method import Method, Together
from adapterlint.peft.methods.parameter import (
    CONV2D,
    CONV3D,
    EMBEDDING,
    EVERY_KIND,
    LINEAR,
    LINEARS,
    VALUE_ERROR,
    Begins,
    Form,
    Parameter,
)
from adapterlint.peft.methods.shapes import (
    CHANNELS,
    IN,
    ONES,
    OUT,
    either,
    function,
    given,
    key,
    listed,
)

IDLE = Begins.IDLE

_ON_INPUTS = listed("feedforward_modules")  # for all adapters of a layer, as the first one lists it
_INIT = given("init_ia3_weights")
_SCALE_OF_CHANNELS = (Parameter("ia3_l", (1, either(_ON_INPUTS, CHANNELS, OUT), ONES), begins=IDLE, idle_if=_INIT),)

# Outputs, or inputs of what `feedforward_modules` lists, times a vector.
IA3 = Method(
    name="IA3",
    prefix="ia3_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter(
                    "ia3_l",
                    (either(_ON_INPUTS, 1, OUT), either(_ON_INPUTS, IN, 1)),
                    begins=IDLE,
                    idle_if=_INIT,
                ),
            ),
        ),
        Form(on=(CONV2D,), parameters=_SCALE_OF_CHANNELS),
        Form(on=(CONV3D,), parameters=_SCALE_OF_CHANNELS, since="0.14"),
    ),
    refuses=VALUE_ERROR,
    lists=("feedforward_modules",),
    containers="ia3_l",
    merges_with_whole="0.18",
    weighs=True,
)

# A vector added to the outputs.
BEFT = Method(
    name="BEFT",
    since="0.20",
    prefix="beft_",
    forms=(Form(on=(LINEAR,), parameters=(Parameter("beft_bias", (1, OUT), begins=IDLE),)),),
    refuses={"0.20": "TypeError"},
    containers="beft_bias",
    merged_into="bias",
)

# A copy of the module is trained in its place; its parameters are those of the base.
LN_TUNING = Method(
    name="LN_TUNING",
    since="0.11",
    prefix="ln_tuning_",
    layer="LNTuningLayer",
    forms=(Form(on=EVERY_KIND, parameters=()),),
    copies="ln_tuning_layers",
    refuses=VALUE_ERROR,
    containers="ln_tuning_layers:",
    together=Together.ONE,
    refusal="every forward pass raises `ValueError: Trying to run forward with 2 active adapters, but LN tuning does "
    "not allow inference with more than one adapter at a time`",
    merges_with_whole=None,
    asks_for_weight=False,
)

_TOKENS = function("length", len, key("token_indices"))

# Rows of an embedding in place of those of the base; which ones is in the config alone.
TRAINABLE_TOKENS = Method(
    name="TRAINABLE_TOKENS",
    since="0.15",
    prefix="trainable_tokens_",
    forms=(
        Form(on=(EMBEDDING,), parameters=(Parameter("trainable_tokens_delta", (_TOKENS, OUT)),)),
        Form(on=(LINEAR,), parameters=(Parameter("trainable_tokens_delta", (_TOKENS, IN)),)),
    ),
    token_rows=True,
    config=ConfigClass(tasks_since="0.18"),
)
