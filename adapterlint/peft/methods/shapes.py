"""What shapes of parameters are written in: values of a config, sizes of the target, and expressions made of them.

A term is evaluated on a `Ground`, which is what is known of one config and one target, and gives `None` where that does
not decide. Its text is what one would write for it: that of `R * (R - 1) // 2` is `r * (r - 1) // 2`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

MAX_SIZE = 2**48  # elements; a larger dimension is nobody's tensor


@dataclass(frozen=True, slots=True)
class Ground:
    """What a term is evaluated on.

    Args:
        values: The config, with the values of its patterns where they match the target.
        inputs: Input features: columns of a linear layer's weight, rows of an embedding, input channels of a group of
            a convolution; for what stands at the top, those of the largest target.
        outputs: Output features, in the same way.
        channels: Input channels of all groups together, if that is known.
        kernel: The size of a convolution's kernel; of other modules it has no dimensions.
        targets: How many modules the adapter has.
        experts: How many weights a targeted parameter holds.
        bias: Whether the target has a bias.
        lists: The settings that list the target by its name.
    """

    values: Mapping[str, Any]
    inputs: int | None = None
    outputs: int | None = None
    channels: int | None = None
    kernel: tuple[int, ...] | None = ()
    targets: int | None = None
    experts: int | None = None
    bias: bool | None = None
    lists: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """An expression; one that is true or false is a condition.

    Args:
        text: How it is written.
        of: Gives its value, `None` if that is not known.
        keys: The keys of the config that it depends on.
        choice: Of one term or another: the condition, the term if it holds, the term if it does not.
        simple: Whether it is no more than a value or a size, so that it needs no brackets.
        ranks: How many times the rank it is, unless sizes of the target make it smaller; 0 if it is something else.
        capped: Whether sizes of the target may make it smaller.
        numbered: Whether it is another one for each number in the names of parameters.
        multiple_of: What goes into it without a rest, where it is not known itself.
    """

    text: str
    of: Callable[[Ground], Any]
    keys: frozenset[str] = frozenset()
    choice: tuple[Term, Term, Term] | None = None
    simple: bool = True
    ranks: int = 0
    capped: bool = False
    numbered: bool = False
    multiple_of: Term | None = None

    def __str__(self) -> str:
        return self.text

    def __add__(self, other: Term | int) -> Term:
        return _joined(self, "+", operator.add, other)

    def __sub__(self, other: Term | int) -> Term:
        return _joined(self, "-", operator.sub, other)

    def __mul__(self, other: Term | int) -> Term:
        return _joined(self, "*", operator.mul, other)

    def __rmul__(self, other: int) -> Term:
        return replace(_joined(term(other), "*", operator.mul, self), ranks=other * self.ranks)

    def __floordiv__(self, other: Term | int) -> Term:
        return _joined(self, "//", operator.floordiv, other)

    def __mod__(self, other: Term | int) -> Term:
        return _joined(self, "%", operator.mod, other)

    def __lt__(self, other: Term | int) -> Term:
        return _joined(self, "<", operator.lt, other)

    def __le__(self, other: Term | int) -> Term:
        return _joined(self, "<=", operator.le, other)

    def __gt__(self, other: Term | int) -> Term:
        return _joined(self, ">", operator.gt, other)

    def __and__(self, other: Term) -> Term:
        return _joined(self, "and", lambda a, b: bool(a and b), other)

    def __or__(self, other: Term) -> Term:
        return _joined(self, "or", lambda a, b: bool(a or b), other)

    def __invert__(self) -> Term:
        return function("not", operator.not_, self)


Shape = tuple[Term | int, ...]


def _applied(function: Callable[..., Any], *terms: Term) -> Callable[[Ground], Any]:
    """Gives what a function makes of terms, if all of them are known and of the type that PEFT means."""

    def of(ground: Ground) -> Any:
        values = [one.of(ground) for one in terms]
        if None in values:
            return None
        try:
            return function(*values)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return None

    return of


def _joined(left: Term, sign: str, function: Callable[..., Any], other: Term | int) -> Term:
    right = term(other)
    texts = (one.text if one.simple else f"({one.text})" for one in (left, right))
    return Term(f" {sign} ".join(texts), _applied(function, left, right), left.keys | right.keys, simple=False)


def term(value: Term | int) -> Term:
    """A number as a term."""
    return value if isinstance(value, Term) else Term(str(value), lambda ground: value)


def size(name: str, attribute: str) -> Term:
    """A size of the target, which a `Ground` has under another name."""
    return Term(name, operator.attrgetter(attribute))


def key(name: str, default: Any = None) -> Term:
    """The value of a key of the config, or of one inside of that: `velora_config.num_groups`.

    Args:
        name: The key.
        default: What PEFT takes if the settings inside lack it.
    """
    return Term(name, lambda ground: _value(ground, name, default), frozenset((name.partition(".")[0],)))


def _value(ground: Ground, name: str, default: Any = None) -> Any:
    outer, _, inner = name.partition(".")
    value = ground.values.get(outer)
    if not inner:
        return value
    return value.get(inner, default) if isinstance(value, Mapping) else None


def rank(name: str) -> Term:
    """The value of the key of the config that is the rank."""
    return replace(key(name), ranks=1)


def function(name: str, function: Callable[..., Any], *arguments: Term | int) -> Term:
    """A function of terms."""
    terms = [term(one) for one in arguments]
    keys = frozenset[str]().union(*(one.keys for one in terms))
    return Term(f"{name}({', '.join(map(str, terms))})", _applied(function, *terms), keys)


def either(condition: Term, yes: Term | int, no: Term | int) -> Term:
    """One term if a condition holds, another one if not."""
    then, otherwise = term(yes), term(no)

    def of(ground: Ground) -> Any:
        decided = condition.of(ground)
        return None if decided is None else (then if decided else otherwise).of(ground)

    text = f"{then} if {condition} else {otherwise}"
    choice = condition, then, otherwise
    return Term(text, of, condition.keys | then.keys | otherwise.keys, choice, simple=False)


def least(*terms: Term | int) -> Term:
    """The smallest of some terms."""
    return replace(function("min", min, *terms), ranks=max(term(one).ranks for one in terms), capped=True)


def most(*terms: Term | int) -> Term:
    """The largest of some terms."""
    return function("max", max, *terms)


def parts(whole: Term, size: Term) -> Term:
    """How many parts of a size a whole has, the last one filled up."""
    return function("ceil", lambda a, b: -(-a // b), whole, size)


ALWAYS, NEVER = term(1), term(0)
R = rank("r")
IN, OUT = size("in_features", "inputs"), size("out_features", "outputs")
TARGETS = size("targets", "targets")
EXPERTS = size("num_experts", "experts")
BIASED = size("bias", "bias")
"""The target has a bias."""
CHANNELS = replace(size("in_channels", "channels"), multiple_of=IN)
"""Input channels of a convolution, whose weight has those of one group. How many groups there are is not in it."""
KERNEL = size("kernel_size", "kernel")
"""All dimensions of a convolution's kernel, as part of a shape."""
ONES = size("1", "kernel")
"""A 1 for each dimension of the kernel, as part of a shape."""
AREA = function("product", math.prod, KERNEL)
"""How many elements a kernel has; 1 if there is none."""
SQUARE = function("square", lambda kernel: kernel[0] ** 2 if kernel else 1, KERNEL)
"""How many elements a kernel has for OFT, BOFT and HRA, which take its first side for both."""
UNKNOWN = Term("unknown", lambda ground: None)
"""A size that neither the config nor the target decides: only training, or the numbers in a weight, do."""


def multiple(name: str, part: Term) -> Term:
    """A size that is not known, of which another one is a part."""
    return Term(name, lambda ground: None, part.keys, multiple_of=part)


def each(name: str) -> Term:
    """A size that is not known either, but the same in all parameters with the same number in their names."""
    return Term(name, lambda ground: None, numbered=True)


def says(name: str, *values: Any) -> Term:
    """The config has one of some values there."""
    text = " or ".join(map(repr, values))
    return says_what(name, f"is {text}", lambda v: any(v == value and type(v) is type(value) for value in values))


def says_what(name: str, words: str, test: Callable[[Any], bool]) -> Term:
    """The config has such a value there, null if it has none."""
    keys = frozenset((name.partition(".")[0],))
    return Term(f"{name} {words}", lambda ground: test(_value(ground, name)), keys, simple=False)


def given(name: str) -> Term:
    """The config has something else there than null, false, zero and nothing."""
    return says_what(name, "is given", bool)


def not_null(name: str) -> Term:
    """The config has a value there."""
    return says_what(name, "is given", lambda value: value is not None)


def listed(name: str) -> Term:
    """A setting lists the target by its name."""
    return Term(f"{name} lists it", lambda ground: name in ground.lists, frozenset((name.partition(".")[0],)))


def same(left: Term, right: Term | int) -> Term:
    """Both are the same."""
    return _joined(left, "==", operator.eq, right)


def divides(part: Term, whole: Term) -> Term:
    """A size goes into another one without a rest."""
    return same(whole % part, 0)


def chosen(wanted: Term, ground: Ground) -> Term | None:
    """A term without its alternatives; `None` if it is not known which one holds."""
    while wanted.choice is not None:
        condition, yes, no = wanted.choice
        holds = condition.of(ground)
        if holds is None:
            return None
        wanted = yes if holds else no
    return wanted


def size_of(wanted: Term | int, ground: Ground) -> int | None:
    """What a dimension is, if that is known; a negative one stands for any multiple of it."""
    value = wanted if isinstance(wanted, int) else wanted.of(ground)
    if value is None and isinstance(wanted, Term) and wanted.multiple_of is not None:
        part = size_of(wanted.multiple_of, ground)
        return -part if part else None
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SIZE
    return value if known else None


def shape_of(shape: Shape, ground: Ground) -> tuple[int | None, ...] | None:
    """What a shape is; `None` if not even the number of dimensions is known, a negative size for any multiple of it."""
    found: list[int | None] = []
    for term in shape:
        one = term if isinstance(term, int) else chosen(term, ground)
        if one is KERNEL or one is ONES:
            if ground.kernel is None:
                return None
            found += ground.kernel if one is KERNEL else (1,) * len(ground.kernel)
        else:
            found.append(size_of(one, ground) if one is not None else None)
    return tuple(found)
