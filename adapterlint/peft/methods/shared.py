"""Entries of the catalogue: methods whose targets share tensors that an adapter has once, at the top."""

from __future__ import annotations

from dataclasses import replace

from adapterlint.peft.methods.config_class import LAYERS, ConfigClass
from adapterlint.peft.methods.method import Method, Shared
from adapterlint.peft.methods.parameter import (
    EMBEDDING,
    LINEARS,
    TYPE_ERROR_SINCE_20,
    VALUE_ERROR,
    Begins,
    Demand,
    Form,
    InLayers,
    Parameter,
)
from adapterlint.peft.methods.shapes import (
    IN,
    OUT,
    TARGETS,
    R,
    divides,
    function,
    given,
    key,
    least,
    most,
    parts,
    says,
)

IDLE, FIXED = Begins.IDLE, Begins.FIXED
_SAVED = given("save_projection")  # else what is random is drawn anew, from a seed in the config
# Both come from one stream of random numbers, and more rows of the second do not change the first ones.
_DRAWN_BY_RANK = Shared(drawn=((R, IN), (R, IN)), fits=((0, 1, IN), (1, 0, OUT), (0, 0, R), (1, 1, R)))

# W + diag(b) B diag(d) A: A and B are random, frozen, and the same for all targets, which take the rows they need.
VERA = Method(
    name="VERA",
    since="0.11",
    title="VeRA",
    prefix="vera_lambda_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter("vera_lambda_b", (OUT,), begins=IDLE),
                Parameter("vera_lambda_d", (R,), begins=FIXED),
            ),
        ),
    ),
    top=(
        Parameter("vera_A", (R, IN), begins=FIXED, saved=_SAVED),
        Parameter("vera_B", (OUT, R), begins=FIXED, saved=_SAVED),
    ),
    shared=_DRAWN_BY_RANK,
    refuses=TYPE_ERROR_SINCE_20,
    containers="vera_dropout: vera_lambda_b vera_lambda_d",
)

# VeRA with a mean and a variance of each rank.
PVERA = Method(
    name="PVERA",
    since="0.19",
    title="PVeRA",
    prefix="pvera_lambda_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter("pvera_lambda_b", (OUT,), begins=IDLE),
                Parameter("pvera_lambda_d", (2 * R,), begins=FIXED),
            ),
        ),
    ),
    top=(
        Parameter("pvera_A", (2 * R, IN), begins=FIXED, saved=_SAVED),
        Parameter("pvera_B", (OUT, R), begins=FIXED, saved=_SAVED),
    ),
    shared=replace(_DRAWN_BY_RANK, by_rank=False),
    refuses=VALUE_ERROR,
    containers="pvera_dropout: pvera_lambda_b pvera_lambda_d",
)

_SMALLER, _LARGER = least(IN, OUT), most(IN, OUT)
_BASES = parts(_SMALLER, R)

# W + sum of B_i Lambda_i A Gamma_i: bases A and B are random, frozen, and the same for all targets.
RANDLORA = Method(
    name="RANDLORA",
    since="0.16",
    title="RandLora",
    prefix="randlora_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter("randlora_lambda", (R, _BASES), begins=IDLE),
                Parameter("randlora_gamma", (_BASES, _SMALLER), begins=FIXED),
            ),
        ),
    ),
    top=(
        Parameter("randlora_A", (R, 1, _SMALLER), begins=FIXED, saved=_SAVED, in_layers=InLayers.SAVED),
        Parameter("randlora_B", (_LARGER, _BASES, R), begins=FIXED, saved=_SAVED, in_layers=InLayers.SAVED),
    ),
    shared=Shared(  # both are divided by the deviation of all their numbers
        drawn=((R, _SMALLER), (R, IN, OUT)),
        fits=((1, 0, _LARGER), (0, 2, _SMALLER), (0, 0, R), (1, 2, R)),
    ),
    refuses=VALUE_ERROR,
    spares_mamba=True,
    config=ConfigClass(needs_layers=False, tasks_since="0.20"),
    containers="randlora_dropout: randlora_lambda randlora_gamma",
)

_LENGTH, _VECTORS, _TOP_K = key("vector_length"), key("num_vectors"), key("topk")
_ONLY_TOP = given("save_only_topk_weights")

# W + B A, each put together from vectors of one bank: of `num_vectors`, the `topk` with the largest logits, mixed.
VBLORA = Method(
    name="VBLORA",
    since="0.13",
    prefix="vblora_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter("vblora_logits_A", (R, IN // _LENGTH, _VECTORS), saved=~_ONLY_TOP),
                Parameter("vblora_logits_B", (OUT // _LENGTH, R, _VECTORS), saved=~_ONLY_TOP),
                # With `save_only_topk_weights`: where the largest logits are, and all of these but the last, as shares.
                Parameter("vblora_logits_A_topk_indices", (R, IN // _LENGTH, _TOP_K), when=_ONLY_TOP, file_only=True),
                Parameter(
                    "vblora_logits_A_topk_weights", (R, IN // _LENGTH, _TOP_K - 1), when=_ONLY_TOP, file_only=True
                ),
                Parameter("vblora_logits_B_topk_indices", (OUT // _LENGTH, R, _TOP_K), when=_ONLY_TOP, file_only=True),
                Parameter(
                    "vblora_logits_B_topk_weights", (OUT // _LENGTH, R, _TOP_K - 1), when=_ONLY_TOP, file_only=True
                ),
            ),
            demands=(
                Demand(
                    divides(_LENGTH, IN),
                    text="`in_features` {in_features} must be divisible by `vector_length` {vector_length}",
                ),
                Demand(
                    divides(_LENGTH, OUT),
                    text="`out_features` {out_features} must be divisible by `vector_length` {vector_length}",
                ),
            ),
        ),
    ),
    top=(Parameter("vblora_vector_bank", (_VECTORS, _LENGTH)),),
    refuses=TYPE_ERROR_SINCE_20,
    containers="vblora_logits_A vblora_logits_B vblora_dropout:",
)

_INDICES = given("save_indices")

# W + B A, each element of both being one of `theta_d_length` numbers, at random but for a seed.
UNILORA = Method(
    name="UNILORA",
    since="0.20",
    prefix="unilora_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter("unilora_indices_A", (R, IN), when=_INDICES, begins=FIXED),
                Parameter("unilora_indices_B", (OUT, R), when=_INDICES, begins=FIXED),
                Parameter("unilora_scales_A", (R, IN), when=_INDICES, begins=FIXED),
                Parameter("unilora_scales_B", (OUT, R), when=_INDICES, begins=FIXED),
            ),
        ),
    ),
    top=(Parameter("unilora_theta_d", (key("theta_d_length"),), in_layers=InLayers.HELD),),
    refuses={"0.20": "TypeError"},
    config=ConfigClass(needs_layers=False, beside_pattern=LAYERS),
    containers="unilora_dropout: unilora_theta_d",
)

_CUT = least(R, IN, OUT)


def _tied(targets: int, tying: float) -> int:
    """How many vectors are left if neighbours among the targets share one."""
    groups = max(1, round(targets * (1 - tying)))
    return min((targets - 1) // max(1, targets // groups), groups - 1) + 1


_TIED = function("groups", _tied, TARGETS, key("weight_tying"))

# W + B (sum of v_i P_i) A: A and B are singular vectors of W, P is random but for a seed; `u` numbers v are trained.
# A P that is not saved is no part of the state dict either, so that one in a file reaches nothing.
TINYLORA = Method(
    name="TINYLORA",
    since="0.19",
    prefix="tinylora_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter("tinylora_A", (_CUT, IN), begins=FIXED),
                Parameter("tinylora_B", (OUT, _CUT), begins=FIXED),
                Parameter("tinylora_P", (key("u"), _CUT, _CUT), when=_SAVED, begins=FIXED),
            ),
        ),
        Form(  # rows of an embedding are its outputs here
            on=(EMBEDDING,),
            parameters=(
                Parameter("tinylora_A", (_CUT, OUT), begins=FIXED),
                Parameter("tinylora_B", (IN, _CUT), begins=FIXED),
                Parameter("tinylora_P", (key("u"), _CUT, _CUT), when=_SAVED, begins=FIXED),
            ),
        ),
    ),
    top=(Parameter("tinylora_v.#", (key("u"),), begins=IDLE, idle_if=says("init_weights", True), count=_TIED),),
    refuses=TYPE_ERROR_SINCE_20,
    containers="tinylora_dropout: tinylora_A= tinylora_B= tinylora_P= tinylora_v:",
    looks_up=True,
)


def off_diagonal(size: int, rate: float) -> int:
    """How many elements of a square matrix FRoD trains beside its diagonal."""
    count = min(int(size * size * rate), size * size - size)
    return max(1, count) if rate > 0 and size > 1 else count


def category(target: str) -> str:
    """The role of a target in its layer, as the end of its name tells (`_category_from_key`)."""
    *above, name = target.split(".")
    if not above or above[-1].isdigit():
        return name
    category = f"{above[-1]}_{name}"
    return "attention_output" if category == "output_dense" and above[-2:-1] == ["attention"] else category


_SPARSE = function("off_diagonal", off_diagonal, IN, key("sparse_rate"))

# U (S + L) V^T: V is that of all targets with one role in their layers, as wide as their inputs; S sparse, L diagonal.
FROD = Method(
    name="FROD",
    since="0.20",
    prefix="frod_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter("frod_lambda_l", (IN,), begins=IDLE),
                Parameter("frod_lambda_s_values", (_SPARSE,), begins=IDLE),
            ),
        ),
    ),
    top=(
        Parameter("frod_V.*", (IN, IN), begins=FIXED, saved=_SAVED, group=category),
        Parameter("frod_s_indices.*", (2, _SPARSE), begins=FIXED, saved=_SAVED, group=category),
        Parameter("frod_s_size.*", (2,), begins=FIXED, saved=_SAVED, group=category),
    ),
    refuses={"0.20": "KeyError"},  # that no target of its role is linear comes before that it is not
    containers="frod_dropout: frod_lambda_l frod_lambda_s_values",
)
