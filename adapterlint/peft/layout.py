"""The tensors of an adapter's file by what they are for, as their names tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from adapterlint.caches import emptied, kept
from adapterlint.files.safetensors_header import Tensor
from adapterlint.peft.keys import PREFIX, Role, split_key
from adapterlint.peft.methods import METHODS, tensor_prefix

Parameters = Mapping[str, Tensor]
Look = tuple[tuple[str, tuple[int, ...]], ...]
"""The parameters of a module in the file's order, and their shapes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The tensors of a file by what they are for.

    Args:
        tuned: Module path -> parameter -> tensor, for the parameters of the method.
        plain: The same for parameters named like the base's own.
        tokens: Module path -> (name of the tensor, tensor), for token rows.
        shared: Parameters that the whole tuner shares.
        foreign: Names outside PEFT's grammar.
        names: (module, parameter) -> name in the file.
        shapes: Parameter of the method -> all shapes that it has in the file.
        alike: Parameters and their shapes -> the tuned modules that have exactly these: hundreds have a few such looks.
        outers: Tuned module -> the `nn.MultiheadAttention` that it is the projection of.
    """

    tuned: Mapping[str, dict[str, Tensor]] = field(default_factory=dict)
    plain: Mapping[str, dict[str, Tensor]] = field(default_factory=dict)
    tokens: Mapping[str, tuple[str, Tensor]] = field(default_factory=dict)
    shared: Mapping[str, Tensor] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    shapes: Mapping[str, AbstractSet[tuple[int, ...]]] = field(default_factory=dict)
    alike: Mapping[Look, Sequence[str]] = field(default_factory=dict)
    outers: Mapping[str, str] = field(default_factory=dict)

    def outer(self, module: str) -> str:
        """The tuned module itself, or the `nn.MultiheadAttention` that it is the projection of."""
        return self.outers.get(module, module)


def layout(tensors: Mapping[str, Tensor], peft_type: str) -> Layout:
    """Sort the tensors of a file by what they are for.

    Files of one recipe share their parsed header, so the last layouts are kept.

    Args:
        tensors: By name.
        peft_type: Decides what a method's parameters are called; an unknown type has none.
    """
    key = id(tensors), peft_type
    kept = _layouts.get(key)
    if kept is not None and kept[0] is tensors:
        return kept[1]
    if len(_layouts) >= MAX_LAYOUTS:
        _layouts.clear()
    sorted_out = _sorted_out(tensors, peft_type)
    _layouts[key] = tensors, sorted_out
    return sorted_out


MAX_LAYOUTS = 64
# id of the tensors -> (the tensors, kept so that the id stays theirs; their layout)
_layouts: dict[tuple[int, str], tuple[Mapping[str, Tensor], Layout]] = emptied({})


def _sorted_out(tensors: Mapping[str, Tensor], peft_type: str) -> Layout:
    plan = _plan(tuple(tensors), peft_type)
    values = list(tensors.values())
    tuned: dict[str, dict[str, Tensor]] = {module: {} for module in plan.tuned}
    alike: dict[Look, list[str]] = {}
    for names, modules, columns in plan.tables:
        rows = zip(*([values[i] for i in column] for column in columns), strict=True)
        same: dict[tuple[tuple[int, ...], ...], list[str]] = {}
        for module, row in zip(modules, rows, strict=True):
            tuned[module] = dict(zip(names, row, strict=True))
            same.setdefault(tuple([tensor.shape for tensor in row]), []).append(module)
        alike |= {tuple(zip(names, look, strict=True)): below for look, below in same.items()}
    shapes: dict[str, set[tuple[int, ...]]] = {}
    for look in alike:
        for name, shape in look:
            shapes.setdefault(name, set()).add(shape)
    return Layout(
        tuned=tuned,
        plain={module: {p: values[i] for p, i in pairs} for module, pairs in plan.plain},
        tokens={module: (plan.names[module, p], values[i]) for module, pairs in plan.tokens for p, i in pairs},
        shared={p: values[i] for _, pairs in plan.shared for p, i in pairs},
        foreign=plan.foreign,
        names=plan.names,
        shapes=shapes,
        alike=alike,
        outers=plan.outers,
    )


# Module -> its parameters, and which tensor of the file each of them is, counted from 0.
_Places = tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
# Parameters, the modules that have exactly these, and for each parameter which tensors of the file theirs are.
_Table = tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[int, ...], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """A layout by names alone; adapters that differ in rank or data type only have the same one.

    Args:
        tuned: The modules with parameters of the method.
        tables: These modules by their parameters.
    """

    tuned: tuple[str, ...]
    tables: tuple[_Table, ...]
    plain: _Places
    tokens: _Places
    shared: _Places
    foreign: tuple[str, ...]
    names: Mapping[tuple[str, str], str]
    outers: Mapping[str, str]


@kept(64)
def _plan(file: tuple[str, ...], peft_type: str) -> _Plan:
    method = METHODS.get(peft_type)
    prompt_learning = method is not None and method.prompt_learning
    prefix = tensor_prefix(peft_type)
    modules: dict[Role, dict[str, dict[str, int]]] = {role: {} for role in Role}
    foreign: list[str] = []
    names: dict[tuple[str, str], str] = {}
    outers: dict[str, str] = {}
    for place, name in enumerate(file):
        role, module, parameter = split_key(name, prefix, prompt_learning)
        if role is Role.FOREIGN:
            foreign.append(name)
            continue
        names[module, parameter] = name
        modules[role].setdefault(module, {})[parameter] = place
        outer, inside, _ = name.removesuffix(parameter).partition(".base_layer.")
        if inside and role is Role.TUNER:
            outers.setdefault(module, outer.removeprefix(PREFIX))
    tuned = modules[Role.TUNER]
    plain, tokens, shared = (
        tuple((module, tuple(places.items())) for module, places in modules[role].items())
        for role in (Role.PLAIN, Role.TOKENS, Role.SHARED)
    )
    return _Plan(tuple(tuned), tuple(_tables(tuned)), plain, tokens, shared, tuple(foreign), names, outers)


def _tables(tuned: Mapping[str, Mapping[str, int]]) -> Iterator[_Table]:
    same: dict[tuple[str, ...], list[str]] = {}
    for module, places in tuned.items():
        same.setdefault(tuple(places), []).append(module)
    for names, modules in same.items():
        yield names, tuple(modules), tuple(tuple(tuned[module][name] for module in modules) for name in names)
