"""Tensors whose sizes contradict the config, the base, or the other tensors of their module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from adapterlint.base.tree import Shape as Numbers
from adapterlint.files.safetensors_header import Tensor
from adapterlint.peft.methods.expected import Made
from adapterlint.peft.methods.method import Method
from adapterlint.peft.methods.parameter import Parameter
from adapterlint.peft.methods.shapes import CHANNELS, IN, KERNEL, ONES, OUT, UNKNOWN, Ground, Term, chosen, size_of

MAX_GROUPS = 64  # of a convolution


@dataclass(frozen=True, slots=True)
class Misshapen:
    """A tensor of another size along one axis than the config, or the rest of its module, asks for.

    Args:
        module: Its module; empty for what stands at the top.
        name: Its name behind the path of the module.
        axis: Counted from 0; -1 if the number of dimensions is another one.
        actual: Its size there, or the number of its dimensions.
        expected: What it should be; a negative size stands for any multiple of it.
        text: How the size is written in terms of the config and the module: `r`, `r * 2`, `in_features`.
        keys: The keys of the config in that.
        turned: Whether the shape is the expected one the wrong way round.
        loads: Whether PEFT takes it as it is, and the output is another one.
    """

    module: str
    name: str
    axis: int
    actual: int
    expected: int
    text: str
    keys: tuple[str, ...]
    turned: bool = False
    loads: bool = False


def contradicted(
    made: Iterable[Made], shapes: Mapping[str, Numbers], kernel: int = 0, *, infer: bool = True
) -> Iterator[Misshapen]:
    """What contradicts the config, the base, or the other tensors of the module.

    Args:
        kernel: How many dimensions a convolution's kernel has.
        infer: Whether sizes of the module that are not known are those that its tensors show.
    """
    axes = [(one, shapes[one.name], _axes(one, kernel)) for one in made if one.name in shapes]
    seen = _seen(axes) if infer else {}
    single = {size: Counter(sizes).most_common(1)[0][0] for size, sizes in seen.items()}
    agreed = {size: single[size] for size, sizes in seen.items() if len(sizes) > 1}
    found: dict[str, list[list[Misshapen]]] = {}  # of parameters of one name it is not known which one there is
    for one, shape, terms in axes:
        found.setdefault(one.name, []).append(list(_differences(one, shape, terms, agreed, single)))
    for one, other in _longer(axes):
        found[one.name] = [[*min(found[one.name], key=len), other]]
    for alternatives in found.values():
        yield from min(alternatives, key=len)


_Axes = tuple[Made, Numbers, Sequence[Term | int | None]]
_Size = tuple[Term, str]  # a size that is not known, and the number of the parameters that it is the size of


def _seen(axes: Sequence[_Axes]) -> dict[_Size, list[int]]:
    """What the tensors show of sizes that are not known; first, which counts in a tie, those that are right."""

    def is_doubtful(at: _Axes) -> tuple[bool, bool]:
        one, shape, terms = at
        return not one.certain, any(_differences(one, shape, terms, {}, {}))

    found: dict[_Size, list[int]] = {}
    for one, shape, terms in sorted(axes, key=is_doubtful):
        if len(terms) == len(shape):
            for actual, term in zip(shape, terms, strict=True):
                if isinstance(term, Term) and term is not UNKNOWN and size_of(term, one.ground) is None:
                    found.setdefault(_key(term, one), []).append(actual)
    return found


def _key(term: Term, one: Made) -> _Size:
    return term, one.number if term.numbered else ""


def _differences(
    one: Made,
    shape: Numbers,
    terms: Sequence[Term | int | None],
    agreed: Mapping[_Size, int],
    single: Mapping[_Size, int],
) -> Iterator[Misshapen]:
    if 0 in shape:
        return  # a tensor without elements is wrong by itself
    ground = replace(
        one.ground,
        inputs=one.ground.inputs or single.get((IN, "")),
        outputs=one.ground.outputs or single.get((OUT, "")),
    )
    full: list[int | None] = []
    for term in terms:
        if not isinstance(term, Term):
            full.append(term)
        elif term in (IN, OUT) and size_of(term, one.ground) is None:  # one tensor does not contradict itself
            full.append(agreed.get((term, "")))
        else:
            size = size_of(term, ground)
            full.append(agreed.get(_key(term, one)) if size is None else size)
    if len(full) != len(shape):
        yield Misshapen("", one.name, -1, len(shape), len(full), "", tuple(sorted(one.parameter.when.keys)))
        return
    turned = len(shape) > 1 and _matches(shape[::-1], full)
    for axis, (actual, expected, term) in enumerate(zip(shape, full, terms, strict=True)):
        if expected is None or actual == expected or (expected < 0 and actual % expected == 0):
            continue
        if expected == 0:  # a value that is wrong by itself
            continue
        if isinstance(term, Term) and not one.certain and term.keys & one.parameter.when.keys:
            continue  # then there may be another parameter
        if one.parameter.file_only and axis == len(shape) - 1:  # PEFT takes as many as the file has
            continue
        keys = tuple(sorted(term.keys)) if isinstance(term, Term) else ()
        yield Misshapen("", one.name, axis, actual, expected, "" if term is None else str(term), keys, turned)


def _longer(axes: Iterable[tuple[Made, Numbers, Sequence[Term | int | None]]]) -> Iterator[tuple[Made, Misshapen]]:
    """Of two tensors that PEFT makes one of, as long as the file has them: the one that is too long for the other.

    VB-LoRA saves places, and numbers for all of them but the last. With too few numbers `scatter` raises; of too many
    it takes the first, which were not meant to be all (`set_peft_model_state_dict`).
    """
    pairs: dict[str, list[tuple[Made, int, int, Term]]] = {}
    for one, shape, terms in axes:
        term = terms[-1] if terms and len(terms) == len(shape) else None
        size = size_of(term, one.ground) if isinstance(term, Term) else None
        if one.parameter.file_only and isinstance(term, Term) and size is not None:
            pairs.setdefault(one.name.rpartition("_")[0], []).append((one, shape[-1], size, term))
    for pair in pairs.values():
        if len(pair) != 2 or pair[0][1] - pair[0][2] == pair[1][1] - pair[1][2]:
            continue
        numbers_too_long = pair[0][1] - pair[0][2] < pair[1][1] - pair[1][2]
        (one, actual, size, term), (partner, other, its_size, _) = reversed(pair) if numbers_too_long else pair
        axis, keys, more = len(one.parameter.shape) - 1, tuple(sorted(term.keys)), size - its_size
        text = f"{partner.name} {'+' if more > 0 else '-'} {abs(more)}"
        yield one, Misshapen("", one.name, axis, actual, other + more, text, keys, loads=numbers_too_long)


def unlike(module: str, copy: Mapping[str, Tensor], original: Mapping[str, Numbers | None]) -> Iterator[Misshapen]:
    """What has another size in a copy of a module, whose parameters' names end as they do there."""
    for name, tensor in copy.items():
        shape = original.get(name.rpartition(".")[2])
        if shape is None or len(shape) != len(tensor.shape):
            continue
        for axis, (actual, expected) in enumerate(zip(tensor.shape, shape, strict=True)):
            if actual != expected:
                yield Misshapen(module, name, axis, actual, expected, "", (), tensor.shape == shape[::-1])


def keys_of(entry: Parameter | None) -> frozenset[str]:
    """The keys of the config that the shape of a parameter depends on."""
    terms = entry.shape if entry is not None else ()
    return frozenset(key for term in terms if isinstance(term, Term) for key in term.keys)


def _axes(one: Made, kernel: int) -> list[Term | int | None]:
    """What each dimension is: a term, a number, or nothing where that is not known."""
    found: list[Term | int | None] = []
    for term in one.parameter.shape:
        if term is ONES:
            found += [1] * kernel
        elif term is KERNEL:
            found += one.ground.kernel if one.ground.kernel is not None else [None] * kernel
        else:
            found.append(chosen(term, one.ground) if isinstance(term, Term) else term)
    return found


def channels(parameters: Iterable[Parameter], shapes: Mapping[str, Numbers], ground: Ground) -> int | None:
    """The input channels of all groups together, which a factor has; of the weight it has a multiple."""
    for one in parameters:
        shape = shapes.get(one.name, ())
        for axis, term in enumerate(one.shape):
            if term is CHANNELS and ground.inputs and axis < len(shape) and shape[axis] % ground.inputs == 0:
                return shape[axis]
    return None


def unsized(made: Iterable[Made], shapes: Mapping[str, Numbers]) -> bool:
    """Whether a tensor of the file is of no known size."""
    return any(one.name in shapes and one.shape is not None and None in one.shape for one in made)


def of_any_groups(ground: Ground) -> Iterator[Ground]:
    """What a convolution may be: of any number of groups that its output channels allow."""
    for groups in range(1, MAX_GROUPS + 1):
        if ground.inputs and (ground.outputs or 0) % groups == 0:
            yield replace(ground, channels=ground.inputs * groups)


def best_of(found: Iterable[list[Made]], shapes: Mapping[str, Numbers], kernel: int) -> list[Made]:
    """What contradicts the file least."""
    return min(found, key=lambda made: len(list(contradicted(made, shapes, kernel))), default=[])


def by_setting(
    settings: Set[str], misshapen: Iterable[Misshapen], depends: Mapping[str, frozenset[str]]
) -> Iterator[Misshapen]:
    """The sizes that are wrong in a module; settings that are not given, and have tensors, are blamed for theirs."""
    for one in misshapen:
        blamed = tuple(sorted(settings & depends.get(one.name, frozenset())))
        yield replace(one, keys=blamed, turned=False) if blamed else one


def by_parts(
    misshapen: Sequence[Misshapen], method: Method, values: Mapping[str, Any], modules: Iterable[str]
) -> Sequence[Misshapen]:
    """The sizes that are wrong; a setting that is not given, and lists modules, is blamed for parts.

    All of them have to be the same part of what is asked for, in all modules whose paths end alike, as blocks are: one
    alone is just a wrong size.

    Args:
        values: The config.
        modules: All modules that the file has tensors for.
    """
    listing = (name.partition(".")[0] for name in method.lists if "." in name)
    settings = {key for key in listing if not values.get(key)}
    parts = {one.expected / one.actual for one in misshapen if one.actual > 0}
    if not settings or len(misshapen) < 2 or len(parts) > 1 or any(part < 2 or part % 1 for part in parts):
        return misshapen
    wrong = {one.module for one in misshapen}
    names = {_own_name(module) for module in wrong}
    blamed = [_settings(method, one) & settings for one in misshapen]
    if not all(blamed) or any(_own_name(module) in names and module not in wrong for module in modules):
        return misshapen
    return [replace(one, keys=tuple(sorted(keys)), turned=False) for one, keys in zip(misshapen, blamed, strict=True)]


def _settings(method: Method, one: Misshapen) -> frozenset[str]:
    """The keys that decide which of two sizes a tensor has there."""
    shapes = [entry.shape for entry in method.parameters() if entry.name == one.name]
    terms = [shape[one.axis] for shape in shapes if 0 <= one.axis < len(shape)]
    choices = [term.choice for term in terms if isinstance(term, Term) and term.choice is not None]
    return frozenset(key for condition, _, _ in choices for key in condition.keys)


def _own_name(module: str) -> str:
    return module.rpartition(".")[2]


def _matches(shape: Numbers, wanted: Sequence[int | None]) -> bool:
    return all(b is None or a == b or (b < 0 and a % b == 0) for a, b in zip(shape, wanted, strict=True))
