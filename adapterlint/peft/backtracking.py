"""How many steps Python's `re` takes for a match, counted without taking them.

`re` backtracks and knows no bound: `(([a-z_]+)*\\.)*q_proj` keeps it busy for minutes on an ordinary model. `regex`,
which does the matching elsewhere in adapterlint, is clever about many of these, so its clock does not tell. Here the
tree that `re` itself parses becomes a small program; what is left of it does the same at the same place in the text
however it got there, so each pair of the two is followed once and the steps of a backtracking matcher are added up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from adapterlint.caches import kept
from adapterlint.peft.patterns import silence

ENDLESS = 10_000_000  # steps of one match; `re` takes some 100 million a second, and a model has hundreds of modules
MAX_NODES = 4_000  # parts of a program; patterns that people write have some hundred
MAX_PLACES = 50_000  # pairs of part and place that are followed for one config: a fifth of a second
MAX_TEXT = 200  # characters of one text; module paths are shorter


class _Unknown(Exception):
    """The pattern has something that is not followed here."""


@dataclass(frozen=True, slots=True, eq=False)
class _Character:
    accepts: Callable[[str], bool]
    then: _Node


@dataclass(slots=True, eq=False)
class _Choice:
    """Ways to go on, in the order in which `re` tries them.

    Args:
        ways: What follows each.
        loop: The number of the unbounded repetition that this decides on.
        leaves: Which of the ways leaves it.
    """

    ways: list[_Node]
    loop: int | None = None
    leaves: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Condition:
    """What has to hold at a place: a test of text and position, or that a program matches from there."""

    test: Callable[[str, int], bool] | None
    ahead: _Node | None
    wanted: bool
    then: _Node


_Node = _Character | _Choice | _Condition | None  # `None` is the end of the program


class Search(NamedTuple):
    """What a search for an endless match has found.

    Args:
        text: The first text that takes `re` more than `ENDLESS` steps; `None` too where that cannot be found out.
        left: How many of its places were not used.
    """

    text: str | None
    left: int


@kept(1024)
def endless_match(pattern: str, texts: tuple[str, ...], *, whole: bool, places: int = MAX_PLACES) -> Search:
    """Look for a text that a pattern backtracks on without end.

    Args:
        pattern: The regular expression.
        texts: Module paths.
        whole: Whether it must match all of a text (`re.fullmatch`) or its beginning (`re.match`).
        places: How many pairs of part and place may be followed.
    """
    if not multiplies(pattern):
        return Search(None, places)
    for text in texts:
        walk = _Walk(text[:MAX_TEXT], places)
        taken = _steps(pattern, walk, whole)
        places -= len(walk.known)
        if taken is None or taken > ENDLESS:
            return Search(None if taken is None else text, places)
    return Search(None, places)


def multiplies(pattern: str) -> bool:
    """Whether a pattern has two repetitions at all, without which nothing multiplies; a quick look."""
    return sum(pattern.count(sign) for sign in "*+{") > 1


def steps(pattern: str, text: str, *, whole: bool) -> int | None:
    """The number of steps that `re` takes to match a text, or to find that it does not match.

    Returns:
        The number, from which nothing is taken off for the shortcuts of `re`; `None` if the pattern is not understood.
    """
    return _steps(pattern, _Walk(text, MAX_PLACES), whole)


def _steps(pattern: str, walk: _Walk, whole: bool) -> int | None:
    start = _program(pattern, whole)
    try:
        return None if isinstance(start, str) else walk.follow(start, 0)[1]
    except (_Unknown, RecursionError):
        return None


@kept(256)
def _program(pattern: str, whole: bool) -> _Node | str:
    """The program of a pattern; a string says why there is none."""
    try:
        from re import _parser  # type: ignore[attr-defined]  # there is no public way to the tree

        with silence():
            tree = _parser.parse(pattern)
        end = _Condition(lambda text, at: at == len(text), None, True, None) if whole else None
        return _Compiler().sequence(tree, end)
    except (ImportError, re.error, OverflowError, RecursionError, _Unknown) as error:
        return type(error).__name__


class _Compiler:
    """Makes a program of a tree, from its end to its beginning."""

    def __init__(self) -> None:
        self.nodes = 0
        self.loops = 0

    def sequence(self, items: Iterable[tuple[Any, Any]], then: _Node) -> _Node:
        for name, argument in reversed(list(items)):
            then = self._item(str(name), argument, then)
        return then

    def _item(self, name: str, argument: Any, then: _Node) -> _Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _Unknown
        if name in ("ANY", "LITERAL", "NOT_LITERAL", "IN"):
            return _Character(_accepts(name, argument), then)
        if name == "AT" and (test := _ANCHORS.get(str(argument))):
            return _Condition(test, None, True, then)
        if name == "SUBPATTERN" and not argument[1] and not argument[2]:
            return self.sequence(argument[3], then)
        if name == "BRANCH":
            return _Choice([self.sequence(branch, then) for branch in argument[1]])
        if name in ("ASSERT", "ASSERT_NOT") and argument[0] > 0:
            return _Condition(None, self.sequence(argument[1], None), name == "ASSERT", then)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, inner = argument
            return self._repeat(list(inner), int(low), int(high), name == "MAX_REPEAT", then)
        raise _Unknown

    def _repeat(self, items: list[tuple[Any, Any]], low: int, high: int, greedy: bool, then: _Node) -> _Node:
        if high >= _UNBOUNDED:
            loop = _Choice([], loop=self.loops, leaves=int(greedy))
            self.loops += 1
            loop.ways = _ordered(self.sequence(items, loop), then, greedy)
            again: _Node = loop
        else:
            again = then
            for _ in range(min(high - low, MAX_NODES)):
                self.nodes += 1
                again = _Choice(_ordered(self.sequence(items, again), then, greedy))
        for _ in range(min(low, MAX_NODES)):
            self.nodes += 1
            again = self.sequence(items, again)
        return again


def _ordered(more: _Node, then: _Node, greedy: bool) -> list[_Node]:
    return [more, then] if greedy else [then, more]


_Entered = tuple[tuple[int, int], ...]  # (number of a repetition, where its present turn began), for those within


class _Walk:
    """The steps of one text, each pair of program and place counted once."""

    def __init__(self, text: str, places: int) -> None:
        self.text = text
        self.places = places
        self.known: dict[tuple[int, int, _Entered], tuple[bool, int]] = {}

    def follow(self, node: _Node, at: int, entered: _Entered = ()) -> tuple[bool, int]:
        """Whether the rest of the program matches from a place, and the steps that `re` takes to know it."""
        taken = 1
        while not isinstance(node, _Choice):
            if node is None:
                return True, taken
            taken += 1
            if isinstance(node, _Character):
                if at >= len(self.text) or not node.accepts(self.text[at]):
                    return False, taken
                at += 1
            else:
                holds, more = self._holds(node, at)
                taken += more
                if not holds:
                    return False, taken
            node = node.then
        found, more = self._choose(node, at, entered)
        return found, taken + more

    def _holds(self, node: _Condition, at: int) -> tuple[bool, int]:
        if node.test is not None:
            return node.test(self.text, at), 0
        found, taken = self.follow(node.ahead, at)
        return found == node.wanted, taken

    def _choose(self, node: _Choice, at: int, entered: _Entered) -> tuple[bool, int]:
        place = id(node), at, entered
        if place not in self.known:
            if len(self.known) >= self.places:
                raise _Unknown
            found, taken = False, 0
            for number, way in enumerate(node.ways):
                within = entered
                if node.loop is not None:
                    outside = tuple(turn for turn in entered if turn[0] != node.loop)
                    leaves = number == node.leaves
                    if not leaves and (node.loop, at) in entered:  # `re` does not repeat an empty match
                        continue
                    within = outside if leaves else (*outside, (node.loop, at))
                found, more = self.follow(way, at, within)
                taken += more
                if found:
                    break
            self.known[place] = found, taken
        return self.known[place]


_UNBOUNDED = 2**31 - 1  # or more, by release of Python; no text is that long
_ANCHORS: dict[str, Callable[[str, int], bool]] = {
    "AT_BEGINNING": lambda text, at: at == 0,
    "AT_BEGINNING_STRING": lambda text, at: at == 0,
    "AT_END": lambda text, at: at == len(text),
    "AT_END_STRING": lambda text, at: at == len(text),
    "AT_BOUNDARY": lambda text, at: _is_word(text[at - 1 : at]) != _is_word(text[at : at + 1]),
    "AT_NON_BOUNDARY": lambda text, at: _is_word(text[at - 1 : at]) == _is_word(text[at : at + 1]),
}


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_WORD": _is_word,
}


def _accepts(name: str, argument: Any) -> Callable[[str], bool]:
    if name == "ANY":
        return lambda character: character != "\n"
    if name != "IN":
        return lambda character: (ord(character) == argument) == (name == "LITERAL")
    negated = str(argument[0][0]) == "NEGATE"
    tests = [_in_class(str(kind), value) for kind, value in argument[int(negated) :]]
    return lambda character: negated != any(test(character) for test in tests)


def _in_class(kind: str, value: Any) -> Callable[[str], bool]:
    if kind == "LITERAL":
        return lambda character: ord(character) == value
    if kind == "RANGE":
        return lambda character: bool(value[0] <= ord(character) <= value[1])
    category = str(value)
    test = _CATEGORIES.get(category.replace("_NOT_", "_"))
    if kind != "CATEGORY" or test is None:
        raise _Unknown
    return lambda character: test(character) != ("_NOT_" in category)
