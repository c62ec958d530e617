"""A rule's manual page, made of the rule itself: its docstring, its examples, its bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from adapterlint.lint.example import GOOD_CONFIG, GOOD_TENSORS, HIDDEN, VOCABULARY, Example, FleetPatch, Patch, as_patch
from adapterlint.lint.rule import Rule
from adapterlint.words import shortened

MAX_EXAMPLE = 300  # characters of one value in an example


def index(rules: Sequence[Rule]) -> str:
    """One line a rule."""
    width = max((len(r.name) for r in rules), default=0)
    return "".join(f"{r.code}  {r.name:<{width}}  {r.severity.value:<7}  {r.title}\n" for r in rules)


def index_json(rules: Sequence[Rule]) -> str:
    """The same with everything that a machine may want."""
    table = [
        {
            "code": r.code,
            "name": r.name,
            "severity": r.severity.value,
            "since": r.since,
            "title": r.title,
            "manual": r.manual,
            "reads": list(r.inputs),
            "peft": str(r.peft) if r.peft is not None else None,
            "types": sorted(r.types) if r.types is not None else None,
            "source": r.source,
        }
        for r in rules
    ]
    return json.dumps(table, indent=2) + "\n"


def page(rule: Rule) -> str:
    """What a rule finds, why it matters, how to repair it, before and after."""
    facts = [f"severity {rule.severity.value}", f"since {rule.since}", f"reads {', '.join(_reads(rule))}"]
    facts += [f"PEFT {rule.peft}"] if rule.peft is not None else []
    facts += [f"only {', '.join(sorted(rule.types))}"] if rule.types is not None else []
    parts = [f"{rule.name} ({rule.code})", f"{rule.title}.", rule.manual, "; ".join(facts)]
    parts += [f"Seen in: {rule.source}"] if rule.source else []
    parts += ["Found in:\n" + _indented(rule.bad[0]), "Not found in:\n" + _indented(rule.good[0])]
    return "\n\n".join(parts) + "\n"


def _reads(rule: Rule) -> list[str]:
    return [f"{name} (where there is one)" if name in rule.optional else name for name in rule.inputs]


def _indented(example: Example) -> str:
    return "\n".join(f"    {line}" for line in _lines(example))


def _lines(example: Example) -> Iterator[str]:
    if isinstance(example, FleetPatch):
        for name, patch in example.members.items():
            yield f"{name}:"
            yield from (f"    {line}" for line in _lines(as_patch(patch)))
        if example.ordered:
            yield f"loaded in this order: {', '.join(example.members)}"
        yield from (f"activated together: {', '.join(names)}" for names in example.activate)
        yield from _base_lines(example)
        return
    lines = [*_changes(example), *_base_lines(example), *(f"PEFT {release}" for release in example.peft)]
    yield from lines or ["a healthy adapter"]


def _base_lines(example: Example) -> Iterator[str]:
    if example.base is not None:
        changed = (f"{key} {json.dumps(value)}" for key, value in example.base.items())
        yield f"base: a tiny Llama with tensors of {HIDDEN} by {VOCABULARY}" + "".join(f", {text}" for text in changed)


def _changes(patch: Patch) -> Iterator[str]:
    new_config = patch.new_config()
    for key in patch.config:
        if key in new_config:
            yield f'adapter_config.json: "{key}": {shortened(json.dumps(new_config[key], default=str), MAX_EXAMPLE)}'
        elif key in GOOD_CONFIG:
            yield f'adapter_config.json: no "{key}"'
    tensors = patch.new_tensors()
    yield from (f"tensor {name}: {dtype} {list(shape)}" for name, (dtype, shape) in _new(tensors))
    gone = [name for name in GOOD_TENSORS if name not in tensors]
    yield from (f"no tensor {name}" for name in gone)
    for name, content in patch.files.items():
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
        yield f"file {name}: {shortened(json.dumps(text), MAX_EXAMPLE)}" if isinstance(text, str) else f"no file {name}"
    yield from (f"file {name} is a link to {target}" for name, target in patch.links.items())


def _new(tensors: dict[str, tuple[str, tuple[int, ...]]]) -> list[tuple[str, tuple[str, tuple[int, ...]]]]:
    return [(name, shape) for name, shape in tensors.items() if GOOD_TENSORS.get(name) != shape]
