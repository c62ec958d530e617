"""Write the table of architectures from transformers itself; nothing is downloaded and no weight is made.

Once in an environment of each release, from the root of the checkout, then once for all of them:

    python -m adapterlint.base.architectures.generate release OUT.jsonl
    python -m adapterlint.base.architectures.generate pack OUT-5.23.0.jsonl OUT-4.56.2.jsonl

Each class is built with its default config, with one reduced in its layers, and with that after each change of one
value (`observe`); what the values explain becomes a template (`learn`, `merge`).
"""

from __future__ import annotations

import functools
import json
import sys
import time
import traceback
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

FIRST = Path("first.txt")  # model types to begin with, if there is such a file
MAX_SECONDS = 90  # for one class, after which it has to do with the builds there are
MAX_BUILDS = 260
MAX_PAIRS = 30
TIE = "tie_word_embeddings"
HELPERS = {"add_cross_attention": "is_decoder"}  # a value that only counts, and only builds, with another


def signature(seen: Any) -> Any:
    children = tuple((n, signature(c)) for n, c in seen.children.items())
    return (seen.type, seen.kind, *seen.parameters.items(), *seen.buffers.items(), children)


def shape_of(seen: Any) -> Any:
    children = tuple((n, shape_of(c)) for n, c in seen.children.items())
    return (seen.type, seen.kind, *seen.parameters, *seen.buffers, children)


def everything(model: Any) -> Any:
    return signature(model.root), model.tied, model.aliases, model.input, model.output


def _brings(seen: Any, base: Any) -> bool:
    """Whether a model has tensors where another has none."""
    if base is None or seen.parameters.keys() - base.parameters.keys():
        return bool(seen.parameters) or any(_brings(c, None) for c in seen.children.values())
    return any(_brings(c, base.children.get(n)) for n, c in seen.children.items())


class Subject:
    """One class: its builds and what comes out of them."""

    def __init__(self, model_type: str, name: str) -> None:
        import transformers

        from adapterlint.base.architectures import observe

        self.o = observe
        self.model_type = model_type
        self.name = name
        self.cls = getattr(transformers, name)
        self.config_class = observe.config_class(model_type)
        self.builds: list[Any] = []
        self.models: list[Any] = []
        self.failed: dict[str, int] = {}
        self.switches: dict[str, tuple[Any, bool]] = {}
        self.sizes: dict[str, Any] = {}
        self.influential: set[str] = set()
        self.helped: dict[str, dict[str, Any]] = {}
        self.started = time.time()

    def add(self, values: Mapping[str, Any], changed: frozenset[str] | None) -> Any:
        from adapterlint.base.architectures.learn import Build
        from adapterlint.base.expressions import flat

        config = self.o.make(self.config_class, values)
        built = self.o.build(self.cls, config)
        model = self.o.observe(built)
        if changed == frozenset():
            self.last = built
        flattened = dict(flat(self.o.as_dict(config)))
        self.builds.append(Build(flattened, changed))
        self.models.append(model)
        return model

    def drop(self) -> None:
        self.builds.pop()
        self.models.pop()

    def explore(self, prior: set[str] | None) -> None:
        """Build the class in all the ways that may tell something.

        Args:
            prior: The values that shape another class of the model type; the others are first tried all at once.
        """
        from adapterlint.base.expressions import flat

        self.prior = prior
        default = self.o.as_dict(self.config_class())
        self.default = default
        self.flat_default = dict(flat(default))
        self.values = self.o.reduced(self.config_class, default)
        try:
            base = self.add(self.values, frozenset())
        except Exception:
            if self.values == default:
                raise
            self.values = default
            base = self.add(self.values, frozenset())
        self.whole = everything(base)
        self.outline = shape_of(base.root)
        if self.values != default:
            try:
                if everything(self.add(default, None)) == self.whole:
                    self.drop()
            except Exception as error:
                print(f"    default config of {self.name}: {error!r:.200}", file=sys.stderr)
        todo = [(path, value) for path, value in self.o.leaves(self.values) if not self.o.ignored(path)]
        self.together([(p, v) for p, v in todo if prior is not None and p not in prior])
        for path, value in todo:
            if prior is None or path in prior:
                self.probe(path, value)
        self.combine()

    def late(self) -> bool:
        return len(self.builds) > MAX_BUILDS or time.time() - self.started > MAX_SECONDS

    def together(self, todo: list[tuple[str, Any]]) -> None:
        """Change many values at once: if nothing of the model changes, none of them shapes it."""
        if not todo:
            return
        if len(todo) > 1:
            values = self.values
            for path, value in todo:
                tried = next((v for group in self.o.probes(path, value) for v in group if v != value), value)
                values = self.o.with_value(values, path, tried, lists="keep")
            model = self.try_add(values, frozenset({"+"}))
            if model is not None:
                self.drop()
                if everything(model) == self.whole:
                    return
            half = len(todo) // 2
            self.together(todo[:half])
            self.together(todo[half:])
        else:
            self.probe(*todo[0])

    def combine(self) -> None:
        """Build with more than one change: sizes of what a switch brings, pairs of switches, all sizes."""
        for switch, (value, brings) in list(self.switches.items()):
            if not brings:
                continue
            switched = self.with_switch(switch, value)
            for path, size in self.sizes_with(switched, switch).items():
                if self.late():
                    return
                self.try_add(self.o.with_value(switched, path, size), frozenset({switch, path}))
        for (a, (va, _)), (b, (vb, _)) in list(combinations(self.switches.items(), 2))[:MAX_PAIRS]:
            if self.late():
                return
            self.try_add(self.o.with_value(self.with_switch(a, va), b, vb), frozenset({a, b}))
        values, changed = self.values, set()
        for path, size in self.sizes.items():
            tried = self.o.with_value(values, path, size)
            try:
                self.o.make(self.config_class, tried)
            except Exception:
                continue
            values = tried
            changed.add(path)
        self.try_add(values, frozenset(changed))

    def with_switch(self, path: str, value: Any) -> dict[str, Any]:
        return self.o.with_value(self.helped.get(path, self.values), path, value)

    def sizes_with(self, switched: Mapping[str, Any], switch: str) -> dict[str, Any]:
        """The ints that may shape what a switch brings: those that shape the rest, and others if they do at all."""
        others = {}
        for path, value in self.o.leaves(self.values):
            if type(value) is int and value and path not in self.sizes and not self.o.ignored(path):
                if self.prior is None or path in self.prior:
                    others[path] = value + 1 if value <= 12 else value * 2
        if not others:
            return self.sizes
        try:
            before = signature(self.o.see(self.o.build(self.cls, self.o.make(self.config_class, switched))))
        except Exception:
            return self.sizes
        return {**self.sizes, **self.telling(switched, before, list(others.items()))}

    def telling(self, switched: Mapping[str, Any], before: Any, others: list[tuple[str, Any]]) -> dict[str, Any]:
        values = switched
        for path, value in others:
            values = self.o.with_value(values, path, value)
        try:
            model = self.o.see(self.o.build(self.cls, self.o.make(self.config_class, values)))
            if signature(model) == before:
                return {}
        except Exception:
            if len(others) == 1:
                return {}
        if len(others) == 1:
            self.influential.add(others[0][0])
            return dict(others)
        half = len(others) // 2
        return {**self.telling(switched, before, others[:half]), **self.telling(switched, before, others[half:])}

    def try_add(self, values: Mapping[str, Any], changed: frozenset[str]) -> Any:
        try:
            return self.add(values, changed)
        except Exception:
            return None

    def probe(self, path: str, value: Any) -> None:
        """Change one value, to as many others as it takes to see what follows from it."""
        if self.late():
            self.failed.setdefault(path, value if type(value) is int else 1)
            return
        *parents, key = path.split(".")
        helper = ".".join([*parents, HELPERS[key]]) if key in HELPERS else ""
        if dict(self.o.leaves(self.values)).get(helper) is False:
            self.helped[path] = self.o.with_value(self.values, helper, True)
        built = False
        for group in self.o.probes(path, value):
            tried, model = self.first(path, value, group)
            if model is None:
                continue
            built = True
            if everything(model) == self.whole:
                self.drop()
                if type(value) is int:
                    break
                continue
            self.influential.add(path)
            is_size = type(value) is int or isinstance(value, float)
            if is_size:
                self.sizes.setdefault(path, tried)
            if shape_of(model.root) != self.outline or model.tied != self.models[0].tied or not is_size:
                if not is_size or value == 0:
                    brings = _brings(model.root, self.models[0].root) or value is None or path.endswith(TIE)
                    self.switches.setdefault(path, (tried, brings))
        if not built and type(value) is int:
            self.failed[path] = value

    def first(self, path: str, value: Any, group: Any) -> tuple[Any, Any]:
        modes = ("drop", "fit", "keep") if type(value) is int and self.o.has_list(self.values, path) else ("drop",)
        for tried in group:
            if tried == value:
                continue
            for lists in modes:
                values = self.helped.get(path, self.values)
                model = self.try_add(self.o.with_value(values, path, tried, lists=lists), frozenset({path}))
                if model is not None:
                    return tried, model
        return None, None

    def entry(self) -> dict[str, Any]:
        from adapterlint.base.architectures.learn import Learner
        from adapterlint.base.architectures.merge import Merger, pairs

        learner = Learner(self.failed, frozenset(self.sizes))
        merger = Merger(learner)
        samples = [(b, ()) for b in self.builds]
        root = merger.node(samples, [m.root for m in self.models])
        tied = [{path: group[0] for group in m.tied for path in group[1:]} for m in self.models]
        aliases = [{p: f for p, f in m.aliases.items() if p.rpartition(".")[0] not in m.aliases} for m in self.models]
        entry: dict[str, Any] = {"c": self.name, "m": self.model_type, "n": merger.nodes, "r": root}
        if found := pairs(learner, merger.nodes, root, self.builds, tied):
            entry["tied"] = found
        if found := pairs(learner, merger.nodes, root, self.builds, aliases):
            entry["alias"] = found
        for key in ("input", "output"):
            choice = learner.choice(samples, [getattr(m, key) for m in self.models])
            if choice is not None:
                entry[key] = choice
        derived = derivations(self.model_type)
        used = set(_names(entry, self.builds[0].values))
        for name in list(used):
            if name in derived:
                used |= _found(derived[name], self.builds[0].values)
        entry["d"] = {name: self.flat_default[name] for name in sorted(used) if name in self.flat_default}
        if found := {name: derived[name] for name in sorted(used) if name in derived}:
            entry["x"] = found
        if found := self.o.parts(self.last):
            entry["parts"] = found
        own = getattr(self.config_class, "attribute_map", {}) or {}
        entry["a"] = {alias: name for alias, name in own.items() if name in used}
        if prefix := getattr(self.cls, "base_model_prefix", ""):
            entry["p"] = prefix
        if found := self.o.renames(self.cls, self.last):
            entry["w"] = found
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
        part = [part.get("s"), part.get("w"), part.get("f"), [row[-1] for row in part.get("m", [])]]
    return set().union(*(_found(inner, values) for inner in part)) if isinstance(part, list) else set()


@functools.lru_cache(1)
def derivations(model_type: str) -> dict[str, Any]:
    """Value of a config -> the expression that gives it where the config does not."""
    from adapterlint.base.architectures import observe
    from adapterlint.base.architectures.learn import Build, Learner
    from adapterlint.base.expressions import flat

    cls = observe.config_class(model_type)
    default = observe.as_dict(cls())
    builds = [Build(dict(flat(default)), frozenset())]
    for path, value in observe.leaves(default):
        if observe.ignored(path):
            continue
        for group in list(observe.probes(path, value))[:2]:
            for tried in group:
                nested: Any = {path.rpartition(".")[2]: tried}
                for parent in reversed(path.split(".")[:-1]):
                    nested = {parent: nested}
                try:
                    config = observe.as_dict(observe.make(cls, nested))
                except Exception:
                    continue
                builds.append(Build(dict(flat(config)), frozenset({path})))
                break
    found: dict[str, Any] = {}
    for name, value in builds[0].values.items():
        known = [b for b in builds if b.changed != frozenset({name}) and name in b.values]
        seen = [b.values[name] for b in known]
        if not isinstance(value, str | int | bool | None) or len(set(map(repr, seen))) == 1:
            continue
        if not all(isinstance(v, str | int | bool | None) for v in seen):
            continue
        samples = [(b, ()) for b in known]
        if all(type(v) is int for v in seen):
            expression = Learner().number(samples, seen)
        else:
            expression = Learner().choice(samples, seen)
            expression = expression if "f" in expression else None
        if expression is not None:
            found[name] = expression
    return found


def release(out: Path, only: list[str], shard: tuple[int, int] = (0, 1)) -> None:
    from adapterlint.base.architectures import observe

    observe.quicken()
    todo = [c for c in observe.classes() if not only or c[0] in only or c[1] in only]
    types = sorted({t for t, _ in todo})
    todo = [c for c in todo if types.index(c[0]) % shard[1] == shard[0]]
    first = FIRST.read_text("utf-8").split() if FIRST.is_file() else []
    todo.sort(key=lambda c: (first.index(c[0]) if c[0] in first else len(first), c[0]))
    with out.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"tasks": observe.tasks()}) + "\n")
        prior: dict[str, set[str]] = {}
        for n, (model_type, name) in enumerate(todo):
            started = time.time()
            try:
                subject = Subject(model_type, name)
                subject.explore(prior.get(model_type))
                line: dict[str, Any] = subject.entry()
                prior.setdefault(model_type, set()).update(subject.influential)
            except Exception as error:
                line = {"c": name, "m": model_type, "error": f"{type(error).__name__}: {str(error).strip()[:300]}"}
                if "-v" in sys.argv:
                    traceback.print_exc()
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.flush()
            builds = 0 if "error" in line else len(subject.builds)
            print(
                f"{n + 1}/{len(todo)} {model_type} {name} {builds} {time.time() - started:.1f}s "
                f"{line.get('error', '')[:150]}",
                file=sys.stderr,
            )


def pack(paths: list[Path]) -> None:
    """Write `table.bin` and `failures.json` from files named by their release, such as `5.23.0-1.jsonl`."""
    import zlib

    from adapterlint.base.table import MAGIC, RELEASES

    lines: dict[str, dict[str, dict[str, str]]] = {}  # model type -> class -> release -> line
    tasks: dict[str, dict[str, dict[str, str]]] = {}
    failures: dict[str, dict[str, str]] = {release: {} for release in RELEASES}
    for path in paths:
        release = next(r for r in RELEASES if path.name.startswith(r))
        for text in path.read_text("utf-8").splitlines():
            entry = json.loads(text)
            if "tasks" in entry:
                for model_type, known in entry["tasks"].items():
                    tasks.setdefault(model_type, {})[release] = known
                continue
            model_type, name = entry.pop("m"), entry["c"]
            if "error" in entry:
                failures[release][f"{model_type} {name}"] = entry["error"]
            else:
                text = json.dumps(entry, separators=(",", ":"))
                lines.setdefault(model_type, {}).setdefault(name, {})[release] = text
    members: list[bytes] = []
    types: dict[str, list[int]] = {}
    classes: dict[str, list[str]] = {}
    position = 0
    for model_type in sorted(lines):
        head: dict[str, Any] = {"tasks": tasks.get(model_type, {}), "classes": {}}
        texts: list[str] = []
        for name, by_release in lines[model_type].items():
            classes.setdefault(name, []).append(model_type)
            for release, text in by_release.items():
                if text not in texts:
                    texts.append(text)
                head["classes"].setdefault(name, {})[release] = texts.index(text)
        body = "\n".join([json.dumps(head, separators=(",", ":")), *texts]).encode()
        member = zlib.compress(body, 9)
        members.append(member)
        types[model_type] = [position, len(member)]
        position += len(member)
    index = zlib.compress(json.dumps({"types": types, "classes": classes}, separators=(",", ":")).encode(), 9)
    data = MAGIC + len(index).to_bytes(4, "little") + index + b"".join(members)
    here = Path(__file__).parent
    (here / "table.bin").write_bytes(data)
    (here / "failures.json").write_text(json.dumps(failures, indent=1, sort_keys=True) + "\n", "utf-8")
    count = sum(len(c) for c in lines.values())
    print(
        f"{count} classes of {len(lines)} model types, {len(data)} bytes (index {len(index)}), "
        f"failures {[len(f) for f in failures.values()]}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    command, *arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    if command == "release":
        shards = [a for a in arguments[1:] if "/" in a]
        only = [a for a in arguments[1:] if "/" not in a]
        k, n = map(int, shards[0].split("/")) if shards else (0, 1)
        release(Path(arguments[0]), only, (k, n))
    elif command == "pack":
        pack([Path(a) for a in arguments])
