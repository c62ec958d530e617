"""Random damages of random adapters: of any tensor, and fields that are removed or have another plausible value.

No torch: the script that asks PEFT and the tests that ask adapterlint make their copies here, from the labels.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from method_damage import Damaged, Header, of_tensor, read
from random_values import plausible

AMOUNT = 8  # damaged copies of each adapter


def others(kind: str, key: str, value: Any) -> Iterator[Any]:
    """Other values that a field may as well have."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, list) and len(value) > 1:
        yield value[1:]
    elif isinstance(value, dict) and value and key.endswith("_pattern"):
        yield {name: one[1:] if isinstance(one, list) else one + 1 for name, one in value.items()}
    elif key not in ("lora_alpha", "alpha") or value is None:
        yield from (one for one in plausible(kind, key) if one != value)


def fields_damaged(kind: str, config: Mapping[str, Any], given: Sequence[str]) -> Iterator[str]:
    """Labels of the copies with one field removed (`field:key`) or changed (`change:key=value`)."""
    for key in given:
        yield f"field:{key}"
        for other in others(kind, key, config[key]):
            yield f"change:{key}={json.dumps(other)}"


def labels(
    name: str, kind: str, config: Mapping[str, Any], header: Mapping[str, Any], given: Sequence[str]
) -> list[str]:
    """Some damages of an adapter of the class `<kind>Config`, a little more often of its tensors than of its fields."""
    rng, whole = random.Random(name), read(header)
    of_fields = list(fields_damaged(kind, config, given))
    found: dict[str, None] = {}
    for _ in range(4 * AMOUNT):
        if whole and rng.random() < 0.6:
            tensor = rng.choice(list(whole))
            choices = [label for label, _, _ in of_tensor(tensor, config, whole)]
        else:
            choices = of_fields
        if choices and len(found) < AMOUNT:
            found.setdefault(rng.choice(choices))
    return list(found)


def copy_of(label: str, config: Mapping[str, Any], header: Mapping[str, Any]) -> Damaged:
    """The damaged copy of a label."""
    what, _, of = label.partition(":")
    whole: Header = read(header)
    if what not in ("field", "change"):
        return next(one for one in of_tensor(of, config, whole) if one[0] == label)
    key, _, value = of.partition("=")
    rest = {other: kept for other, kept in config.items() if other != key}
    return label, rest | ({key: json.loads(value)} if what == "change" else {}), whole
