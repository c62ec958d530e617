"""One class of transformers: the configs it is built with, and the models that come out of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import transformers

from adapterlint.base.architectures.defaults import default_config, optional_parts
from adapterlint.base.architectures.learn import Build
from adapterlint.base.architectures.observe import Model, Seen, activations, build, observed, see
from adapterlint.base.architectures.probes import (
    as_dict,
    config_class,
    has_list,
    ignored,
    leaves,
    make,
    probes,
    reduced,
    spelled,
    with_value,
)
from adapterlint.base.architectures.unsaid import asked, unsaid
from adapterlint.base.architectures.words import named, words_of
from adapterlint.base.expressions import flat

MAX_SECONDS = 90  # for one class, after which it has to do with the builds there are
MAX_BUILDS = 260
MAX_PAIRS = 30
TIE = "tie_word_embeddings"
HELPERS = {"add_cross_attention": "is_decoder"}  # a value that only counts, and only builds, with another


def signature(seen: Seen) -> Any:
    """All that is written down of a module and those below it."""
    children = tuple((n, signature(c)) for n, c in seen.children.items())
    return (seen.type, seen.kind, *seen.parameters.items(), *seen.buffers.items(), children)


def outline_of(seen: Seen) -> Any:
    """The same without sizes."""
    children = tuple((n, outline_of(c)) for n, c in seen.children.items())
    return (seen.type, seen.kind, *seen.parameters, *seen.buffers, children)


def everything(model: Model) -> Any:
    """All that is written down of a model."""
    return signature(model.root), model.tied, model.aliases, model.input, model.output


def _brings(seen: Any, base: Any) -> bool:
    """Whether a model has tensors in modules that another has not, or of another class."""
    new = base is None or seen.type != base.type or bool(seen.parameters.keys() - base.parameters.keys())
    if new and (seen.parameters or any(_brings(c, None) for c in seen.children.values())):
        return True
    if base is None:
        return False
    return any(_brings(c, base.children.get(n)) for n, c in seen.children.items())


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


class Subject:
    """One class: its builds and what comes out of them."""

    def __init__(self, model_type: str, name: str) -> None:
        self.model_type = model_type
        self.name = name
        self.cls = getattr(transformers, name)
        self.config_class = config_class(model_type)
        self.builds: list[Any] = []
        self.models: list[Any] = []
        self.failed: dict[str, int] = {}
        self.switches: dict[str, tuple[Any, bool]] = {}
        self.sizes: dict[str, Any] = {}
        self.modes: dict[str, str] = {}
        self.influential: set[str] = set()
        self.helped: dict[str, dict[str, Any]] = {}
        self.unsaid: dict[str, Any] = {}
        self.words = words_of(self.cls, self.config_class)
        self.started = time.time()

    def add(self, values: Mapping[str, Any], changed: frozenset[str] | None) -> Any:
        """Build the class with a config, and keep what is seen."""
        config = make(self.config_class, values)
        with asked() as names:
            built = build(self.cls, config)
        self.unsaid |= unsaid(built, names)
        model = observed(built)
        if changed == frozenset():
            self.last = built
        flattened = dict(flat(as_dict(config)))
        given = dict(leaves(values))
        # Release 5 reads old names of kinds of layers, and has new ones then: what counts is what stands in the file.
        flattened |= {path: given[path] for path in changed or () if _is_names(given.get(path))}
        self.builds.append(Build(flattened, changed))
        self.models.append(model)
        return model

    def drop(self) -> None:
        """Forget the last build, which was like the first."""
        self.builds.pop()
        self.models.pop()

    def explore(self, prior: set[str] | None) -> None:
        """Build the class in all the ways that may tell something.

        Args:
            prior: The values that shape another class of the model type; the others are first tried all at once.
        """
        self.prior = prior
        default = as_dict(default_config(self.model_type))
        self.flat_default = dict(flat(default))
        self.values = reduced(self.config_class, default)
        try:
            base = self.add(self.values, frozenset())
        except Exception:
            if self.values == default:
                raise
            self.values = default
            base = self.add(self.values, frozenset())
        self.whole = everything(base)
        self.outline = outline_of(base.root)
        if self.values != default:
            try:
                if everything(self.add(default, None)) == self.whole:
                    self.drop()
            except Exception as error:
                sys.stderr.write(f"    default config of {self.name}: {error!r:.200}\n")
        for path in optional_parts(self.model_type):
            self.try_add({**self.values, path: None}, frozenset({path}))
        todo = [(path, value) for path, value in self.leaves() if not ignored(path)]
        self.together([(p, v) for p, v in todo if prior is not None and p not in prior])
        for path, value in todo:
            if prior is None or path in prior:
                self.probe(path, value)
        self.combine()

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Every value that a probe may change, those included that no config has unless a `config.json` does."""
        known = dict(leaves(self.values))
        yield from known.items()
        yield from ((path, value) for path, value in self.unsaid.items() if path not in known)

    def probes(self, path: str, value: Any) -> Iterator[tuple[Any, ...]]:
        """Groups of values to try in the place of one; those that the code of the class spells out come first."""
        key = path.rpartition(".")[2]
        own = getattr(self.config_class, "attribute_map", None) or {}
        keys = {key, own.get(key, key), *(alias for alias, name in own.items() if name == key)}
        yield from spelled(value, named(self.words, keys))
        yield from probes(path, value)

    def late(self) -> bool:
        """Whether there have been builds enough."""
        return len(self.builds) > MAX_BUILDS or time.time() - self.started > MAX_SECONDS

    def together(self, todo: list[tuple[str, Any]]) -> None:
        """Change many values at once: if nothing of the model changes, none of them shapes it."""
        if not todo:
            return
        if len(todo) > 1:
            values = self.values
            for path, value in todo:
                tried = next((v for group in self.probes(path, value) for v in group if v != value), value)
                values = with_value(values, path, tried, lists="keep")
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
            if isinstance(value, str) and value in activations():
                continue
            switched = self.with_switch(switch, value)
            for path in self.sizes if brings else ():
                if self.late():
                    return
                self.try_add(self.sized(switched, path), frozenset({switch, path}))
            for path in self.only_with(switched):
                self.probe_with(frozenset({switch}), switched, path)
        for (a, (va, _)), (b, (vb, _)) in list(combinations(self.switches.items(), 2))[:MAX_PAIRS]:
            if self.late():
                return
            both = with_value(self.with_switch(a, va), b, vb)
            if self.try_add(both, frozenset({a, b})) is not None and TIE in a + b:
                for path in self.only_with(both):
                    self.probe_with(frozenset({a, b}), both, path)
        values, changed = self.values, set()
        for path in self.sizes:
            tried = self.sized(values, path)
            try:
                make(self.config_class, tried)
            except Exception:
                continue
            values = tried
            changed.add(path)
        self.try_add(values, frozenset(changed))

    def sized(self, values: Mapping[str, Any], path: str) -> dict[str, Any]:
        """A config with one size changed, as it could be changed alone."""
        return with_value(values, path, self.sizes[path], lists=self.modes.get(path, "drop"))

    def with_switch(self, path: str, value: Any) -> dict[str, Any]:
        """The config with one switch on, and what it needs to build."""
        return with_value(self.helped.get(path, self.values), path, value)

    def only_with(self, switched: Mapping[str, Any], *, beside: frozenset[str] = frozenset()) -> list[str]:
        """The values that shape nothing but what a switch brings."""
        try:
            with asked() as names:
                built = build(self.cls, make(self.config_class, switched))
        except Exception:
            return []
        before = signature(see(built))
        self.unsaid |= unsaid(built, names)
        others = {}
        counted = {*beside, *self.sizes, *self.switches}
        for path, value in self.leaves():
            known = self.prior is None or path in self.prior or path in self.unsaid
            if known and path not in counted and not ignored(path):
                tried = next((v for group in self.probes(path, value) for v in group if v != value), None)
                if tried is not None:
                    others[path] = tried
        # A switch may hide what the others bring.
        off = [(path, value) for path, value in others.items() if isinstance(value, bool)]
        rest = [(path, value) for path, value in others.items() if not isinstance(value, bool)]
        return self.telling(switched, before, rest) + self.telling(switched, before, off)

    def probe_with(self, switches: frozenset[str], switched: Mapping[str, Any], path: str) -> None:
        """Change one value with switches on, and without; a switch that it is itself may bring more."""
        value = dict(self.leaves())[path]
        outlines = [outline_of(m.root) for b, m in zip(self.builds, self.models, strict=True) if b.changed == switches]
        before = outlines[0] if outlines else self.outline
        for group in self.probes(path, value):
            for tried in group:
                if self.late():
                    return
                values = with_value(switched, path, tried)
                model = self.try_add(values, switches | {path})
                if model is None:
                    continue
                if type(value) is not int:
                    self.try_add(with_value(self.values, path, tried), frozenset({path}))
                    if len(switches) == 1:
                        self.within(switches, path, tried, values)
                    if outline_of(model.root) != before:
                        for size in self.sizes:
                            self.try_add(self.sized(values, size), switches | {path, size})
                break

    def within(self, switches: frozenset[str], path: str, tried: Any, values: Mapping[str, Any]) -> None:
        """Change what counts only once a switch is on that counts only with another."""
        others = self.only_with(values, beside=switches | {path})
        known = dict(self.leaves())
        for other in others:
            new = next(v for group in self.probes(other, known[other]) for v in group if v != known[other])
            self.try_add(with_value(with_value(self.values, path, tried), other, new), frozenset({path, other}))
            self.try_add(with_value(self.values, other, new), frozenset({other}))
            self.probe_with(switches | {path}, values, other)

    def telling(self, switched: Mapping[str, Any], before: Any, others: list[tuple[str, Any]]) -> list[str]:
        """Those of the values whose change shows once the switch is on, found by halving."""
        if not others:
            return []
        values = switched
        for path, value in others:
            values = with_value(values, path, value)
        try:
            model = see(build(self.cls, make(self.config_class, values)))
            if signature(model) == before:
                return []
        except Exception:
            if len(others) == 1:
                return []
        if len(others) == 1:
            self.influential.add(others[0][0])
            return [others[0][0]]
        half = len(others) // 2
        return self.telling(switched, before, others[:half]) + self.telling(switched, before, others[half:])

    def try_add(self, values: Mapping[str, Any], changed: frozenset[str]) -> Any:
        """The same as `add`; `None` if transformers refuses the config."""
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
        if dict(self.leaves()).get(helper) is False:
            self.helped[path] = with_value(self.values, helper, True)
        built = False
        for group in self.probes(path, value):
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
            if is_size and tried is not None:
                self.sizes.setdefault(path, tried)
            if not is_size or ((value <= 0 or tried is None) and outline_of(model.root) != self.outline):
                brings = _brings(model.root, self.models[0].root) or value is None or path.endswith(TIE)
                self.switches.setdefault(path, (tried, brings))
        if not built and type(value) is int:
            self.failed[path] = value

    def first(self, path: str, value: Any, group: Any) -> tuple[Any, Any]:
        """The first of a group of values that can be built, and the model."""
        modes: tuple[str, ...] = ("keep",)
        if has_list(self.values, path):
            modes = ("drop", "fit", "keep") if type(value) is int else ("keep", "fit")
        for tried in group:
            if tried == value:
                continue
            for lists in modes:
                values = self.helped.get(path, self.values)
                model = self.try_add(with_value(values, path, tried, lists=lists), frozenset({path}))
                if model is not None:
                    self.modes.setdefault(path, lists)
                    return tried, model
        return None, None
