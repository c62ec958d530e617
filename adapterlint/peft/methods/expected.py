"""Which parameters a config makes on a target, and of which shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapterlint.base.tree import Kind
from adapterlint.base.tree import Shape as Numbers
from adapterlint.caches import kept
from adapterlint.peft.methods.catalogue import METHODS
from adapterlint.peft.methods.method import Method
from adapterlint.peft.methods.parameter import CONVOLUTIONS, EMBEDDING, GPT2, Begins, Form, Parameter
from adapterlint.peft.methods.shapes import UNKNOWN, Ground, Term, shape_of, size_of
from adapterlint.peft.modules import ANY
from adapterlint.peft.releases import RELEASES, in_range

MAX_COUNT = 64  # of parameters that differ in a number only
INNER = "base_layer."  # before the parameters of a layer that is within another one


def lists_part(values: Mapping[str, Any], fact: str, name: str) -> bool:
    """Whether a setting within another (`use_bdlora.target_modules_bd_a`) lists a part of a module's path."""
    outer, _, inner = fact.partition(".")
    setting = values.get(outer)
    parts = setting.get(inner) if isinstance(setting, dict) else None
    return isinstance(parts, list) and any(isinstance(p, str) and p in name for p in parts)


@dataclass(frozen=True, slots=True)
class Made:
    """A parameter as one target gets it.

    Args:
        name: Its name behind the path of the module.
        shape: `None` if not even the number of its dimensions is known; so is each dimension that is not, and a
            negative one stands for any multiple of it.
        begins: What it holds as long as nothing is loaded into it.
        parameter: The entry that says so.
        ground: What that was evaluated on.
        certain: Whether there is such a parameter for sure.
    """

    name: str
    shape: tuple[int | None, ...] | None
    begins: Begins
    parameter: Parameter
    ground: Ground
    certain: bool = True

    @property
    def place(self) -> tuple[str, str]:
        """The attribute of the layer that holds it, and what follows the adapter's name there."""
        attribute = self.parameter.attribute
        return attribute, self.parameter.in_model or self.name[len(attribute) :]

    @property
    def number(self) -> str:
        """The number in its name, where the entry has a `#`."""
        return number_in(self.name, self.parameter)

    @property
    def sizes(self) -> Numbers | None:
        """The shape as a `Param` has it."""
        if self.shape is None:
            return None
        return tuple(ANY if n is None else n for n in self.shape)


@kept(1024)
def form_on(peft_type: str, kind: Kind | str, release: str) -> Form | None:
    """What a type has on a kind of module in a release; `None` if it does not take such modules."""
    forms = METHODS[peft_type].forms
    return next((one for one in forms if kind in one.on and in_range(release, one.since, None)), None)


def ground_on(
    values: Mapping[str, Any], kind: Kind | str, weight: Numbers | None, bias: bool | None, lists: frozenset[str]
) -> Ground:
    """What terms are evaluated on, for a module with a weight of a shape."""
    if weight is None or len(weight) < 2:
        return Ground(values, kernel=None if kind in CONVOLUTIONS else (), bias=bias, lists=lists)
    first, second, *kernel = weight
    inputs, outputs = (first, second) if kind in (GPT2, EMBEDDING) else (second, first)
    channels = None if kernel else inputs
    return Ground(values, inputs, outputs, channels, tuple(kernel), bias=bias, lists=lists)


def made_on(parameters: tuple[Parameter, ...], ground: Ground, release: str) -> Iterator[Made]:
    """The parameters that there are on some ground."""
    for one in parameters:
        there = one.when.of(ground)
        if (there is not None and not there) or not in_range(release, one.since, one.until):
            continue
        shape, begins = shape_of(one.shape, ground), one.begins
        if begins is Begins.IDLE and not one.idle_if.of(ground):
            begins = Begins.NOISE
        made = Made(one.name, shape, begins, one, ground, there is not None)
        if one.count is None:
            yield made
            continue
        for i in range(count_on(one, ground) or 0):
            yield replace(made, name=one.name.replace("#", str(i)))


def expected(parameters: tuple[Parameter, ...], ground: Ground, release: str, names: Iterable[str]) -> list[Made]:
    """What there is on some ground, and what is of no known number but in a file.

    Args:
        names: Of the tensors of the file.
    """
    made = list(made_on(parameters, ground, release))
    numbered = [one for one in parameters if one.count is not None or one.group is not None]
    known = {one.name for one in made}
    found: dict[str, Parameter] = {}
    for name in (name for name in names if numbered and name not in known):
        entry = next((one for one in numbered if _expression(one.name).fullmatch(name)), None)
        if entry is not None and (entry.count is None or count_on(entry, ground) is None):
            found[name] = entry
    certain = _up_to_last(found, parameters)
    for name, entry in {**found, **certain}.items():
        made.append(Made(name, None, entry.begins, entry, ground, certain=name in certain))
    return made


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
def releases_with(method: Method, name: str) -> tuple[str, ...]:
    """The releases in which a name is that of a parameter of the method, on whatever module."""
    inner = name.removeprefix(INNER)
    entries = [one for one in method.parameters() if _expression(one.name).fullmatch(inner)]
    return tuple(
        line
        for line in RELEASES
        if method.known_in(line) and any(in_range(line, one.since, one.until) for one in entries)
    )


@kept(1024)
def _expression(entry: str) -> re.Pattern[str]:
    return re.compile(re.escape(entry).replace(r"\#", r"\d+").replace("\\*", ".+"))


def count_on(entry: Parameter, ground: Ground) -> int | None:
    """How many of a parameter there are; `None` if that is not known, or they are too many to be looked at."""
    count = size_of(entry.count, ground) if entry.count is not None else 1
    return count if count is not None and count <= MAX_COUNT else None


def number_in(name: str, entry: Parameter) -> str:
    """The number in a parameter's name where its entry has a `#`; empty if it has none."""
    parts = zip(name.split("."), entry.name.split("."), strict=False)
    return next((part for part, wild in parts if wild == "#"), "")
