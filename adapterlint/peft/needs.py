"""What the tensors of an adapter ask of PEFT, whatever its config and its base: layers that came with some release.

The catalogue says since when a method takes a kind of module (`Form.since`) and has a parameter (`Parameter.since`). A
tensor tells of which kind its module is where its name, or the number of its dimensions, is one of that kind alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adapterlint.adapter import Config
from adapterlint.base.tree import Kind
from adapterlint.caches import kept, remembered
from adapterlint.peft.footprint import MAX_FOOTPRINTS, Footprint
from adapterlint.peft.methods import METHODS, Method
from adapterlint.peft.methods.parameter import Form, Parameter
from adapterlint.peft.releases import numbers

_LAYERS = {
    Kind.LINEAR: "Linear",
    Kind.GPT2_CONV1D: "Conv1D",
    Kind.EMBEDDING: "Embedding",
    Kind.CONV1D: "Conv1d",
    Kind.CONV2D: "Conv2d",
    Kind.CONV3D: "Conv3d",
    Kind.ATTENTION: "MultiheadAttention",
}
_Shown = tuple[tuple[str, int], ...]  # parameters of one module, and how many dimensions each has


@dataclass(frozen=True, slots=True)
class Need:
    """Something that only releases from one on can make of the tensors of an adapter.

    Args:
        what: What it is, as the subject of a sentence.
        since: The first release that knows it.
        error: What earlier releases raise; `None` if they load the adapter, and these tensors reach nothing.
        text: Its text.
        tensors: The tensors that ask for it.
    """

    what: str
    since: str
    error: str | None
    text: str
    tensors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A need without the tensors."""

    what: str
    since: str
    error: str | None
    text: str


def needs_of(config: Config, touched: Footprint) -> tuple[Need, ...]:
    """What the tensors of an adapter ask of PEFT; those of modules that its config leaves out ask nothing."""
    method = METHODS[config.peft_type]
    return _needs(method, touched) if _has_ages(method.name) else ()


@remembered(MAX_FOOTPRINTS)
def _needs(method: Method, touched: Footprint) -> tuple[Need, ...]:
    asked: dict[str, Sequence[tuple[_Asked, tuple[int, ...]]]] = {}
    for look, modules in touched.alike.items():
        shown = tuple((name.removeprefix("base_layer."), len(shape)) for name, shape in look)
        alone = _asked(method.name, shown, "")
        for module in modules if alone or touched.outers else ():
            inside = module in touched.outers
            asked[module] = _asked(method.name, shown, _along(method, touched, module)) if inside else alone
    found: dict[_Asked, list[str]] = {}
    for module in touched.tuned if any(asked.values()) else ():
        names = [touched.names[module, name] for name in touched.tuned[module]]
        for one, places in asked.get(module, ()) if module not in touched.untargeted else ():
            found.setdefault(one, []).extend(names[place] for place in places)
    return tuple(Need(one.what, one.since, one.error, one.text, tuple(names)) for one, names in found.items())


@kept(64)
def _has_ages(peft_type: str) -> bool:
    """Whether some layers or parameters of a type came later than itself."""
    method = METHODS[peft_type]
    ages = [age for form in method.forms for age in (form.since, *(one.since for one in form.parameters))]
    return any(_is_later(age, method) for age in ages)


def _is_later(since: str, method: Method) -> bool:
    return numbers(since) > numbers(method.since)


def _along(method: Method, touched: Footprint, module: str) -> str:
    """The linear layer that the tensors of a module are for, if it is tuned along with what is around it."""
    inside = (form.along for form in method.forms if form.along)
    names = [touched.names[module, name] for name in touched.tuned[module]]
    return next((one for one in inside if any(f".base_layer.{one}." in name for name in names)), "")


@kept(1024)
def _asked(peft_type: str, shown: _Shown, along: str) -> tuple[tuple[_Asked, tuple[int, ...]], ...]:
    """What the tensors of one module ask for, and which of them do."""
    method = METHODS[peft_type]
    if along:
        forms = [(kind, form) for form in method.forms if form.along == along for kind in form.on]
        return tuple((one, tuple(range(len(shown)))) for one in _of_kind(method, forms))
    places = [(kind, form) for form in method.forms for kind in form.on]
    may_be = {place: [at for at in places if _parameters(*at, *told)] for place, told in enumerate(shown)}
    there = [at for at in places if all(at in those for those in may_be.values() if those)]
    found: list[tuple[_Asked, tuple[int, ...]]] = []
    for asked in _of_kind(method, there):
        telling = (place for place, those in may_be.items() if those and not any(_old(method, f) for _, f in those))
        found.append((asked, tuple(telling)))
    for place, told in enumerate(shown):
        entries = [(form, one) for kind, form in there for one in _parameters(kind, form, *told)]
        found += ((asked, (place,)) for asked in _of_parameter(method, there, entries))
    return tuple(found)


def _old(method: Method, form: Form) -> bool:
    return not _is_later(form.since, method)


def _parameters(kind: Kind | str, form: Form, name: str, dimensions: int) -> list[Parameter]:
    """The parameters of a form that a tensor may be."""
    named = (one for one in form.parameters if one.name == name)
    return [one for one in named if one.loose or one.dimensions(kind) == dimensions]


_Places = Sequence[tuple[Kind | str, Form]]


def _of_kind(method: Method, there: _Places) -> Iterator[_Asked]:
    """That the method takes such a module."""
    if not there or any(_old(method, form) for _, form in there):
        return
    kind, form = min(there, key=lambda at: numbers(at[1].since))
    layer = _LAYERS[kind] if isinstance(kind, Kind) else kind
    before = (error for first, error in method.refuses.items() if numbers(first) < numbers(form.since))
    text = f"Target module {layer}(...) is not supported."
    yield _Asked(f"{_title(method)} of `{layer}`", form.since, next(before, None), text)


def _of_parameter(method: Method, there: _Places, entries: Sequence[tuple[Form, Parameter]]) -> Iterator[_Asked]:
    """That it has such a parameter there."""
    if not entries or not all(_is_later(one.since, method) for _, one in entries):
        return
    form, parameter = min(entries, key=lambda entry: numbers(entry[1].since))
    kinds = {kind for kind, _ in there}
    of = f" of `{_LAYERS[kind]}`" if len(kinds) == 1 and isinstance(kind := next(iter(kinds)), Kind) else ""
    keys = ", ".join(f"`{key}`" for key in sorted(parameter.when.keys)) or f"`{parameter.name}`"
    barred = (d for d in form.demands if d.until is not None and d.holds.keys & parameter.when.keys)
    demand = next(barred, None)
    error, text = (demand.error, demand.text) if demand is not None else (None, "")
    yield _Asked(f"{_title(method)}{of} with {keys}", parameter.since, error, text)


def _title(method: Method) -> str:
    return method.title or method.name
