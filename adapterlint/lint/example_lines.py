"""An example in lines: how it differs from a healthy adapter."""

from __future__ import annotations

import json
from collections.abc import Iterator

from adapterlint.lint.example import (
    FLEET,
    GOOD_CONFIG,
    GOOD_TENSORS,
    HIDDEN,
    VOCABULARY,
    Example,
    FleetPatch,
    Patch,
    as_patch,
)
from adapterlint.lint.run import Run
from adapterlint.words import counted, shortened

MAX_EXAMPLE = 300  # characters of one value in an example


def example_lines(example: Example) -> Iterator[str]:
    """What is changed in the known-good adapter, or in the members of a fleet."""
    if isinstance(example, FleetPatch):
        for name, patch in example.members.items():
            yield f"{name}:"
            yield from (f"    {line}" for line in example_lines(as_patch(patch)))
        if example.declared:
            yield f"declared in the settings as the fleet {FLEET}"
        if example.ordered:
            yield f"loaded in this order: {', '.join(example.members)}"
        yield from (f"activated together: {', '.join(names)}" for names in example.activate)
        yield from _base_lines(example)
        return
    if isinstance(example, Run):
        yield from _left_over(example)
        return
    lines = [*_changes(example), *_base_lines(example), *(f"PEFT {release}" for release in example.peft)]
    yield from lines or ["a healthy adapter"]


def _left_over(run: Run) -> Iterator[str]:
    for stale in run.stale:
        yield f"{stale.at.file}: {stale.entry.rule} in {stale.entry.file}, which no finding needs"
    for one in run.unused:
        yield f'per-file-ignores: "{one.pattern}" = {json.dumps(one.labels)}, which set nothing aside'
    if not run.stale and not run.unused:
        yield "a run that needs all that the settings and the baseline set aside"


def _base_lines(example: Patch | FleetPatch) -> Iterator[str]:
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
    for name, (dtype, shape) in tensors.items():
        if GOOD_TENSORS.get(name) != (dtype, shape):
            yield f"tensor {name}: {dtype} {list(shape)}"
    yield from (f"no tensor {name}" for name in GOOD_TENSORS if name not in tensors)
    for name, content in patch.files.items():
        yield f"file {name}: {_content(content)}" if isinstance(content, bytes | str) else f"no file {name}"
    yield from (f"file {name} is a link to {target}" for name, target in patch.links.items())


def _content(content: bytes | str) -> str:
    """A text as JSON; of other files how long they are."""
    try:
        text = content.decode() if isinstance(content, bytes) else content
    except UnicodeDecodeError:
        text = "\0"
    return f"{counted(len(content), 'byte')}, no text" if "\0" in text else shortened(json.dumps(text), MAX_EXAMPLE)
