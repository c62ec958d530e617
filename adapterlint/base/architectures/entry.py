"""What the builds of one class of transformers say, as one line of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapterlint.base.architectures.derive import derivations
from adapterlint.base.architectures.learn import Learner
from adapterlint.base.architectures.merge import Merger, pairs
from adapterlint.base.architectures.observe import activations, parts, renames
from adapterlint.base.architectures.subject import Subject


def entry_of(subject: Subject) -> dict[str, Any]:
    """The line of the table for a class that was explored."""
    for one in subject.builds:
        one.values = {**subject.unsaid, **one.values}
    subject.flat_default = {**{p: v for p, v in subject.unsaid.items() if v is not None}, **subject.flat_default}
    learner = Learner(subject.failed, frozenset(subject.sizes), activations())
    merger = Merger(learner)
    samples = [(b, ()) for b in subject.builds]
    root = merger.node(samples, [m.root for m in subject.models])
    tied = [{path: group[0] for group in m.tied for path in group[1:]} for m in subject.models]
    aliases = [{p: f for p, f in m.aliases.items() if p.rpartition(".")[0] not in m.aliases} for m in subject.models]
    entry: dict[str, Any] = {"c": subject.name, "m": subject.model_type, "n": merger.nodes, "r": root}
    if found := pairs(learner, merger.nodes, root, subject.builds, tied):
        entry["tied"] = found
    if found := pairs(learner, merger.nodes, root, subject.builds, aliases):
        entry["alias"] = found
    for key in ("input", "output"):
        choice = learner.choice(samples, [getattr(m, key) for m in subject.models])
        if choice is not None:
            entry[key] = choice
    derived = derivations(subject.model_type)
    used = set(_names(entry, subject.builds[0].values))
    for name in list(used):
        if name in derived:
            used |= _found(derived[name], subject.builds[0].values)
    entry["d"] = {name: subject.flat_default[name] for name in sorted(used) if name in subject.flat_default}
    if known := {name: derived[name] for name in sorted(used) if name in derived}:
        entry["x"] = known
    if inner := parts(subject.last):
        entry["parts"] = inner
    own = getattr(subject.config_class, "attribute_map", {}) or {}
    entry["a"] = {alias: name for alias, name in own.items() if name in used}
    if prefix := getattr(subject.cls, "base_model_prefix", ""):
        entry["p"] = prefix
    if names := renames(subject.cls, subject.last):
        entry["w"] = names
    return entry


def _names(entry: Any, values: Mapping[str, Any]) -> set[str]:
    """The config values that expressions of an entry name."""
    found: set[str] = set()
    for node in entry["n"]:
        for tensors in node[2:4]:
            found |= _found(list(tensors.values()), values)
        for child in node[4] if len(node) > 4 else []:
            found |= _found(child[1:], values)
    for key in ("tied", "alias"):
        found |= _found([row[2] for row in entry.get(key, [])], values)
    for key in ("input", "output"):
        found |= _found(entry.get(key, {}).get("f", []) if isinstance(entry.get(key), dict) else [], values)
    return found


def _found(part: Any, values: Mapping[str, Any]) -> set[str]:
    if isinstance(part, str):
        return {part} & values.keys()
    if isinstance(part, dict):
        part = [part.get("s"), part.get("w"), part.get("f"), part.get("a"), [row[-1] for row in part.get("m", [])]]
    return set().union(*(_found(inner, values) for inner in part)) if isinstance(part, list) else set()
