"""What a file has, against what its config makes: tensors that are missing, of no parameter, or of another shape.

Without a base it is not known of which kind a module is, nor of which size: then a fault is one on every kind of module
that has the parameters that the file has, and sizes have to agree among the tensors of one module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from adapterlint.adapter import Config
from adapterlint.base.tree import ModuleTree
from adapterlint.base.tree import Shape as Numbers
from adapterlint.caches import emptied, kept, remembered
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.layout import Look
from adapterlint.peft.methods.catalogue import METHODS
from adapterlint.peft.methods.expected import (
    MAX_COUNT,
    Made,
    count_on,
    form_on,
    ground_on,
    made_on,
    number_in,
)
from adapterlint.peft.methods.method import (
    EMBEDDING,
    GPT2,
    KERNEL_DIMENSIONS,
    Method,
    Parameter,
)
from adapterlint.peft.methods.misshapen import (
    Misshapen,
    best_of,
    by_setting,
    channels,
    contradicted,
    grouped,
    keys_of,
    unsized,
)
from adapterlint.peft.methods.said import INNER, Said, Where
from adapterlint.peft.methods.shapes import UNKNOWN, Ground, Term
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.releases import NEWEST
from adapterlint.words import suggestion

MAX_RECIPES = 64  # of which it is kept what is wrong with them


@dataclass(frozen=True, slots=True)
class Missing:
    """A parameter that a module needs and the file lacks.

    Args:
        module: Its module; empty for what stands at the top.
        name: Its name behind the path of the module.
        made: What the catalogue says of it.
        beside: A parameter of the same module that the file has.
    """

    module: str
    name: str
    made: Made
    beside: str


@dataclass(frozen=True, slots=True)
class Unexpected:
    """A tensor that is no parameter of its module.

    Args:
        module: Its module; empty for what stands at the top.
        name: Its name behind the path of the module.
        near: The parameter that it was probably meant to be: one that the module lacks.
        keys: Keys of the config without which there is no such parameter, if the method has one.
    """

    module: str
    name: str
    near: str | None = None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """What is wrong with the tensors of an adapter.

    Args:
        depends: What stands before parameters -> module -> parameter -> the keys of the config that its shape depends
            on; modules that are alike share what is said of them.
    """

    missing: tuple[Missing, ...] = ()
    unexpected: tuple[Unexpected, ...] = ()
    misshapen: tuple[Misshapen, ...] = ()
    depends: Mapping[str, Mapping[str, Mapping[str, frozenset[str]]]] = field(default_factory=dict)

    def keys_behind(self, module: str, name: str) -> frozenset[str]:
        """The keys of the config that the shape of a parameter depends on, as far as that is known."""
        inner = _level(name)
        return self.depends.get(inner, {}).get(module, {}).get(name.removeprefix(inner), frozenset())


def compared(config: Config, touched: Footprint, tree: ModuleTree | None = None) -> Compared:
    """What is wrong with the tensors of an adapter, whose PEFT type is a known one.

    Adapters of one recipe share their footprint, and what is wrong with them is found once.

    Args:
        tree: Its base, if there is one at hand.
    """
    return _compared(_first_alike(config), touched, tree)


@remembered(MAX_RECIPES)
def _compared(config: Config, touched: Footprint, tree: ModuleTree | None) -> Compared:
    return _Comparison(config, touched, tree).result()


@remembered(1)
def _first_alike(config: Config) -> Config:
    """The first config that has the same values."""
    try:
        said = repr(config.values)
    except ValueError:  # an integer of over 4,300 digits
        return config
    if len(_configs) >= MAX_RECIPES:
        _configs.clear()
    return _configs.setdefault(said, config)


_configs: dict[str, Config] = emptied({})


@dataclass(frozen=True, slots=True)
class _Found:
    """What is wrong with a module, whose path is yet to be filled in."""

    missing: tuple[Missing, ...] = ()
    unexpected: tuple[Unexpected, ...] = ()
    misshapen: tuple[Misshapen, ...] = ()
    depends: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Fit:
    """How a module fits one kind of modules."""

    explained: int
    missing: tuple[Missing, ...]
    misshapen: tuple[Misshapen, ...]
    depends: Mapping[str, frozenset[str]]


class _Comparison:
    def __init__(self, config: Config, touched: Footprint, tree: ModuleTree | None) -> None:
        self.config = config
        self.touched = touched
        self.tree = tree
        self.method: Method = METHODS[config.peft_type]
        self.release = NEWEST if self.method.known_in(NEWEST) else self.method.until or NEWEST
        self.values = OpenedConfig(config.peft_type, dict(config.values), self.release)
        self.copies = bool(self.method.copies)
        self.said = Said(config, self.values, touched, tree, self.release)

    def result(self) -> Compared:
        missing: list[Missing] = []
        unexpected: list[Unexpected] = []
        misshapen: list[Misshapen] = []
        depends: dict[str, dict[str, Mapping[str, frozenset[str]]]] = {}
        wrong: dict[str, list[tuple[str, _Found]]] = {}
        in_forms = any(form.parameters for form in self.method.forms) and not self.copies
        for look, modules in self.touched.alike.items() if in_forms else ():
            for inner in _levels(look):
                own = {name[len(inner) :]: shape for name, shape in look if _level(name) == inner}
                for where, alike in self.said.grouped(self._targeted(modules), bool(inner)):
                    found = self._on_modules(own, where)
                    depends.setdefault(inner, {}).update(dict.fromkeys(alike, found.depends))
                    for module in alike if found.missing or found.unexpected or found.misshapen else ():
                        wrong.setdefault(module, []).append((inner, found))
        for module in self.touched.tuned if wrong else ():
            for inner, found in wrong.get(module, ()):
                missing += (
                    replace(m, module=module, name=inner + m.name, beside=inner + m.beside) for m in found.missing
                )
                misshapen += (replace(m, module=module, name=inner + m.name) for m in found.misshapen)
                unexpected += (
                    replace(u, module=module, name=inner + u.name, near=inner + u.near if u.near else None)
                    for u in found.unexpected
                )
        if self.copies and self.tree is not None:
            misshapen += self._unlike()
        if self.method.top and (self.touched.shared or (self.touched.tuned and not self._in_modules())):
            shapes = {name: tensor.shape for name, tensor in self.touched.shared.items()}
            made = self._made(self.method.top, Ground(self.values), shapes)
            beside = next((name for parameters in self.touched.tuned.values() for name in parameters), "")
            missing += (m if m.beside else replace(m, beside=beside) for m in self._missing(made, shapes))
            missing += self._without_groups(beside)
            unexpected += self._unexpected(shapes, made)
            misshapen += contradicted(made, shapes, infer=False)
            depends.setdefault("", {})[""] = {one.name: keys_of(one.parameter) for one in made}
        return Compared(tuple(missing), tuple(unexpected), tuple(misshapen), depends)

    def _in_modules(self) -> bool:
        """Whether what stands at the top of other files stands in every module."""
        return any(one.name in self.touched.shapes for one in self.method.top)

    def _without_groups(self, beside: str) -> Iterator[Missing]:
        """What a group of targets has together, where the file has nothing like that."""
        ground = Ground(self.values)
        grouped = next((one for one in self.method.top if one.group is not None), None)
        if grouped is not None and not self.touched.shared and grouped.saved.of(ground):
            name = grouped.name.partition(".")[0]
            yield Missing("", name, Made(name, None, grouped.begins, grouped, ground), beside)

    def _unlike(self) -> Iterator[Misshapen]:
        """Copies of modules that have other shapes than these."""
        for module, parameters in self.touched.tuned.items():
            node = self.tree.nodes.get(module) if self.tree is not None else None
            for name, tensor in parameters.items() if node is not None else ():
                shape = node.parameters.get(name.rpartition(".")[2]) if node is not None else None
                if shape is None or len(shape) != len(tensor.shape):
                    continue
                for axis, (actual, expected) in enumerate(zip(tensor.shape, shape, strict=True)):
                    if actual != expected:
                        yield Misshapen(module, name, axis, actual, expected, "", (), tensor.shape == shape[::-1])

    def _targeted(self, modules: Sequence[str]) -> Sequence[str]:
        out = self.touched.untargeted
        return [module for module in modules if module not in out] if out else modules

    def _on_modules(self, shapes: Mapping[str, Numbers], where: Where) -> _Found:
        """What is wrong with modules that are alike and of which the same is said."""
        found = self._on_module(shapes, where)
        wrong = () if where.by_default else found.misshapen
        if self.said.left_out:  # which may turn it
            wrong = tuple(replace(m, keys=(*m.keys, *self.said.left_out), turned=False) for m in wrong)
        settings = {key for one in found.unexpected for key in one.keys}
        return replace(found, misshapen=tuple(by_setting(settings, wrong, found.depends)))

    def _on_module(self, shapes: Mapping[str, Numbers], where: Where) -> _Found:
        values, weight = {**self.values, **where.overrides}, where.weight
        fits: list[_Fit] = []
        every: list[Made] = []
        tried: set[object] = set()
        for kind in where.kinds:
            form = form_on(self.method.name, kind, self.release)
            kernel = KERNEL_DIMENSIONS.get(kind, 0)
            like = form, kernel, weight is not None and kind in (GPT2, EMBEDDING)
            if form is None or like in tried:
                continue
            tried.add(like)
            ground = ground_on(values, kind, weight, where.bias, where.facts)
            if weight is not None and kernel:
                ground = replace(ground, channels=channels(form.parameters, shapes, ground))
            made = self._made(form.parameters, ground, shapes)
            if weight is not None and kernel and ground.channels is None and unsized(made, shapes):
                made = best_of((self._made(form.parameters, one, shapes) for one in grouped(ground)), shapes, kernel)
            every += made
            explained = sum(any(one.name == name for one in made) for name in shapes)
            bad = tuple(contradicted(made, shapes, kernel))
            depends = {one.name: keys_of(one.parameter) for one in made}
            fits.append(_Fit(explained, tuple(self._missing(made, shapes)), bad, depends))
            if explained == len(shapes) and not fits[-1].missing and not fits[-1].misshapen:
                break  # what is right as one kind is not wrong for being none of the others
        best = max((one.explained for one in fits), default=0)
        fits = [one for one in fits if one.explained == best]
        fewest = min((len(one.misshapen) for one in fits), default=0)
        fits = [one for one in fits if len(one.misshapen) == fewest]
        unexpected = tuple(self._unexpected(shapes, every)) if every else ()
        if not best:
            return _Found(unexpected=unexpected)
        needed = set.intersection(*({m.name for m in one.missing} for one in fits))
        missing = tuple(m for m in fits[0].missing if m.name in needed)
        return _Found(missing, unexpected, fits[0].misshapen, fits[0].depends)

    def _made(self, parameters: tuple[Parameter, ...], ground: Ground, shapes: Iterable[str]) -> list[Made]:
        """What there is, and those of unknown number that the file has."""
        made = list(made_on(parameters, ground, self.release))
        numbered = [one for one in parameters if one.count is not None or one.group is not None]
        names = {one.name for one in made}
        found: dict[str, Parameter] = {}
        for name in (name for name in shapes if numbered and name not in names):
            entry = next((one for one in numbered if _expression(one.name).fullmatch(name)), None)
            if entry is not None and (entry.count is None or count_on(entry, ground) is None):
                found[name] = entry
        certain = _up_to_last(found, parameters)
        for name, entry in {**found, **certain}.items():
            made.append(Made(name, None, entry.begins, entry, ground, certain=name in certain))
        return made

    def _missing(self, made: Iterable[Made], shapes: Mapping[str, Numbers]) -> Iterator[Missing]:
        beside = next((name for name in shapes if any(one.name == name for one in made)), next(iter(shapes), ""))
        for one in made:
            sure = one.certain and one.parameter.saved.of(one.ground) and one.parameter.group is None
            sure = sure and not (self.method.prompt_learning and one.name == "prompt_embeddings")
            if sure and one.name not in shapes and not one.parameter.remade:
                yield Missing("", one.name, one, beside)

    def _unexpected(self, shapes: Mapping[str, Numbers], made: list[Made]) -> Iterator[Unexpected]:
        """Those that are of no kind of module."""
        names = {one.name for one in made}
        for name in shapes:
            entry = entry_of(self.method, name)
            if name in names or (entry is not None and self._may_be(entry, name, made)):
                continue
            if entry is None:
                lacking = [one for one in names if one not in shapes]
                yield Unexpected("", name, suggestion(name, lacking))
            else:
                yield Unexpected("", name, keys=tuple(sorted(entry.conditions)))

    def _may_be(self, entry: Parameter, name: str, made: Iterable[Made]) -> bool:
        """Whether a parameter of the method may be there, as far as that is known."""
        if entry.count is None and entry.group is None:
            return entry in self.method.top or any(one.name == name for one in made)
        grounds = [one.ground for one in made] or [Ground(self.values)]
        return entry.count is None or any(count_on(entry, ground) is None for ground in grounds)


def _up_to_last(found: Mapping[str, Parameter], parameters: Iterable[Parameter]) -> Mapping[str, Parameter]:
    """Parameters of numbers below one that the file has, where there are as many as of another kind or a size says."""
    last: dict[Term, int] = {}
    for name, entry in found.items():
        if entry.count is not None and entry.count is not UNKNOWN and (number := number_in(name, entry)):
            at = int(number) if len(number) <= len(str(MAX_COUNT)) else MAX_COUNT
            last[entry.count] = max(at, last.get(entry.count, 0))
    counted = [(one, last[one.count]) for one in parameters if one.count is not None and one.count in last]
    return {one.name.replace("#", str(i)): one for one, n in counted if n < MAX_COUNT for i in range(n + 1)}


def entry_of(method: Method, name: str) -> Parameter | None:
    """The parameter that a name is one of, with numbers and groups in it."""
    return next((one for one in method.parameters() if _expression(one.name).fullmatch(name.removeprefix(INNER))), None)


@kept(1024)
def _expression(entry: str) -> re.Pattern[str]:
    return re.compile(re.escape(entry).replace(r"\#", r"\d+").replace("\\*", ".+"))


def _level(name: str) -> str:
    count = 0
    while name.startswith(INNER, count):
        count += len(INNER)
    return name[:count]


def _levels(look: Look) -> list[str]:
    """How often `base_layer.` stands before the parameters of a module: each is another targeted parameter."""
    return list(dict.fromkeys(_level(name) for name, _ in look))
