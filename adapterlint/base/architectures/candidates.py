"""Expressions that a number of a model may be computed by, the simplest first.

An expression is a number, the name of a cause, or an operator with expressions: `["*", 4, "hidden_size"]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from typing import Any

MAX_OF_THREE, MAX_OF_FOUR = 6, 4  # atoms of which three or four are tried together


def candidates(values: Mapping[str, Any], causes: Sequence[str], depth: int) -> Iterator[Any]:
    """Expressions over causes.

    Args:
        values: What the causes are.
        depth: How many lists of layers the number stands in.
    """
    levels = list(reversed(range(depth)))
    atoms = _atoms(values, causes, levels)
    yield from atoms
    for atom in atoms:
        yield from _of_one(atom, levels)
    yield from _of_pairs(atoms, levels)
    for a, b in combinations(atoms, 2):
        yield from _of_two(a, b)
    if len(atoms) <= MAX_OF_THREE:
        yield from _of_three(atoms)
    if len(atoms) <= MAX_OF_FOUR:
        yield from _of_four(atoms)


def is_number(value: Any) -> bool:
    """Whether a value is a number that can be computed with."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _atoms(values: Mapping[str, Any], causes: Sequence[str], levels: Sequence[int]) -> list[Any]:
    """The causes themselves, and what lists have for a layer."""
    atoms: list[Any] = [c for c in causes if is_number(values.get(c))]
    for cause in causes:
        if isinstance(values.get(cause), list):
            atoms += [["at", cause, level] for level in levels]
            atoms += [["at", cause, level, 1] for level in levels]
            atoms += [["at", cause, level, -1] for level in levels]
            atoms += [["len", cause], ["sum", cause]]
            atoms += [["count", cause, name] for name in dict.fromkeys(values[cause]) if isinstance(name, str)]
    return atoms


def _of_one(atom: Any, levels: Sequence[int]) -> Iterator[Any]:
    for k in (2, 3, 4, 5, 6, 8, 9, 16):
        yield ["*", k, atom]
    for k in (1, 2, 3, 4, 8):
        yield ["+", atom, k]
        yield ["-", atom, k]
    for k in (2, 4, 3, 8):
        yield ["/", atom, k]
    for level in levels:
        yield ["*", atom, ["pow2", level]]
        yield ["*", 2, ["*", atom, ["pow2", level]]]
        yield ["*", 3, ["*", atom, ["pow2", level]]]
        yield ["*", 4, ["*", atom, ["pow2", level]]]
        yield ["*", 8, ["*", atom, ["pow2", level]]]
    yield ["-", ["*", 2, atom], 1]
    yield ["+", ["*", 2, atom], 1]
    yield ["*", atom, atom]


def _of_pairs(atoms: Sequence[Any], levels: Sequence[int]) -> Iterator[Any]:
    """One operation of two, and what small numbers make of it."""
    pairs: list[Any] = []
    for a, b in combinations(atoms, 2):
        pairs += [["*", a, b], ["+", a, b], ["/", a, b], ["/", b, a], ["-", a, b], ["-", b, a]]
    yield from pairs
    for p in pairs:
        for k in (2, 3, 4):
            yield ["*", k, p]
        yield ["/", p, 2]
        yield ["+", p, 1]
        yield ["+", p, 2]
        for level in levels:
            yield ["*", p, ["pow2", level]]


def _of_two(a: Any, b: Any) -> Iterator[Any]:
    """Several operations of two."""
    for ratio in (["/", a, b], ["/", b, a]):
        squared = ["*", ratio, ratio]
        yield squared
        yield ["+", squared, 1]
        yield ["+", squared, 2]
    for k in (2, 3, 4):
        yield ["+", a, ["*", k, b]]
        yield ["+", b, ["*", k, a]]
    yield ["*", a, ["*", b, b]]
    yield ["*", b, ["*", a, a]]
    yield ["*", ["/", a, b], b]
    yield ["*", ["/", b, a], a]
    for x, y in ((a, b), (b, a)):
        yield ["+", ["*", x, ["/", y, x]], ["*", 2, x]]
        yield ["+", y, ["*", 2, ["/", y, x]]]
        yield ["+", ["*", y, y], x]


def _of_three(atoms: Sequence[Any]) -> Iterator[Any]:
    for a in atoms:
        for b, c in combinations([x for x in atoms if x != a], 2):
            for x, y in ((b, c), (c, b)):
                yield ["*", a, ["*", x, y]]
                yield ["*", a, ["/", x, y]]
                yield ["/", ["*", a, x], y]
                yield ["*", a, ["+", x, y]]
                yield ["+", a, ["*", x, y]]
                yield ["+", a, ["+", x, y]]
                yield ["*", a, ["+", x, ["*", 2, y]]]
                yield ["+", a, ["*", 2, ["*", x, y]]]
                yield ["+", ["*", 2, a], ["*", x, y]]
                yield ["+", ["*", 2, a], ["*", 2, ["*", x, y]]]
                yield ["*", ["/", a, x], ["+", x, ["*", 2, y]]]
                yield ["*", 2, ["*", a, ["/", x, y]]]


def _of_four(atoms: Sequence[Any]) -> Iterator[Any]:
    for a, b, c, d in (p for four in combinations(atoms, 4) for p in permutations(four)):
        yield ["+", ["*", a, b], ["*", c, d]]
        yield ["*", a, ["+", b, ["*", c, d]]]
        yield ["+", ["*", a, b], ["+", c, d]]
        yield ["*", ["+", a, b], ["+", c, d]]
