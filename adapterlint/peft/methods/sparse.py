"""Entries of the catalogue: methods that train few numbers of a weight, in its own domain or in that of a transform."""

from __future__ import annotations

from adapterlint.peft.methods.config_class import LAYERS, ConfigClass
from adapterlint.peft.methods.method import Method, Searches, Together
from adapterlint.peft.methods.parameter import (
    BEHIND_DOT,
    LINEAR,
    LINEARS,
    OLDEST,
    TYPE_ERROR_SINCE_20,
    Begins,
    Demand,
    Form,
    Parameter,
    Patterned,
)
from adapterlint.peft.methods.shapes import (
    IN,
    OUT,
    UNKNOWN,
    R,
    divides,
    either,
    function,
    given,
    key,
    not_null,
    says,
)

IDLE, FIXED = Begins.IDLE, Begins.FIXED


_FEW = Demand(
    key("n_frequency") <= IN * OUT,
    text="`n_frequency` should be less than or equal to the product of the input and output dimensions but the value "
    "passed is {n_frequency}",
)

# W + the inverse transform of a spectrum that is zero but for `n_frequency` places, at random but for a seed.
FOURIERFT = Method(
    name="FOURIERFT",
    since="0.12",
    prefix="fourierft_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(Parameter("fourierft_spectrum", (key("n_frequency"),), begins=IDLE),),
            demands=(_FEW,),
        ),
    ),
    refuses=TYPE_ERROR_SINCE_20,
    patterns={"n_frequency": Patterned("n_frequency_pattern", BEHIND_DOT)},
    config=ConfigClass(beside_pattern=LAYERS),
    containers="fourierft_spectrum",
)

# A budget for all targets is shared out by the sizes of their weights.
_FREQUENCIES = either(given("proportional_parameters"), UNKNOWN, key("n_frequency"))

# The same with wavelets.
WAVEFT = Method(
    name="WAVEFT",
    since="0.18",
    prefix="waveft_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(Parameter("waveft_spectrum", (_FREQUENCIES,), begins=IDLE),),
            demands=(_FEW,),
        ),
    ),
    refuses=TYPE_ERROR_SINCE_20,
    patterns={"n_frequency": Patterned("n_frequency_pattern")},
    config=ConfigClass(beside_pattern=LAYERS),
    containers="waveft_spectrum",
)

_BLOCK = key("block_size")

# W + blocks of `block_size` that are circulant, so that one row tells each.
C3A = Method(
    name="C3A",
    since="0.16",
    prefix="c3a_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter(
                    "c3a_kernel",
                    (OUT // _BLOCK, IN // _BLOCK, _BLOCK),
                    begins=IDLE,
                    idle_if=says("init_weights", True),
                ),
            ),
            demands=(
                Demand(
                    divides(_BLOCK, IN),
                    text="The block size should be a factor of the input size. However, the input size is "
                    "{in_features} and the block size is {block_size}",
                ),
                Demand(
                    divides(_BLOCK, OUT),
                    text="The block size should be a factor of the output size. However, the output size is "
                    "{out_features} and the block size is {block_size}",
                ),
            ),
        ),
    ),
    refuses={"0.20": "TypeError", "0.19": "ValueError", OLDEST: "UnboundLocalError"},
    patterns={"block_size": Patterned("block_size_pattern", BEHIND_DOT)},
    config=ConfigClass(needs_layers=False, beside_pattern=LAYERS, tasks_since="0.18", reads_init=True),
    containers="c3a_kernel",
    together=Together.ORDER,
    merges_otherwise="0.16",
)

_BUDGET = R * (IN + OUT)  # as many as LoRA has

# W + `shira_weight` at `shira_indices`: as many elements as a LoRA of rank `r` has.
SHIRA = Method(
    name="SHIRA",
    since="0.17",
    prefix="shira_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("shira_weight", (_BUDGET,), begins=IDLE),
                # Any shape is loaded, and fails in a forward pass; where a file has none, PEFT draws the same ones.
                Parameter("shira_indices", (2, _BUDGET), begins=FIXED, loose="RuntimeError", remade=True),
            ),
            demands=(
                Demand(
                    _BUDGET <= IN * OUT,
                    text="The set rank {r} results in more shira params than the total number of params in the base "
                    "layer and this is not allowed.",
                ),
            ),
        ),
    ),
    refuses=TYPE_ERROR_SINCE_20,
    containers="shira_weight",
    searches=Searches.BEFORE,
    mixed=True,
    mixed_first=True,
)

_TRAINED = function("trained", lambda i, o, sparsity: int(i * o * (1 - sparsity)), IN, OUT, key("sparsity"))

# W + values at its largest or smallest elements, and a LoRA where `r` is given.
SUPERTUNING = Method(
    name="SUPERTUNING",
    since="0.21",
    prefix="supertuning_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("supertuning_values", (_TRAINED,), begins=IDLE),
                Parameter("supertuning_indices", (_TRAINED,), when=given("save_precomputed_indices"), begins=FIXED),
                Parameter("supertuning_lora_A.weight", (R, IN), when=not_null("r")),
                Parameter("supertuning_lora_B.weight", (OUT, R), when=not_null("r"), begins=IDLE),
            ),
            demands=(
                Demand(
                    _TRAINED > 0,
                    text="sparsity={sparsity} leaves no trainable entries for a weight",
                ),
            ),
        ),
    ),
    refuses={"0.21": "TypeError"},
    containers="supertuning_values supertuning_indices= supertuning_lora_A: supertuning_lora_B: "
    "supertuning_lora_dropout:",
)
