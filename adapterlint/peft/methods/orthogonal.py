"""Entries of the catalogue: methods that turn a weight or what goes into it, and that work in its singular vectors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapterlint.base.tree import Kind
from adapterlint.peft.methods.config_class import LAYERS, ConfigClass
from adapterlint.peft.methods.method import Method, MixedBatch, Searches, Together
from adapterlint.peft.methods.parameter import (
    ANYWHERE,
    CONV2D,
    EMBEDDING,
    LINEAR,
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
    AREA,
    CHANNELS,
    IN,
    OUT,
    SQUARE,
    R,
    Shape,
    Term,
    divides,
    either,
    function,
    given,
    key,
    least,
    not_null,
    parts,
    same,
    says,
    term,
)

IDLE = Begins.IDLE


def nearest_divisor(features: int, wanted: int) -> int:
    """OFT's `adjust_oft_parameters`: the divisor of the features nearest to what a config asks for."""
    if wanted <= features and features % wanted == 0:
        return wanted
    above = next((n for n in range(wanted, features + 1) if features % n == 0), features)
    below = next((n for n in range(min(wanted, features), 0, -1) if features % n == 0), 1)
    return below if wanted - below <= above - wanted else above


# They take `kernel_size[0]` for both sides, and a kernel that is not square has another number of elements.
_SQUARE_KERNEL = Demand(same(SQUARE, AREA), "RuntimeError", in_forward=True)


def _oft(attribute: str, features: Term) -> tuple[Parameter, ...]:
    """Rotations of blocks of the inputs, whose size the config gives, or their number, as `r`.

    Since 0.16 a file has the upper triangles of skew matrices, before that whole matrices. Before 0.14 it is what the
    layer puts out that is rotated, in `r` blocks that together are at least as wide.
    """
    by_size = given("oft_block_size")
    wanted = function("divisor near", nearest_divisor, features, key("oft_block_size"))
    count = function("divisor near", nearest_divisor, features, R)
    shared = given("block_share")
    blocks = either(shared, 1, either(by_size, features // wanted, count))
    size, old_size = either(by_size, wanted, features // count), parts(OUT, R)
    # Only where a kernel has one element is a convolution that is rotated by nothing what it was (`_unfold`).
    idle = given("init_weights") & same(AREA, 1)
    return (
        Parameter(f"{attribute}.weight", (blocks, size * (size - 1) // 2), begins=IDLE, idle_if=idle, since="0.16"),
        Parameter("oft_r", (blocks, size, size), begins=IDLE, since="0.14", until="0.15"),
        Parameter("oft_s", (OUT, 1), begins=IDLE, since="0.14", until="0.15"),
        Parameter("oft_r", (either(shared, 1, R), old_size, old_size), begins=IDLE, until="0.13"),
    )


_SQUARE_SINCE_14 = replace(_SQUARE_KERNEL, since="0.14")
_OLD_RANK = Demand(R > 0, text="`r` should be a positive integer value but the value passed is {r}", until="0.13")


# W R: R rotates blocks of the inputs.
OFT = Method(
    name="OFT",
    prefix="oft_",
    forms=(
        Form(on=(LINEAR,), parameters=_oft("oft_R", IN), demands=(_OLD_RANK,)),
        Form(on=(CONV2D,), parameters=_oft("oft_R", CHANNELS * SQUARE), demands=(_OLD_RANK, _SQUARE_SINCE_14)),
        Form(on=(EMBEDDING,), parameters=_oft("oft_embedding_R", OUT), since="0.19"),
    ),
    refuses={"0.21": "TypeError", OLDEST: "ValueError"},
    patterns={"r": Patterned("rank_pattern", until="0.13")},
    zero_rank=True,  # where `oft_block_size` is given
    targets_of_lora=True,
    config=ConfigClass(defaults_before={"0.16": {"r": 8, "oft_block_size": 0}}, reads_init=True),
    containers="oft_R: oft_dropout:",
    together=Together.ORDER,
    mixed=True,
    merges_otherwise="0.16",
)


def _boft(kind: Kind, features: Term, what: str, scale: Shape) -> Form:
    """A config gives the size of the blocks or their number; without its CUDA kernel PEFT makes one butterfly."""
    size, count = key("boft_block_size"), key("boft_block_num")
    by_size, by_count = given("boft_block_size"), ~given("boft_block_size")
    blocks, side = either(by_size, features // size, count), either(by_size, size, features // count)
    return Form(
        on=(kind,),
        parameters=(
            Parameter("boft_R", (1, blocks, side, side), begins=IDLE),
            Parameter("boft_s", scale, begins=IDLE),
        ),
        demands=(
            Demand(
                divides(size, features),
                text=what + " ({features}) must be divisible by boft_block_size ({boft_block_size})!",
                when=by_size,
            ),
            Demand(
                divides(count, features),
                text=what + " ({features}) must be divisible by boft_block_num ({boft_block_num})!",
                when=by_count,
            ),
            _SQUARE_KERNEL,
        ),
    )


# s W R: R is a product of butterflies of blocks that rotate, s a scale.
BOFT = Method(
    name="BOFT",
    since="0.11",
    prefix="boft_",
    forms=(
        _boft(LINEAR, IN, "in_features", (OUT, 1)),
        _boft(CONV2D, IN * SQUARE, "Convolutional kernel dimension", (1, OUT)),  # grouped ones do not run
    ),
    refuses=TYPE_ERROR_SINCE_20,
    targets_of_lora=True,
    config=ConfigClass(reads_init=True),
    containers="boft_dropout: boft_R boft_s",
    together=Together.ORDER,
)

# Reflections by pairs of equal vectors undo each other, unless these are made orthogonal first.
_PAIRS = given("init_weights") & divides(term(2), R) & ~given("apply_GS")

# W times reflections, `r` of them.
HRA = Method(
    name="HRA",
    since="0.12",
    prefix="hra_",
    forms=(
        Form(  # grouped convolutions do not run
            on=(LINEAR, CONV2D),
            parameters=(Parameter("hra_u", (IN * SQUARE, R), begins=IDLE, idle_if=_PAIRS),),
            demands=(_SQUARE_KERNEL,),
        ),
    ),
    refuses=TYPE_ERROR_SINCE_20,
    targets_of_lora=True,
    config=ConfigClass(beside_pattern=LAYERS),
    containers="hra_u",
    together=Together.ORDER,
    merges_with_whole="0.18",
)

# W + B (R - 1) A: A and B are singular vectors of W, R rotates them (`psoft_orth`) between two scales.
PSOFT = Method(
    name="PSOFT",
    since="0.19",
    prefix="psoft_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("psoft_R.weight", (R * (R - 1) // 2,), when=given("psoft_orth"), begins=IDLE),
                Parameter("psoft_R.weight", (R, R), when=~given("psoft_orth"), begins=IDLE),
                Parameter("psoft_R.vector_b", (R,), when=given("psoft_mag_b"), begins=IDLE),
                Parameter("psoft_R.vector_a", (R,), when=given("psoft_mag_a"), begins=IDLE),
            ),
            demands=(
                Demand(
                    ~(least(IN, OUT) < R),
                    text="`r` ({r}) must be less than or equal to min(in_features, out_features) ({in_features}, "
                    "{out_features})",
                    since="0.21",
                ),
            ),
        ),
    ),
    refuses=VALUE_ERROR,
    config=ConfigClass(beside_pattern=LAYERS, unread=("num_cayley_neumann_terms", "random_seed")),
    containers="psoft_dropout: psoft_R:",
)

_VARIANT = key("variant")
_ANGLES = function(
    "angles", lambda n, variant: n * {"road_1": 1, "road_2": 2, "road_4": 4}[variant] // 2, OUT, _VARIANT
)

# Pairs of outputs rotated by theta and scaled by alpha: one angle for a pair (road_1), two (road_2) or four.
ROAD = Method(
    name="ROAD",
    since="0.18",
    prefix="road_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(
                Parameter("road_theta", (_ANGLES,), begins=IDLE),
                Parameter("road_alpha", (_ANGLES,), begins=IDLE),
            ),
            demands=(
                Demand(
                    divides(key("group_size"), OUT),
                    text="The out_features of the base layer must be divisible by group_size ({group_size}) when using "
                    "RoadLayer.",
                ),
            ),
        ),
    ),
    refuses=VALUE_ERROR,
    containers="road_theta road_alpha",
    together=Together.ORDER,
    in_order=says("variant", "road_2", "road_4"),
    mixed_batch=MixedBatch.LAYERS,
)


def _kept(smaller: int, rank: Any) -> int:
    """OSF's `_resolve_rank`: a share of the ranks, or their number."""
    count = int(smaller * rank) if isinstance(rank, float) and 0 < rank <= 1 else int(rank)
    return max(min(count, smaller), 0)


_SMALLER = least(IN, OUT)
_LOW = _SMALLER - either(
    not_null("effective_rank"), function("kept", _kept, _SMALLER, key("effective_rank")), _SMALLER // 2
)


def _trained(idle_if: Term, since: str = OLDEST, until: str | None = None) -> tuple[Parameter, ...]:
    shapes: tuple[tuple[str, Shape], ...] = (("U_low", (OUT, _LOW)), ("S_low", (_LOW,)), ("V_low", (_LOW, IN)))
    return tuple(
        Parameter(f"osf_svd_params.{name}", shape, begins=IDLE, idle_if=idle_if, since=since, until=until)
        for name, shape in shapes
    )


# W taken apart: the `effective_rank` largest singular vectors are frozen, the others trained.
OSF = Method(
    name="OSF",
    since="0.18",
    prefix="osf_",
    forms=(
        Form(
            on=(LINEAR,),
            parameters=(*_trained(ALWAYS, until="0.20"), *_trained(~says("init_weights", False), since="0.21")),
        ),
    ),
    patterns={"effective_rank": Patterned("rank_pattern", ANYWHERE)},
    targets_all_linear=True,
    config=ConfigClass(null_patterns=True),
    containers="osf_svd_params:",
    searches=Searches.AFTER,
    together=Together.FIRST,
    merges_otherwise="0.18",
)
