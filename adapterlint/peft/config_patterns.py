"""The regular expressions of a config, each as PEFT puts it together before it matches it against module names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from adapterlint.adapter import Config
from adapterlint.peft.fields import fields_of
from adapterlint.peft.matching import ALL_LINEAR, component_pattern
from adapterlint.peft.methods import METHODS
from adapterlint.peft.patterns import MAX_PATTERNS, MAX_PATTERNS_LENGTH

# Targets that are no regular expression though they are strings (tuners/tuners_utils.py, inject_adapter).
DUMMY_TARGETS = "dummy-target-modules"

_PATTERNED = [(name, one) for name, method in METHODS.items() for one in method.patterns.values()]
_KEYED: Mapping[str, Mapping[str, str]] = {
    key: {name: one.form for name, one in _PATTERNED if one.key == key}
    for key in {one.key: None for _, one in _PATTERNED}
}
_PLAIN = re.compile(r"\w+(\.\w+)*")


@dataclass(frozen=True, slots=True)
class PatternUse:
    """One regular expression of a config.

    Args:
        route: Where it stands.
        key: Whether it is the name there instead of the value.
        text: As it stands.
        wrapped: As PEFT compiles it.
        whole: Whether it has to match the whole name (`re.fullmatch`) or its beginning (`re.match`).
        since: First release line that takes it for a regular expression; `None` for all.
        certain: Whether PEFT surely compiles it; `False` for alternatives behind others.
    """

    route: tuple[str | int, ...]
    text: str
    wrapped: str
    key: bool = False
    whole: bool = False
    since: str | None = None
    certain: bool = True


def matches_targets(config: Config) -> bool:
    """Whether `target_modules` of a config says which modules it tunes, by names or a pattern."""
    method = METHODS.get(config.peft_type)
    return method is not None and method.matches_targets and "target_modules" in fields_of(method.name)


def pattern_uses(config: Config) -> Iterator[PatternUse]:
    """The regular expressions of a config that are more than plain names, as many as may be judged (`are_few`).

    There are none for a type that PEFT never had.
    """
    length = 0
    for use in islice(_pattern_uses(config), MAX_PATTERNS):
        length += len(use.text)
        if length > MAX_PATTERNS_LENGTH:
            break
        yield use


def _pattern_uses(config: Config) -> Iterator[PatternUse]:
    fields = fields_of(config.peft_type)
    if not matches_targets(config):
        return
    targets = config.get("target_modules")
    if isinstance(targets, str) and targets and targets.lower() != ALL_LINEAR and targets != DUMMY_TARGETS:
        yield PatternUse(("target_modules",), targets, targets, whole=True)
    for key, since in (("exclude_modules", "0.14"), ("feedforward_modules", None)):
        value = config.get(key)
        if key in fields and isinstance(value, str) and value:
            yield PatternUse((key,), value, value, whole=True, since=since)
    for key, templates in _KEYED.items():
        template = templates.get(config.peft_type)
        if template is not None:
            for text in config.mapping(key):
                if not _PLAIN.fullmatch(text):
                    yield PatternUse((key, text), text, template.replace("{}", text), key=True)
    if "layers_pattern" in fields and isinstance(targets, list):
        yield from _layers(config)
    if "modules_to_save" in fields:
        saved = config.get("modules_to_save")
        for i, entry in enumerate(saved if isinstance(saved, list) else ()):
            if isinstance(entry, str) and not _PLAIN.fullmatch(entry):
                yield PatternUse(("modules_to_save", i), entry, component_pattern(entry), since="0.16")


def _layers(config: Config) -> Iterator[PatternUse]:
    """`layers_pattern`, which is looked at where `layers_to_transform` limits the layers."""
    value, layers = config.get("layers_pattern"), config.get("layers_to_transform")
    if layers is None or layers == []:
        return
    entries: list[Any] = value if isinstance(value, list) else [value]
    for i, entry in enumerate(entries):
        if isinstance(entry, str) and entry and not _PLAIN.fullmatch(entry):
            route = ("layers_pattern", i) if isinstance(value, list) else ("layers_pattern",)
            yield PatternUse(route, entry, rf"(?:^|.*?\.){entry}\.(?P<idx>\d+)\.", certain=i == 0)
