"""Find, from models built with many configs, the expressions that say what of a model depends on which config value.

Only values whose change alone changed something may explain it, and only what agrees with every model that was built
is an explanation; where there is none, the table says what the default config gives.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from adapterlint.base.architectures.candidates import candidates, is_number
from adapterlint.base.expressions import Index, Missing, feature, number

MAX_FEATURES = 70
MAX_TRIPLES = 24
MAX_CAUSES = 6
MAX_SPLITS = 2  # one within another


@dataclass(eq=False)
class Build:
    """One config that a model was built with.

    Args:
        values: The config's values by dotted name.
        changed: The values that differ from the reduced config; `None` for the default config, which differs in many.
    """

    values: Mapping[str, Any]
    changed: frozenset[str] | None

    @functools.cached_property
    def items(self) -> frozenset[tuple[str, str]]:
        """The values that differ, with what they are."""
        return frozenset((name, repr(self.values.get(name))) for name in self.changed or ())


Samples = Sequence[tuple[Build, Index]]


@dataclass
class Learner:
    """What is known of all builds of a class.

    Args:
        unprobed: Values (ints) that no build could change.
        sizes: Values (ints) whose change alone changed a shape or a length.
        activations: Name of an activation in a config -> the class of its module.
    """

    unprobed: Mapping[str, int] = field(default_factory=dict)
    sizes: frozenset[str] = frozenset()
    activations: Mapping[str, str] = field(default_factory=dict)

    def causes(self, samples: Samples, labels: Sequence[Hashable]) -> list[str]:
        """The values whose change alone changed a label."""
        known: dict[Any, set[Hashable]] = defaultdict(set)
        for (build, index), label in zip(samples, labels, strict=True):
            if build.changed is not None:
                known[build.items, tuple(i for i, _ in index)].add(label)
        alike: dict[Any, set[Hashable]] = {}  # cause, the other changes, where -> labels
        for (items, where), own in known.items():
            for item in items:
                others = items - {item}
                group = alike.setdefault((item[0], others, where), set(known.get((others, where), ())))
                group |= own
        return list(dict.fromkeys(cause for (cause, _, _), group in alike.items() if len(group) > 1))

    def choice(self, samples: Samples, labels: Sequence[Any]) -> Any:
        """A label if it is always the same, else a choice among them (see `expressions.decide`)."""
        if len(set(labels)) == 1:
            return labels[0]
        causes = self.causes(samples, labels)
        found = self._rule(samples, labels, causes)
        default = _default_labels(samples, labels)
        return {**found, "d": default} if found else {"d": default, "o": list(dict.fromkeys(labels))}

    def activation(self, samples: Samples, types: Sequence[str]) -> str | None:
        """The value that names the activation whose class a module always has."""
        for cause in self.causes(samples, types):
            named = [build.values.get(cause) for build, _ in samples]
            if all(isinstance(n, str) and self.activations.get(n) == t for n, t in zip(named, types, strict=True)):
                return cause
        return None

    def _rule(self, samples: Samples, labels: Sequence[Any], causes: list[str]) -> dict[str, Any] | None:
        depth = _depth(samples)
        features = list(_features(_known(samples, causes), causes, depth, self.sizes))[:MAX_FEATURES]
        columns = []
        for f in features:
            found = [_value(f, build, index) for build, index in samples]
            if any(isinstance(v, Missing) for v in found):
                continue
            column = [(type(v), v) for v in found]
            if len(set(column)) > 1:
                columns.append((f, column))
        for size, pool in ((1, columns), (2, columns), (3, columns[:MAX_TRIPLES])):
            for chosen in combinations(pool, size):
                rows = _rows([column for _, column in chosen], labels)
                if rows is not None and len(rows) <= max(len(labels) // 2, 2):
                    return {"f": [f for f, _ in chosen], "m": rows}
        return None

    def number(self, samples: Samples, values: Sequence[int], splits: int = MAX_SPLITS) -> Any:
        """An int, an expression, or a choice of expressions that gives all the values; `None` if none was found."""
        causes = self.causes(samples, values)
        found = self._number(samples, values, causes)
        if found is not None or len(causes) > MAX_CAUSES or not splits:
            return found
        for f in _switches(samples[0][0].values, causes, _depth(samples)):
            split = self._split(f, samples, values, splits - 1)
            if split is not None:
                return split
        return None

    def count(self, samples: Samples, counts: Sequence[int]) -> Any:
        """What counts the items of a list: also a value that has the number, where no build tells more."""
        if len(set(counts)) > 1:
            return self.number(samples, counts)
        names = {**self.unprobed, **self._unchanged(samples)}
        equal = [name for name, value in names.items() if value == counts[0] > 1]
        layers = [name for name in equal if "layers" in name or "depth" in name]
        equal = layers if len(layers) == 1 else equal
        return equal[0] if len(equal) == 1 else None if equal else counts[0]

    def _split(self, f: list[Any], samples: Samples, values: Sequence[int], splits: int) -> Any:
        parts: dict[Any, list[int]] = defaultdict(list)
        for n, (build, index) in enumerate(samples):
            parts[repr(_value(f, build, index))].append(n)
        if not 1 < len(parts) < 4:
            return None
        rows = []
        for chosen in parts.values():
            own = [samples[n] for n in chosen]
            numbers = [values[n] for n in chosen]
            expression = f[-1] if _is_value(f[-1], own, numbers) else self.number(own, numbers, splits)
            value = _value(f, *own[0])
            if expression is None or isinstance(value, Missing):
                return None
            rows.append([value, expression])
        return {"f": [f], "m": rows, "d": None}

    def _number(self, samples: Samples, values: Sequence[int], causes: list[str]) -> Any:
        if len(set(values)) == 1 and (constant := self._constant(samples, values[0], causes)) is not None:
            return constant
        depth = _depth(samples)
        own: dict[str, Any] = {}
        for build, _ in samples:
            for cause in causes:
                if is_number(value := build.values.get(cause)) or isinstance(value, list):
                    own.setdefault(cause, value)
        if not own or len(own) > MAX_CAUSES:
            return None
        checks = sorted(range(len(values)), key=lambda n: not samples[n][0].changed)
        checks = _distinct(checks, samples, values, list(own))
        for expression in candidates(own, list(own), depth):
            if all(_number(expression, *samples[n]) == values[n] for n in checks):
                return expression
        return None

    def _constant(self, samples: Samples, value: int, causes: list[str]) -> int | None:
        """A size that never changed; not known if it may come from a value that none of the builds changed."""
        if value <= 4:
            return value
        if causes or any(v > 1 and value % v == 0 for v in self.unprobed.values()):
            return None
        if any(v > 4 and value % v == 0 for v in self._unchanged(samples).values()):
            return None
        if any(isinstance(v, list) and value in v for v in samples[0][0].values.values()):
            return None
        return value if self._sized(samples) or not self.sizes else None

    def _unchanged(self, samples: Samples) -> dict[str, int]:
        """The values that shape other models of the class and are the same in all of these."""
        own = samples[0][0].values
        known = {n: own[n] for n in sorted(self.sizes) if _is_int(own.get(n))}
        return {n: v for n, v in known.items() if all(build.values.get(n) == v for build, _ in samples)}

    def _sized(self, samples: Samples) -> bool:
        """Whether a value that gives a size was changed in one of the builds."""
        return any(build.changed is None or build.changed & self.sizes for build, _ in samples)


def _is_value(cause: str, samples: Samples, values: Sequence[int]) -> bool:
    """Whether all that there is of a number is what one value says."""
    return len(set(values)) == 1 and all(build.values.get(cause) == values[0] for build, _ in samples)


def _distinct(order: list[int], samples: Samples, values: Sequence[int], causes: list[str]) -> list[int]:
    """One sample of those that no expression over the causes can tell apart."""
    seen: dict[str, int] = {}
    for n in order:
        build, index = samples[n]
        key = repr(([build.values.get(c) for c in causes], index, values[n]))
        seen.setdefault(key, n)
    return list(seen.values())


def _default_labels(samples: Samples, labels: Sequence[Any]) -> Any:
    """What the default config has (else the reduced one): one label, or one for each index."""
    kinds: tuple[frozenset[str] | None, ...] = (None, frozenset())
    for kind in kinds:
        rows = [(index, label) for (build, index), label in zip(samples, labels, strict=True) if build.changed == kind]
        if rows:
            break
    else:
        return labels[0]
    if len({label for _, label in rows}) == 1:
        return rows[0][1]
    if all(len(index) == 1 for index, _ in rows):
        return [label for _, label in sorted(rows, key=lambda row: row[0])]
    return {".".join(str(i) for i, _ in index): label for index, label in rows}


def _rows(columns: list[list[Any]], labels: Sequence[Any]) -> list[list[Any]] | None:
    seen: dict[Any, Any] = {}
    for key, label in zip(zip(*columns, strict=True), labels, strict=True):
        if seen.setdefault(key, label) != label:
            return None
    return [[*(k[1] for k in key), label] for key, label in seen.items()]


def _value(f: Sequence[Any], build: Build, index: Index) -> Any:
    try:
        return feature(f, build.values, index)
    except Missing as missing:
        return missing


def _number(expression: Any, build: Build, index: Index) -> int | None:
    try:
        return number(expression, build.values, index)
    except Missing:
        return None


def _features(values: Mapping[str, Any], causes: list[str], depth: int, sizes: frozenset[str]) -> Iterator[list[Any]]:
    levels = list(reversed(range(depth)))
    for cause in causes:
        value = values.get(cause)
        if isinstance(value, bool):
            yield ["t", cause]
        elif isinstance(value, list):
            for level in levels:
                yield ["at", level, cause]
                yield ["in", level, cause]
            yield from (["has", cause, name] for name in sorted({v for v in value if isinstance(v, str)}))
        elif isinstance(value, str):
            yield ["v", cause]
    for level in levels:
        yield ["i", level, 0]
        yield ["e", level]
    ints = [c for c in causes if _is_int(values.get(c))]
    yield from (["eq", a, b] for a in ints for b in sorted(sizes) if a != b and _near(a, b))
    for cause in ints:
        for level in levels:
            yield ["lt", level, cause]
            for other in [*(o for o in ints if o != cause), 0]:
                yield ["mod", level, cause, 0, other]
            yield ["mod", level, cause, 1, 0]
    yield from ([tail, level, cause] for cause in ints for level in levels for tail in ("tail", "beyond"))
    for cause in causes:
        if not isinstance(values.get(cause), bool):
            yield ["n", cause]
            yield ["t", cause]
        if _is_int(values.get(cause)) and values[cause] <= 0:
            yield ["p", cause]
    for level in levels:
        yield ["i", level, 1]
        for n in (2, 3, 4):
            for r in range(n):
                yield ["m", level, n, r]
    for cause in causes:
        if isinstance(values.get(cause), int | None):
            yield ["v", cause]


def _switches(values: Mapping[str, Any], causes: list[str], depth: int) -> Iterator[list[Any]]:
    """What may choose between two numbers."""
    for cause in causes:
        value = values.get(cause)
        if isinstance(value, list):
            yield from (["at", level, cause] for level in reversed(range(depth)) if value and isinstance(value[0], str))
        elif not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            yield from (["n", cause], ["t", cause], ["p", cause], ["v", cause])


def _known(samples: Samples, causes: list[str]) -> dict[str, Any]:
    """The values of the first sample, for causes that are null there those of one that has them; all names of lists."""
    own = dict(samples[0][0].values)
    for cause in causes:
        found = [v for v in (build.values.get(cause) for build, _ in samples) if v is not None]
        if own.get(cause) is None and found:
            own[cause] = found[0]
        if isinstance(own.get(cause), list) and all(isinstance(v, str) for v in own[cause]):
            own[cause] = [name for v in found if isinstance(v, list) for name in v]
    return own


def _depth(samples: Samples) -> int:
    """How many lists of layers the samples stand in."""
    return max((len(index) for _, index in samples), default=0)


def _near(a: str, b: str) -> bool:
    """Whether two values are of one config."""
    return a.rpartition(".")[0] == b.rpartition(".")[0]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
