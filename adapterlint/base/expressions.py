"""The small language of the table: what is in a model, counted and measured by the values of its config.

A number is an int, the name of a config value, `[operator, ...]`, or a choice of numbers; a choice is a list of
features and what each row of their values means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAX_NUMBER = 1 << 40  # a size beyond it is no size of a model
MAX_NESTED_CONFIGS = 4  # `thinker_config.text_config.…`
LABELS = "num_labels"
ABSENT = -1  # the number of no node
STAR = "*"  # ends the name of a module that a list has once for each index

Plain = bool | int | str | None
Index = tuple[tuple[int, int], ...]  # of each list around a module, outermost first: index and length


class Missing(Exception):
    """A value that an expression needs is not there, or has another type."""


def flat(config: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, Any]]:
    """The values of a config by name, those of nested configs by dotted name."""
    for key, value in config.items():
        if not isinstance(key, str):
            continue
        yield key, value
        if isinstance(value, Mapping):
            if key == "id2label":
                yield LABELS, len(value)
            elif depth < MAX_NESTED_CONFIGS:
                yield from ((f"{key}.{name}", inner) for name, inner in flat(value, depth + 1))


def number(expression: Any, values: Mapping[str, Any], index: Index = ()) -> int:
    """The value of a numeric expression.

    Raises:
        Missing: A config value is missing, has another type, or the result is no size.
    """
    value = _number(expression, values, index)
    if not 0 <= value <= MAX_NUMBER:
        raise Missing(str(expression)[:80])
    return int(value)


def _number(expression: Any, values: Mapping[str, Any], index: Index) -> float:
    if isinstance(expression, int):
        return expression
    if isinstance(expression, str):
        return _real(values.get(expression))
    if isinstance(expression, dict):
        return _number(decide(expression, values, index), values, index)
    operator, *rest = expression
    if operator in _OPERATORS:
        a, b = (_number(part, values, index) for part in rest)
        return _real(_OPERATORS[operator](a, b))
    if operator == "pow2":
        return 1 << _position(index, rest[0])
    value = _list(values.get(rest[0]))
    if operator == "len":
        return len(value)
    if operator == "sum":
        return sum(map(_real, value))
    if operator == "count":
        return value.count(rest[1])
    return _real(_item(value, _position(index, rest[1]) + (rest[2] if len(rest) > 2 else 0)))


def _real(value: Any) -> float:
    """An int, or a float such as `mlp_ratio`."""
    if type(value) not in (int, float) or not abs(value) <= MAX_NUMBER:
        raise Missing(str(value)[:80])
    return value  # type: ignore[no-any-return]


def _int(value: Any) -> int:
    if type(value) is not int or abs(value) > MAX_NUMBER:
        raise Missing(str(value)[:80])
    return value


def _divided(a: float, b: float) -> float:
    if b == 0:
        raise Missing("division by 0")
    return a // b


_OPERATORS = {"*": lambda a, b: a * b, "+": lambda a, b: a + b, "-": lambda a, b: a - b, "/": _divided}


def _position(index: Index, level: int) -> int:
    if level >= len(index):
        raise Missing("index")
    return index[level][0]


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise Missing(str(type(value)))
    return value


def _names(value: Any) -> Sequence[Any]:
    """A list of names, which DeBERTa also takes as `"p2c|c2p"`."""
    if value is None:
        return ()
    return [name.strip() for name in value.lower().split("|")] if isinstance(value, str) else _list(value)


def _item(value: Sequence[Any], position: int) -> Any:
    if not 0 <= position < len(value):
        raise Missing("item")
    return value[position]


def feature(expression: Sequence[Any], values: Mapping[str, Any], index: Index = ()) -> Plain:
    """The value of a feature: what a condition looks at.

    Raises:
        Missing: It has no value for this config.
    """
    operator, *rest = expression
    if operator == "t":  # truth of a value
        return bool(values.get(rest[0]))
    if operator == "n":  # whether a value is null
        return values.get(rest[0]) is None
    if operator == "v":
        return _plain(values.get(rest[0]))
    if operator == "eq":  # whether two values are equal
        return bool(values.get(rest[0]) == values.get(rest[1]))
    if operator == "p":  # whether a number is positive
        value = values.get(rest[0])
        return value is not None and _int(value) > 0
    if operator == "has":  # whether a list has a name
        return rest[1] in _names(values.get(rest[0]))
    position = _position(index, rest[0])
    if operator == "i":  # is it the nth
        return bool(position == rest[1])
    if operator == "e":  # is it the last
        return bool(position == index[rest[0]][1] - 1)
    if operator == "m":  # every nth
        return bool(position % _positive(rest[1]) == rest[2])
    value = values.get(rest[1])
    if operator == "lt":
        return position < _int(value)
    if operator == "tail":  # is it one of the last, which are not all
        return bool(0 < index[rest[0]][1] - _int(value) <= position)
    if operator == "beyond":  # the same, where they may be all
        return bool(index[rest[0]][1] - _int(value) <= position)
    if operator == "mod":  # (i + c) % attr == attr or 0
        remainder = _int(values.get(rest[3])) if isinstance(rest[3], str) else rest[3]
        return bool((position + rest[2]) % _positive(_int(value)) == remainder)
    if operator == "in":
        return value is not None and position in _list(value)
    return _plain(_item(_list(value), position))  # "at"


def _positive(value: int) -> int:
    if value <= 0:
        raise Missing("not positive")
    return value


def _plain(value: Any) -> Plain:
    if value is None or isinstance(value, bool | int | str):
        return value
    raise Missing(str(type(value)))


def decide(choice: Mapping[str, Any], values: Mapping[str, Any], index: Index = ()) -> Any:
    """The label that a choice has for a config.

    Args:
        choice: `f` features, `m` rows of their values and the label; neither where no rule was found.

    Raises:
        Missing: The config does not decide it.
    """
    if "f" not in choice:
        raise Missing("no rule")
    key = [feature(f, values, index) for f in choice["f"]]
    for *row, label in choice["m"]:
        if row == key and all(type(a) is type(b) for a, b in zip(row, key, strict=True)):
            return label
    raise Missing("no row")


def default_of(choice: Mapping[str, Any], index: Index) -> Any:
    """What the default config has at a place: as the first row of a choice says, unless it says so itself.

    Indices beyond those of the default config have what the last of them has.
    """
    default = choice["d"] if "d" in choice else choice["m"][0][-1]
    if isinstance(default, list):
        return default[min(index[-1][0], len(default) - 1)] if index else default[0]
    if isinstance(default, dict):
        return default.get(".".join(str(i) for i, _ in index), next(iter(default.values())))
    return default


def settled(choice: Mapping[str, Any], values: Mapping[str, Any], index: Index = ()) -> Any:
    """The label that a choice has for a config, that of the default config where this one does not decide it."""
    try:
        return decide(choice, values, index)
    except Missing:
        return default_of(choice, index)


def options(choice: Any) -> list[Any]:
    """Every label that a choice may have, those of its rows first."""
    if isinstance(choice, int):
        return [choice]
    found = [row[-1] for row in choice.get("m", ())] + choice.get("o", [])
    default = choice.get("d", [])
    found += default if isinstance(default, list) else default.values() if isinstance(default, dict) else [default]
    return list(dict.fromkeys(found))
