"""What is wrong with the tensors of one module, as the kind of module that explains them best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from adapterlint.base.tree import Kind
from adapterlint.base.tree import Shape as Numbers
from adapterlint.peft.methods.expected import Made, count_on, entry_of, expected, form_on, ground_on
from adapterlint.peft.methods.method import Method
from adapterlint.peft.methods.misshapen import (
    Misshapen,
    best_of,
    channels,
    contradicted,
    keys_of,
    of_any_groups,
    unsized,
)
from adapterlint.peft.methods.parameter import EMBEDDING, GPT2, KERNEL_DIMENSIONS, Form, Parameter
from adapterlint.peft.methods.said import Where
from adapterlint.peft.methods.shapes import Ground
from adapterlint.peft.opened import OpenedConfig
from adapterlint.words import suggestion

Depends = Mapping[str, frozenset[str]]
"""Parameter -> the keys of the config that its shape depends on."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A parameter that a module needs and the file lacks: PEFT keeps what a new adapter has there.

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
    """A tensor that is no parameter of its module: PEFT drops it.

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
class Faults:
    """What is wrong with tensors."""

    missing: tuple[Missing, ...] = ()
    unexpected: tuple[Unexpected, ...] = ()
    misshapen: tuple[Misshapen, ...] = ()
    depends: Depends = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def at(self, module: str, inner: str) -> Faults:
        """The same in a module, with what stands before its parameters' names."""
        return Faults(
            tuple(replace(m, module=module, name=inner + m.name, beside=inner + m.beside) for m in self.missing),
            tuple(
                replace(u, module=module, name=inner + u.name, near=inner + u.near if u.near else None)
                for u in self.unexpected
            ),
            tuple(replace(m, module=module, name=inner + m.name) for m in self.misshapen),
            self.depends,
        )


@dataclass(frozen=True, slots=True)
class _Fit:
    """How the tensors of a module fit one kind of modules.

    Args:
        explained: How many of them it has.
        made: The parameters that it has.
        missing: Those that the file lacks.
        misshapen: Those of another shape.
    """

    explained: int
    made: list[Made]
    missing: tuple[Missing, ...]
    misshapen: tuple[Misshapen, ...]

    @property
    def wrong(self) -> tuple[int, int]:
        """How badly the shapes fit: those of another number of dimensions, which tell the kind of module, and all."""
        return sum(one.axis < 0 for one in self.misshapen), len(self.misshapen)


@dataclass(frozen=True, slots=True)
class Reader:
    """Compares tensors with what a method has under a config.

    Args:
        method: The method.
        release: The release of PEFT that is asked.
        values: The config as that release reads it.
    """

    method: Method
    release: str
    values: OpenedConfig

    def in_module(self, shapes: Mapping[str, Numbers], where: Where) -> Faults:
        """What is wrong with the tensors of a module: what no kind has, and what the kinds that explain most lack."""
        fits = list(self._fits(shapes, where))
        every = [one for fit in fits for one in fit.made]
        unexpected = tuple(self.unexpected(shapes, every)) if every else ()
        best = max((fit.explained for fit in fits), default=0)
        if not best:
            return Faults(unexpected=unexpected)
        fits = [fit for fit in fits if fit.explained == best]
        least = min(fit.wrong for fit in fits)
        fits = [fit for fit in fits if fit.wrong == least]
        needed = set.intersection(*({one.name for one in fit.missing} for fit in fits))
        missing = tuple(one for one in fits[0].missing if one.name in needed)
        depends = {one.name: keys_of(one.parameter) for one in fits[0].made}
        return Faults(missing, unexpected, fits[0].misshapen, depends)

    def _fits(self, shapes: Mapping[str, Numbers], where: Where) -> Iterator[_Fit]:
        """How the tensors fit each kind of modules that theirs may be of."""
        tried: set[object] = set()
        for kind in where.kinds:
            form, kernel = form_on(self.method.name, kind, self.release), KERNEL_DIMENSIONS.get(kind, 0)
            like = form, kernel, where.weight is not None and kind in (GPT2, EMBEDDING)
            if form is None or like in tried:
                continue
            tried.add(like)
            made = self._on_kind(shapes, where, kind, form)
            explained = sum(any(one.name == name for one in made) for name in shapes)
            fit = _Fit(explained, made, tuple(self.missing(made, shapes)), tuple(contradicted(made, shapes, kernel)))
            yield fit
            if explained == len(shapes) and not fit.missing and not fit.misshapen:
                return  # what is right as one kind is not wrong for being none of the others

    def _on_kind(self, shapes: Mapping[str, Numbers], where: Where, kind: Kind | str, form: Form) -> list[Made]:
        """What there is on a module of a kind; a convolution has as many groups as the tensors show or fit best."""
        ground = ground_on({**self.values, **where.overrides}, kind, where.weight, where.bias, where.lists)
        kernel = KERNEL_DIMENSIONS.get(kind, 0) if where.weight is not None else 0
        if kernel:
            ground = replace(ground, channels=channels(form.parameters, shapes, ground))
        made = expected(form.parameters, ground, self.release, shapes)
        if kernel and ground.channels is None and unsized(made, shapes):
            alternatives = (expected(form.parameters, g, self.release, shapes) for g in of_any_groups(ground))
            return best_of(alternatives, shapes, kernel)
        return made

    def missing(self, made: Iterable[Made], shapes: Mapping[str, Numbers]) -> Iterator[Missing]:
        """What is there for sure, and not in the file."""
        beside = next((name for name in shapes if any(one.name == name for one in made)), next(iter(shapes), ""))
        for one in made:
            sure = one.certain and one.parameter.saved.of(one.ground) and one.parameter.group is None
            sure = sure and not (self.method.prompt_learning and one.name == "prompt_embeddings")
            if sure and one.name not in shapes and not one.parameter.remade:
                yield Missing("", one.name, one, beside)

    def unexpected(self, shapes: Mapping[str, Numbers], made: list[Made]) -> Iterator[Unexpected]:
        """What is in the file, and a parameter on no kind of module."""
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
