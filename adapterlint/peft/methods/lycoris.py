"""Entries of the catalogue: LoHa and LoKr, products of Hadamard and Kronecker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from adapterlint.peft.methods.config_class import ConfigClass
from adapterlint.peft.methods.method import Method
from adapterlint.peft.methods.parameter import (
    CONV1D,
    CONV2D,
    LINEAR,
    OLDEST,
    TYPE_ERROR_SINCE_20,
    Begins,
    Form,
    Parameter,
    Patterned,
)
from adapterlint.peft.methods.shapes import (
    AREA,
    CHANNELS,
    IN,
    KERNEL,
    OUT,
    R,
    Shape,
    Term,
    either,
    function,
    given,
    key,
    most,
    says,
)

IDLE = Begins.IDLE

# Before 0.20 these take the channels of all groups, so that no grouped convolution runs; since then those of one group,
# as the weight has them.
# LyCORIS: a convolution keeps its kernel apart only where the config asks for it and it has more than one element.
_KERNEL_APART = given("use_effective_conv2d") & (AREA > 1)


def _grouped(of: Callable[..., tuple[Parameter, ...]], kernel: Shape) -> tuple[Parameter, ...]:
    """The parameters on a convolution: before 0.20 they are as wide as all of its groups together."""
    return (*of(kernel, since="0.20"), *of(kernel, CHANNELS, until="0.19"))


def _loha(kernel: Shape, channels: Term = IN, since: str = OLDEST, until: str | None = None) -> tuple[Parameter, ...]:
    left = (either(_KERNEL_APART, R, OUT), either(_KERNEL_APART, OUT, R))
    right = (R, either(_KERNEL_APART, channels, channels * AREA))
    found = (
        Parameter("hada_w1_a", left),
        Parameter("hada_w1_b", right),
        Parameter("hada_w2_a", left),
        Parameter("hada_w2_b", right, begins=IDLE),
        Parameter("hada_t1", (R, R, *kernel), when=_KERNEL_APART),
        Parameter("hada_t2", (R, R, *kernel), when=_KERNEL_APART),
    )
    return tuple(replace(one, since=since, until=until) for one in found)


# W + (w1_a w1_b) times (w2_a w2_b), element by element.
LOHA = Method(
    name="LOHA",
    title="LoHa",
    prefix="hada_",
    forms=(
        Form(on=(LINEAR,), parameters=_loha(())),
        Form(on=(CONV2D,), parameters=_grouped(_loha, (KERNEL,))),
        Form(on=(CONV1D,), parameters=_grouped(_loha, (KERNEL, 1)), since="0.18"),
    ),
    refuses=TYPE_ERROR_SINCE_20,
    patterns={"r": Patterned("rank_pattern"), "alpha": Patterned("alpha_pattern")},
    config=ConfigClass(unread=("module_dropout",)),
    containers="hada_w1_a hada_w1_b hada_w2_a hada_w2_b hada_t1 hada_t2",
    mixed=True,
    mixed_first=True,
    merges_with_whole="0.18",
)


def factors(dimension: int, factor: int) -> tuple[int, int]:
    """LoKr's `factorization`: two factors as near to each other as `factor` allows, the smaller one first."""
    if factor > 0 and dimension % factor == 0:
        return factor, dimension // factor
    limit = dimension if factor == -1 else factor
    small, large = 1, dimension
    while small < large:
        new = next(n for n in range(small + 1, dimension + 1) if dimension % n == 0)
        if new + dimension // new > small + large or new > limit:
            break
        small, large = new, dimension // new
    return (small, large) if small <= large else (large, small)


def _split(features: Term) -> tuple[Term, Term]:
    """The two sizes that LoKr makes of one: the delta is the Kronecker product of `w1` and `w2`."""
    arguments = features, key("decompose_factor")
    return (
        function("factor", lambda n, factor: factors(n, factor)[0], *arguments),
        function("cofactor", lambda n, factor: factors(n, factor)[1], *arguments),
    )


def _lokr(kernel: Shape, channels: Term = IN, since: str = OLDEST, until: str | None = None) -> tuple[Parameter, ...]:
    (left, right), (above, below) = _split(OUT), _split(channels)
    split_first = given("decompose_both") & (most(left, above) > R * 2)
    split = most(right, below) > R * 2
    first, second = given("init_weights") & ~says("init_weights", "lycoris"), says("init_weights", "lycoris")
    outputs = (either(_KERNEL_APART, R, right), either(_KERNEL_APART, right, R))
    inputs = (R, either(_KERNEL_APART, below, below * AREA))
    found = (
        Parameter("lokr_w1", (left, above), when=~split_first, begins=IDLE, idle_if=first),
        Parameter("lokr_w1_a", (left, R), when=split_first, begins=IDLE, idle_if=first),
        Parameter("lokr_w1_b", (R, above), when=split_first),
        Parameter("lokr_w2", (right, below, KERNEL), when=~split, begins=IDLE, idle_if=second),
        Parameter("lokr_w2_a", outputs, when=split),
        Parameter("lokr_w2_b", inputs, when=split, begins=IDLE, idle_if=second),
        Parameter("lokr_t2", (R, R, *kernel), when=split & _KERNEL_APART),
    )
    return tuple(replace(one, since=since, until=until) for one in found)


# W + the Kronecker product of w1 and w2, each whole or a product of two factors.
LOKR = Method(
    name="LOKR",
    title="LoKr",
    prefix="lokr_",
    forms=(
        Form(on=(LINEAR,), parameters=_lokr(())),
        Form(on=(CONV2D,), parameters=_grouped(_lokr, (KERNEL,))),
        Form(on=(CONV1D,), parameters=_grouped(_lokr, (KERNEL, 1)), since="0.18"),
    ),
    refuses=TYPE_ERROR_SINCE_20,
    patterns={"r": Patterned("rank_pattern"), "alpha": Patterned("alpha_pattern")},
    config=ConfigClass(unread=("module_dropout",)),
    containers="lokr_w1 lokr_w1_a lokr_w1_b lokr_w2 lokr_w2_a lokr_w2_b lokr_t2",
    mixed=True,
    mixed_first=True,
    merges_with_whole="0.18",
)
