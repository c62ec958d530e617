"""What a file has, against what PEFT asks for.

On each module that an adapter tunes, and once at the top, the catalogue says which parameters PEFT makes (`expected`),
config and base say the rest (`said`). What PEFT does where the file differs:

- a tensor is missing (`Missing`): PEFT keeps what a new adapter has there, and warns, or only returns its name;
- one is of no parameter (`Unexpected`): PEFT drops it and says nothing;
- one has another shape (`Misshapen`): PEFT raises, but for what the catalogue calls loose.

Without a base it is not known of which kind a module is, nor of which size: then a fault is one on every kind of module
that has the parameters that the file has, and sizes have to agree among the tensors of one module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from adapterlint.adapter import Config
from adapterlint.base.tree import ModuleTree
from adapterlint.caches import emptied, remembered
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.layout import Look
from adapterlint.peft.methods.catalogue import METHODS
from adapterlint.peft.methods.expected import INNER, Made, expected
from adapterlint.peft.methods.faults import Depends, Faults, Missing, Reader, Unexpected
from adapterlint.peft.methods.misshapen import Misshapen, by_parts, by_setting, contradicted, keys_of, unlike
from adapterlint.peft.methods.said import Said
from adapterlint.peft.methods.shapes import Ground
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.releases import NEWEST

MAX_RECIPES = 64  # of which it is kept what is wrong with them


@dataclass(frozen=True, slots=True)
class Compared:
    """What is wrong with the tensors of an adapter.

    Args:
        behind: What stands before parameters -> module -> parameter -> the keys of the config that its shape depends
            on; modules that are alike share what is said of them.
    """

    missing: tuple[Missing, ...] = ()
    unexpected: tuple[Unexpected, ...] = ()
    misshapen: tuple[Misshapen, ...] = ()
    behind: Mapping[str, Mapping[str, Depends]] = field(default_factory=dict)

    def keys_behind(self, module: str, name: str) -> frozenset[str]:
        """The keys of the config that the shape of a parameter depends on, as far as that is known."""
        inner = _level(name)
        return self.behind.get(inner, {}).get(module, {}).get(name.removeprefix(inner), frozenset())


def compared(
    config: Config, touched: Footprint, tree: ModuleTree | None = None, release: str | None = None
) -> Compared:
    """What is wrong with the tensors of an adapter, whose PEFT type is a known one.

    Adapters of one recipe share their footprint, and what is wrong with them is found once.

    Args:
        tree: Its base, if there is one at hand.
        release: The release that is asked; without it, the newest one that has the type.
    """
    return _compared(_first_alike(config), touched, tree, release)


@remembered(MAX_RECIPES)
def _compared(config: Config, touched: Footprint, tree: ModuleTree | None, release: str | None) -> Compared:
    return _Comparison(config, touched, tree, release).result()


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
_Group = tuple[str, Sequence[str], Faults]
"""What stands before parameters, modules that are alike, what is wrong with each of them."""


class _Comparison:
    def __init__(self, config: Config, touched: Footprint, tree: ModuleTree | None, release: str | None) -> None:
        method = METHODS[config.peft_type]
        release = release or (NEWEST if method.known_in(NEWEST) else method.until or NEWEST)
        self.touched = touched
        self.tree = tree
        self.method = method
        self.values = OpenedConfig(config.peft_type, dict(config.values), release)
        self.reader = Reader(method, release, self.values)
        self.said = Said(config, self.values, touched, tree, release)

    def result(self) -> Compared:
        groups = list(self._groups())
        behind: dict[str, dict[str, Depends]] = {}
        for inner, modules, faults in groups:
            behind.setdefault(inner, {}).update(dict.fromkeys(modules, faults.depends))
        top = self._at_top()
        if top is not None:
            behind.setdefault("", {})[""] = top.depends
        found = [*self._in_order(groups), Faults(misshapen=tuple(self._copied())), top or Faults()]
        misshapen = [m for one in found for m in one.misshapen]
        return Compared(
            tuple(m for one in found for m in one.missing),
            tuple(u for one in found for u in one.unexpected),
            tuple(by_parts(misshapen, self.method, self.values, self.touched.tuned)),
            behind,
        )

    def _groups(self) -> Iterator[_Group]:
        """The modules whose parameters the catalogue says, those that are alike together."""
        if self.method.copies or not any(form.parameters for form in self.method.forms):
            return
        for look, modules in self.touched.alike.items():
            tuned = [module for module in modules if module not in self.touched.untargeted]
            for inner in _levels(look):
                shapes = {name[len(inner) :]: shape for name, shape in look if _level(name) == inner}
                for where, alike in self.said.grouped(tuned, bool(inner)):
                    yield inner, alike, self._blamed(self.reader.in_module(shapes, where), where.by_default)

    def _blamed(self, faults: Faults, by_default: bool) -> Faults:
        """With the keys that are behind sizes which are wrong: what a config leaves out may be as the file has it."""
        left_out = self.said.left_out
        wrong = () if by_default else faults.misshapen
        if left_out:  # which may turn a shape
            wrong = tuple(replace(one, keys=(*one.keys, *left_out), turned=False) for one in wrong)
        settings = {key for one in faults.unexpected for key in one.keys}
        return replace(faults, misshapen=tuple(by_setting(settings, wrong, faults.depends)))

    def _in_order(self, groups: Sequence[_Group]) -> Iterator[Faults]:
        """What is wrong with each module, in the order of the file."""
        wrong: dict[str, list[tuple[str, Faults]]] = {}
        for inner, modules, faults in groups:
            for module in modules if faults else ():
                wrong.setdefault(module, []).append((inner, faults))
        for module in self.touched.tuned if wrong else ():
            yield from (faults.at(module, inner) for inner, faults in wrong.get(module, ()))

    def _copied(self) -> Iterator[Misshapen]:
        """Copies of modules that have other shapes than these."""
        for module, tensors in self.touched.tuned.items() if self.method.copies and self.tree is not None else ():
            node = self.tree.nodes.get(module) if self.tree is not None else None
            yield from unlike(module, tensors, node.parameters) if node is not None else ()

    def _at_top(self) -> Faults | None:
        """What is wrong with what stands there once; `None` if nothing does, or in every module instead."""
        top, shared, tuned = self.method.top, self.touched.shared, self.touched.tuned
        if not top or not (shared or (tuned and not any(one.name in self.touched.shapes for one in top))):
            return None
        shapes = {name: tensor.shape for name, tensor in shared.items()}
        made = expected(top, Ground(self.values), self.reader.release, shapes)
        beside = next((name for parameters in tuned.values() for name in parameters), "")
        missing = [*self.reader.missing(made, shapes), *self._without_groups()]
        return Faults(
            tuple(one if one.beside else replace(one, beside=beside) for one in missing),
            tuple(self.reader.unexpected(shapes, made)),
            tuple(contradicted(made, shapes, infer=False)),
            {one.name: keys_of(one.parameter) for one in made},
        )

    def _without_groups(self) -> Iterator[Missing]:
        """What a group of targets has together, where the file has nothing like that."""
        ground = Ground(self.values)
        entry = next((one for one in self.method.top if one.group is not None), None)
        if entry is not None and not self.touched.shared and entry.saved.of(ground):
            name = entry.name.partition(".")[0]
            yield Missing("", name, Made(name, None, entry.begins, entry, ground), "")


def _level(name: str) -> str:
    count = 0
    while name.startswith(INNER, count):
        count += len(INNER)
    return name[:count]


def _levels(look: Look) -> list[str]:
    """How often `base_layer.` stands before the parameters of a module: each is another targeted parameter."""
    return list(dict.fromkeys(_level(name) for name, _ in look))
