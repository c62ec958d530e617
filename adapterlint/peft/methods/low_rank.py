"""Entries of the catalogue: methods whose update is a product of thin factors, other than LoRA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapterlint.peft.methods.config_class import LAYERS, ConfigClass
from adapterlint.peft.methods.method import Method, MixedBatch
from adapterlint.peft.methods.parameter import (
    CONVOLUTIONS,
    EMBEDDING,
    LINEAR,
    LINEARS,
    OLDEST,
    TYPE_ERROR_SINCE_20,
    VALUE_ERROR,
    Begins,
    Demand,
    Form,
    Parameter,
    Patterned,
)
from adapterlint.peft.methods.shapes import (
    ALWAYS,
    BIASED,
    IN,
    KERNEL,
    ONES,
    OUT,
    UNKNOWN,
    R,
    Shape,
    Term,
    divides,
    each,
    either,
    given,
    key,
    least,
    says,
)

IDLE, FIXED = Begins.IDLE, Begins.FIXED

# W times (1 + B A), element by element.
HIRA = Method(
    name="HIRA",
    since="0.20",
    prefix="hira_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(Parameter("hira_A", (R, IN)), Parameter("hira_B", (OUT, R), begins=IDLE)),
        ),
        Form(
            on=(EMBEDDING,),
            parameters=(
                Parameter("hira_embedding_A", (R, IN), begins=IDLE),
                Parameter("hira_embedding_B", (OUT, R)),
            ),
        ),
        Form(
            on=CONVOLUTIONS,  # but grouped ones
            parameters=(Parameter("hira_A", (R, IN, KERNEL)), Parameter("hira_B", (OUT, R, ONES), begins=IDLE)),
        ),
    ),
    refuses=VALUE_ERROR,
    patterns={"r": Patterned("rank_pattern", for_first=False)},
    config=ConfigClass(needs_layers=False, beside_pattern=LAYERS, reads_init=True),
    containers="hira_dropout: hira_A hira_B hira_embedding_A hira_embedding_B",
    looks_up=True,
    asks_for_weight=False,
)

# W + B A with factors of length 1, lambda times the lengths of the columns of W (`delora_w_norm`).
DELORA = Method(
    name="DELORA",
    since="0.18",
    prefix="delora_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("delora_A", (R, IN)),
                Parameter("delora_B", (OUT, R), begins=IDLE),
                Parameter("delora_lambda", (1,), begins=FIXED),
                Parameter("delora_w_norm", (IN,), begins=FIXED),
            ),
        ),
    ),
    refuses={"0.20": "TypeError", OLDEST: "UnboundLocalError"},
    patterns={"r": Patterned("rank_pattern"), "delora_lambda": Patterned("lambda_pattern")},
    config=ConfigClass(beside_pattern=("layers_to_transform",)),
    containers="delora_dropout: delora_A delora_B delora_lambda delora_w_norm=",
)

_DEFT_RANK = least(R, OUT)
# R begins as what P takes out of the weight, P as random numbers; without R nothing puts it back.
_REPLACES = given("init_weights") & ~given("para")

# W without what lies in the span of P, and P R in its place; only without, if `para` is given.
DEFT = Method(
    name="DEFT",
    since="0.20",
    prefix="deft_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter("deft_P", (OUT, _DEFT_RANK), begins=IDLE, idle_if=_REPLACES),
                Parameter("deft_R", (_DEFT_RANK, IN), when=~given("para"), begins=IDLE, idle_if=_REPLACES),
            ),
        ),
    ),
    refuses={"0.20": "TypeError"},
    config=ConfigClass(beside_pattern=LAYERS),
    containers="deft_P deft_R deft_dropout:",
)

_K = key("gralora_k")
_HYBRID = key("hybrid_r")

# `gralora_k` blocks of inputs and as many of outputs, a small LoRA from each to each; `hybrid_r` adds a plain one.
GRALORA = Method(
    name="GRALORA",
    since="0.19",
    prefix="gralora_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter("gralora_A", (_K, IN // _K, R)),
                Parameter("gralora_B", (_K, R, OUT // _K), begins=IDLE),
                Parameter("gralora_A_general.weight", (_HYBRID, IN), when=given("hybrid_r")),
                Parameter("gralora_B_general.weight", (OUT, _HYBRID), when=given("hybrid_r"), begins=IDLE),
            ),
            demands=(
                Demand(
                    divides(_K, IN),
                    text="in_features should be divisible by gralora_k, but got {in_features} and {gralora_k}",
                ),
                Demand(
                    divides(_K, OUT),
                    text="out_features should be divisible by gralora_k, but got {out_features} and {gralora_k}",
                ),
            ),
        ),
    ),
    refuses=TYPE_ERROR_SINCE_20,
    config=ConfigClass(needs_layers=False),
    containers="gralora_dropout: gralora_A gralora_B gralora_A_general: gralora_B_general:",
    in_groups="ValueError",
)

# W + B_i A, a router mixing `num_B` factors B. Neighbours share one `lily_A` (`stride_A` of them) and all of a kind
# one `lily_B`, which a file has for each module all the same.
LILY = Method(
    name="LILY",
    since="0.19",
    prefix="lily_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("lily_A.weight", (R, IN)),
                Parameter("lily_B.weight", (R * key("num_B"), OUT), begins=IDLE),
                Parameter("lily_router.weight", (key("num_B"), R)),
            ),
        ),
    ),
    refuses={OLDEST: "NotImplementedError"},
    containers="lily_A: lily_B: lily_router:",
    merges=False,
)

# W + B g(A W), so that both factors are as wide as the outputs; g is `depth` encoders and as many decoders.
PEANUT = Method(
    name="PEANUT",
    since="0.19",
    prefix="peanut_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("peanut_A.weight", (R, OUT)),
                Parameter("peanut_B.weight", (OUT, R), begins=IDLE),
                Parameter("peanut_encoders.#.weight", (R, R), count=key("depth")),
                Parameter("peanut_decoders.#.weight", (R, R), count=key("depth")),
            ),
        ),
    ),
    refuses={OLDEST: "NotImplementedError"},
    containers="peanut_A: peanut_B: peanut_encoders: peanut_decoders:",
)

_SKILLS, _SPLITS = key("n_skills"), key("n_splits")

# W + a mixture of `n_skills` LoRAs, in `n_splits` parts of inputs and outputs, as the router has it for each task.
POLY = Method(
    name="POLY",
    prefix="poly_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("poly_lora_A", (_SPLITS, _SKILLS, IN // _SPLITS, R)),
                Parameter("poly_lora_B", (_SPLITS, _SKILLS, R, OUT // _SPLITS), begins=IDLE),
                Parameter("poly_router.module_logits", (key("n_tasks"), _SPLITS * _SKILLS)),
            ),
        ),
    ),
    refuses=TYPE_ERROR_SINCE_20,
    targets_of_lora=True,
    containers="poly_router: poly_lora_A poly_lora_B",
    asks_for_task_ids=True,
    merges=False,
)

# W + a block repeated along the inputs; "bat" multiplies with W as well, "mini" repeats it along the outputs too.
MISS = Method(
    name="MISS",
    since="0.17",
    prefix="miss_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter(
                    "miss_block",
                    (R, either(says("init_weights", "mini"), key("mini_r"), OUT)),
                    when=~says("init_weights", "bat"),
                    begins=IDLE,
                ),
                Parameter("miss_block", (OUT // R, R, R), when=says("init_weights", "bat"), begins=IDLE),
            ),
            demands=(
                Demand(
                    R <= IN, text="`r` ({r}) must be less than or equal to in_features ({in_features})", since="0.21"
                ),
                Demand(
                    divides(R, IN) & divides(R, OUT),
                    text="The weight matrix must be fully divisible into [r, r] blocks.",
                    when=says("init_weights", "bat"),
                ),
                Demand(
                    divides(key("mini_r"), OUT),
                    text="mini_r is divided along the out_features dimension. For optimal performance and "
                    "implementation simplicity,it is recommended that out_features be divisible by mini_r.",
                    when=says("init_weights", "mini"),
                ),
            ),
        ),
    ),
    refuses=TYPE_ERROR_SINCE_20,
    targets_of_lora=True,
    config=ConfigClass(needs_layers=False, beside_pattern=LAYERS),
    containers="miss_dropout: miss_block",
    merges_with_whole="0.18",
)

# What became MiSS.
BONE = Method(
    name="BONE",
    since="0.14",
    until="0.18",
    prefix="bone_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("bone_block", (R, OUT), when=~says("init_weights", "bat"), begins=IDLE),
                Parameter("bone_block", (OUT // R, R, R), when=says("init_weights", "bat"), begins=IDLE),
            ),
            demands=(
                Demand(
                    divides(R, IN) & divides(R, OUT),
                    text="The weight matrix must be fully divisible into [r, r] blocks.",
                    when=says("init_weights", "bat"),
                ),
            ),
        ),
    ),
    refuses=VALUE_ERROR,
    targets_of_lora=True,
    config=ConfigClass(needs_layers=False, beside_pattern=LAYERS),
    containers="bone_block",
    merges_with_whole="0.18",
)


def _glora(
    setting: str, letters: str, kinds: Mapping[str, Mapping[str, Shape]], empty: Shape, has: Term = ALWAYS
) -> Iterator[Parameter]:
    """Paths of one setting, which says of what kind they are; one that is none of these is empty."""
    for letter in letters:
        for kind, sizes in kinds.items():
            for name, shape in sizes.items():
                begins = Begins.NOISE if name == "Xu" else IDLE
                yield Parameter(f"glora_{letter}.{name}", shape, when=says(setting, kind) & has, begins=begins)
        yield Parameter(f"glora_{letter}.zeros", empty, when=~(says(setting, *kinds) & has), begins=FIXED)


# W + W A + B, beside b + b D + E + W C where the module has a bias b.
GLORA = Method(
    name="GLORA",
    since="0.20",
    prefix="glora_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                *_glora(
                    "config_A_B",
                    "AB",
                    {"lora": {"Xd": (OUT, R), "Xu": (R, IN)}, "vector": {"X": (OUT, 1)}, "constant": {"X": (1,)}},
                    (OUT, IN),
                ),
                *_glora(
                    "config_C",
                    "C",
                    {"lora": {"Xd": (IN, R), "Xu": (R, 1)}, "vector": {"X": (IN, 1)}},
                    (IN, 1),
                    BIASED,
                ),
                *_glora("config_D_E", "DE", {"vector": {"X": (OUT,)}, "constant": {"X": (1,)}}, (OUT,), BIASED),
            ),
        ),
    ),
    refuses={"0.20": "ValueError"},
    zero_rank=True,
    containers="glora_A: glora_B: glora_C: glora_D: glora_E:",
    mixed_batch=MixedBatch.LAYERS,
)

# The rows of a weight, its bias a column of it, are clustered: of which size the subspaces are, comes out of that.
_COLUMNS = either(BIASED, IN + 1, IN)
_SPANNED = least(key("r"), OUT, _COLUMNS)  # what is loaded in any size does not show the rank
_SUBSPACES = least(key("num_subspaces"), OUT)
_RANK = each("rank of the subspace")  # at most `subspace_rank`, and the size

ADAMSS = Method(
    name="ADAMSS",
    since="0.19",
    prefix="adamss_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("adamss_A.#", (_RANK, _SPANNED), count=_SUBSPACES, loose="RuntimeError"),
                Parameter("adamss_B.#", (UNKNOWN, _RANK), count=_SUBSPACES, begins=IDLE, loose="RuntimeError"),
                Parameter("adamss_newB", (_SPANNED, _COLUMNS), begins=FIXED, loose="KeyError"),
            ),
        ),
    ),
    refuses={"0.19": "TypeError"},
    config=ConfigClass(needs_layers=False, unread=("random_seed",), reads_init=True),
    containers="adamss_A: adamss_B: adamss_newB=",
)
