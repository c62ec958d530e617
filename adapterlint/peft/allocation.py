"""Sizes that torch makes no tensor of: it stumbles before PEFT looks into the file."""

from __future__ import annotations

from collections.abc import Iterable

from adapterlint.peft.methods.expected import Made
from adapterlint.peft.methods.shapes import MAX_SIZE, Term, chosen
from adapterlint.peft.refused import Refused

_LARGEST_LONG = 2**63 - 1  # what a size is for torch


def check_sizes(made: Iterable[Made], module: str = "") -> None:
    """Look at what a config makes.

    Raises:
        Refused: One of its dimensions is negative, or larger than any memory.
    """
    for one in made:
        for term in one.parameter.shape:
            known = chosen(term, one.ground) if isinstance(term, Term) else None
            size = known.of(one.ground) if known is not None else None
            if type(size) is int and not 0 <= size <= MAX_SIZE:
                raise _refusal(size, module)


def check_rank(r: int, *, divides: bool) -> None:
    """Look at the rank of what an adapter has once, which PEFT makes before it looks at the rank.

    Args:
        r: The rank.
        divides: Whether something is divided by it; if not, it is the layers that are refused.

    Raises:
        Refused: There are no tensors of that size.
    """
    if r < 0:
        raise _refusal(r, "")
    if r == 0:
        error, text = ("ZeroDivisionError", "division by zero") if divides else ("ValueError", _NO_RANK)
        raise Refused(error, text, cause="config")


_NO_RANK = "`r` should be a positive integer value but the value passed is 0"


def _refusal(size: int, module: str) -> Refused:
    if size < 0:
        text = f"Trying to create tensor with negative dimension {size}"
        return Refused("RuntimeError", text, module=module, cause="config")
    if size > _LARGEST_LONG:
        text = "argument 'size' failed to unpack the object: Overflow when unpacking long long"
        return Refused("TypeError", text, module=module, cause="config")
    return Refused("RuntimeError", "more memory is asked for than can be allocated", module=module, cause="config")
