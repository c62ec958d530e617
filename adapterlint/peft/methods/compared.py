"""What a file has, against what its config makes: tensors that are missing, of no parameter, or of another shape.

Without a base it is not known of which kind a module is, nor of which size: then a fault is one on every kind of module
that has the parameters that the file has, and sizes have to agree among the tensors of one module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapterlint.adapter import Config
from adapterlint.base.tree import Kind, ModuleTree
from adapterlint.base.tree import Shape as Numbers
from adapterlint.caches import kept, remembered
from adapterlint.peft.default_targets import every_default
from adapterlint.peft.footprint import Footprint, Parameters
from adapterlint.peft.matching import Targets, matching_keys
from adapterlint.peft.methods.catalogue import METHODS
from adapterlint.peft.methods.expected import (
    MAX_COUNT,
    Made,
    count_on,
    form_on,
    ground_on,
    lists_part,
    made_on,
    number_in,
)
from adapterlint.peft.methods.method import (
    CONV1D,
    CONV2D,
    CONV3D,
    EMBEDDING,
    GPT2,
    KERNEL_DIMENSIONS,
    LINEAR,
    PARAMETER,
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
from adapterlint.peft.methods.shapes import UNKNOWN, Ground, Term
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.patterns import are_few, pattern
from adapterlint.peft.releases import NEWEST
from adapterlint.words import suggestion

INNER = "base_layer."
_BY_DIMENSIONS = {2: (LINEAR, GPT2, EMBEDDING), 3: (CONV1D,), 4: (CONV2D,), 5: (CONV3D,)}
"""Dimensions of a weight -> what the module may be."""


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
        depends: (Module, parameter) -> the keys of the config that its shape depends on.
    """

    missing: tuple[Missing, ...] = ()
    unexpected: tuple[Unexpected, ...] = ()
    misshapen: tuple[Misshapen, ...] = ()
    depends: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)


@remembered(2)  # with a base, and without
def compared(config: Config, touched: Footprint, tree: ModuleTree | None = None) -> Compared:
    """What is wrong with the tensors of an adapter, whose PEFT type is a known one.

    Args:
        tree: Its base, if there is one at hand.
    """
    return _Comparison(config, touched, tree).result()


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
        self.targets = Targets(config)
        self.kinds = tuple(dict.fromkeys(kind for form in self.method.forms for kind in form.on))
        self.copies = any(form.copies for form in self.method.forms)
        self._like: dict[object, tuple[list[Missing], list[Unexpected], list[Misshapen], Mapping[str, Any]]] = {}

    def result(self) -> Compared:
        missing: list[Missing] = []
        unexpected: list[Unexpected] = []
        misshapen: list[Misshapen] = []
        depends: dict[tuple[str, str], frozenset[str]] = {}
        in_forms = any(form.parameters for form in self.method.forms) and not self.copies
        for module, parameters in self.touched.tuned.items() if in_forms else ():
            if module in self.touched.untargeted:
                continue
            for inner in _levels(parameters):
                own = {n.removeprefix(inner): t.shape for n, t in parameters.items() if _level(n) == inner}
                found = self._alike(module, own, bool(inner))
                settings = {key for one in found[1] for key in one.keys}
                missing += (replace(m, module=module, name=inner + m.name, beside=inner + m.beside) for m in found[0])
                unexpected += (
                    replace(u, module=module, name=inner + u.name, near=inner + u.near if u.near else None)
                    for u in found[1]
                )
                misshapen += (
                    replace(m, module=module, name=inner + m.name) for m in by_setting(settings, found[2], found[3])
                )
                depends |= {(module, inner + name): keys for name, keys in found[3].items()}
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
            depends |= {("", one.name): keys_of(one.parameter) for one in made}
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

    def _alike(
        self, module: str, shapes: Mapping[str, Numbers], inner: bool
    ) -> tuple[list[Missing], list[Unexpected], list[Misshapen], Mapping[str, Any]]:
        """What is wrong with a module; those that are alike are looked at once."""
        overrides, facts = self._overrides(module), self._facts(module)
        weight, bias, kinds = self._seen(module)
        owned = (
            None if inner else self.targets.owns_parameter(module) if self.config.get("target_parameters") else False
        )
        if owned is not False:
            weight, kinds = None, ((PARAMETER,) if owned else (PARAMETER, *kinds))
        left_out = [key for key in self.method.facts if "." not in key and self.values.get(key) is None]
        by_default = bool(left_out) and self._may_be_listed(module)
        alike = (tuple(shapes.items()), repr(overrides), facts, weight, bias, kinds, by_default)
        if alike not in self._like:
            values = {**self.values, **overrides}
            found = self._on_module(shapes, values, facts, weight, bias, kinds)
            wrong = [] if by_default else found[2]
            if left_out:  # which may turn it
                wrong = [replace(m, keys=(*m.keys, *left_out), turned=False) for m in wrong]
            self._like[alike] = found[0], found[1], wrong, found[3]
        return self._like[alike]

    def _seen(self, module: str) -> tuple[Numbers | None, bool | None, tuple[Kind | str, ...]]:
        """The shape of a module's weight, whether it has a bias, if the base tells, and of which kinds it may be."""
        node = self.tree.nodes.get(module) if self.tree is not None else None
        weight = node.parameters.get("weight") if node is not None else None
        modules = tuple(kind for kind in self.kinds if kind != PARAMETER and self._goes_along(module, kind))
        if node is None or weight is None:
            return None, None, modules
        may_be = (node.kind,) if node.certain else _BY_DIMENSIONS.get(len(weight), ())
        return weight, "bias" in node.parameters, tuple(kind for kind in modules if kind in may_be)

    def _goes_along(self, module: str, kind: Kind | str) -> bool:
        """Whether the file has what is tuned along with a module of a kind, if anything is."""
        form = form_on(self.method.name, kind, self.release)
        along = form.along if form is not None else ""
        return not along or any(f"{module}.{inner}{along}" in self.touched.tuned for inner in ("", INNER))

    def _on_module(
        self,
        shapes: Mapping[str, Numbers],
        values: Mapping[str, Any],
        facts: frozenset[str],
        weight: Numbers | None,
        bias: bool | None,
        kinds: Iterable[Kind | str],
    ) -> tuple[list[Missing], list[Unexpected], list[Misshapen], Mapping[str, Any]]:
        fits: list[_Fit] = []
        every: list[Made] = []
        tried: set[object] = set()
        for kind in kinds:
            form = form_on(self.method.name, kind, self.release)
            kernel = KERNEL_DIMENSIONS.get(kind, 0)
            like = form, kernel, weight is not None and kind in (GPT2, EMBEDDING)
            if form is None or like in tried:
                continue
            tried.add(like)
            ground = ground_on(values, kind, weight, bias, facts)
            if weight is not None and kernel:
                ground = replace(ground, channels=channels(form.parameters, shapes, ground))
            made = self._made(form.parameters, ground, shapes)
            if weight is not None and kernel and ground.channels is None and unsized(made, shapes):
                made = best_of((self._made(form.parameters, one, shapes) for one in grouped(ground)), shapes, kernel)
            every += made
            explained = sum(any(one.name == name for one in made) for name in shapes)
            bad = contradicted(made, shapes, kernel)
            depends = {one.name: keys_of(one.parameter) for one in made}
            fits.append(_Fit(explained, tuple(self._missing(made, shapes)), tuple(bad), depends))
        best = max((one.explained for one in fits), default=0)
        fits = [one for one in fits if one.explained == best]
        fewest = min((len(one.misshapen) for one in fits), default=0)
        fits = [one for one in fits if len(one.misshapen) == fewest]
        unexpected = list(self._unexpected(shapes, every)) if every else []
        if not best:
            return [], unexpected, [], {}
        needed = set.intersection(*({m.name for m in one.missing} for one in fits))
        return [m for m in fits[0].missing if m.name in needed], unexpected, list(fits[0].misshapen), fits[0].depends

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

    def _overrides(self, module: str) -> dict[str, Any]:
        """The values that patterns give to a module."""
        found: dict[str, Any] = {}
        outer = self.touched.outer(module)
        for key, patterned in self.method.patterns.items():
            values = self.values.get(patterned.key)
            if isinstance(values, dict) and values and patterned.for_first and are_few(values):
                first = next(matching_keys(values, outer, patterned.form), None)
                if first is None and outer != module:
                    first = next(matching_keys(values, module, patterned.form), None)
                found |= {key: values[first]} if first is not None else {}
        ranks = self.config.get("rank_pattern")
        if self.method.name == "ADALORA" and isinstance(ranks, dict) and ranks:
            kept_ranks = next((ranks[k] for k in (f"{module}.lora_E", f"{module}.lora_A") if k in ranks), None)
            found["init_r"] = sum(v is True for v in kept_ranks) if isinstance(kept_ranks, list) else None
        return found

    def _facts(self, module: str) -> frozenset[str]:
        return frozenset(fact for fact in self.method.facts if self._lists(fact, module))

    def _may_be_listed(self, module: str) -> bool:
        """Whether what a config leaves out would list a module in some base: PEFT fills it in by the base's type."""
        return any(module.endswith(tuple(names)) for names in every_default(self.method.name, "FEEDFORWARD"))

    def _lists(self, fact: str, module: str) -> bool:
        if "." in fact:
            return lists_part(self.values, fact, module)
        value = self.values.get(fact)
        if isinstance(value, str):
            return pattern(value).matches(module) is True
        return isinstance(value, list) and module.endswith(tuple(v for v in value if isinstance(v, str)))


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


def _levels(parameters: Parameters) -> list[str]:
    """How often `base_layer.` stands before the parameters of a module: each is another targeted parameter."""
    return list(dict.fromkeys(map(_level, parameters)))
