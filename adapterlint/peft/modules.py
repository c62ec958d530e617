"""The modules of a symbolic model, and the parameters that are shared, copied and loaded.

A parameter has no data but a value that says where its data comes from. Two modules compute the same if they are built
of the same values; `None` is the value of a parameter as the base has it in this place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple, TypeVar

from adapterlint.base.tree import Kind, ModuleTree, Shape
from adapterlint.caches import kept
from adapterlint.peft.calls import by_keywords

Value = Hashable
Places = frozenset[str]  # paths of modules

ANY = -1


def fits(shape: Shape, wanted: Shape | None) -> bool:
    """Whether a tensor of a shape goes into a parameter; a negative size stands for any multiple of it."""
    if wanted is None or shape == wanted:
        return True
    return len(shape) == len(wanted) and all(
        a == b or (b < 0 and a % b == 0) for a, b in zip(shape, wanted, strict=True)
    )


class Param:
    """A parameter, or a buffer; tied parameters are one object.

    Args:
        shape: `None` if it is not known; where one of its sizes is not, it is `ANY`, or what it is a multiple of.
        value: Where its data comes from.
    """

    __slots__ = ("shape", "value")

    def __init__(self, shape: Shape | None, value: Value = None) -> None:
        self.shape = shape
        self.value = value


class Transposed(Param):
    """A transposed view of another parameter."""

    __slots__ = ("of",)

    def __init__(self, of: Param) -> None:
        self.of = of

    @property
    def shape(self) -> Any:  # type: ignore[override]
        """The shape of the other, turned."""
        return self.of.shape[::-1] if self.of.shape is not None else None

    @property
    def value(self) -> Any:
        """Where the data of the other comes from."""
        return self.of.value

    @value.setter
    def value(self, value: Any) -> None:
        self.of.value = value


class Module:
    """A module as the base has it, or any that PEFT puts in its place.

    Args:
        kind: What it is, as far as PEFT tells modules apart.
        type: The name of its class, for messages.
    """

    __slots__ = ("buffers", "children", "keywords_only", "kind", "params", "type")

    def __init__(self, kind: Kind, type: str) -> None:
        self.kind = kind
        self.type = type
        self.params: dict[str, Param] = {}
        self.buffers: dict[str, Param] = {}
        self.children: dict[str, Module] = {}
        self.keywords_only = False

    def child(self, name: str) -> Module | None:
        """What `getattr` gives for the name of a module."""
        return self.children.get(name)

    def inner_names(self) -> Iterator[tuple[str, str]]:
        """Names of modules inside that are of no interest but for their names, and their classes.

        Of a module that holds parameters the class is empty: what it is depends on the method.
        """
        return iter(())

    def state(self) -> Iterator[tuple[str, Param]]:
        """Its own parameters and buffers under the names of a state dict, not those of its children."""
        yield from self.params.items()
        yield from self.buffers.items()

    def copy(self, memo: dict[int, Any]) -> Module:
        """`copy.deepcopy`: new parameters with the same values."""
        if id(self) in memo:
            found: Module = memo[id(self)]
            return found
        new = memo[id(self)] = self._blank(memo)
        new.keywords_only = self.keywords_only
        new.params = {name: copy_param(p, memo) for name, p in self.params.items()}
        new.buffers = {name: copy_param(p, memo) for name, p in self.buffers.items()}
        new.children = {name: child.copy(memo) for name, child in self.children.items()}
        return new

    def _blank(self, memo: dict[int, Any]) -> Module:
        return Module(self.kind, self.type)


Walk = list[tuple[str, Module]]
_M = TypeVar("_M", bound=Module)


class Root(Module):
    """A whole base model; it remembers its walks until it is changed."""

    __slots__ = ("_found", "_walks", "version")

    def __init__(self, kind: Kind, type: str) -> None:
        super().__init__(kind, type)
        self.version = 0
        self._walks: dict[tuple[str, bool], Walk] = {}
        self._found: dict[object, Any] = {}

    def put(self, parent: Module, name: str, module: Module) -> None:
        """Put a module in the place of another one, somewhere below."""
        parent.children[name] = module
        self.changed()

    def changed(self) -> None:
        """Take note that a module was put in the place of another one, somewhere below."""
        self.version += 1
        self._walks.clear()
        self._found.clear()

    def walked(self, prefix: str, duplicates: bool) -> Walk:
        """`walk` of it."""
        key = prefix, duplicates
        below = self._walks.get(key)
        if below is None:
            if prefix:
                below = [(f"{prefix}.{path}", module) for path, module in self.walked("", duplicates)[1:]]
            else:
                found, once = _walk(self, prefix, duplicates)
                below = found[1:]
                if once:
                    self._walks[prefix, not duplicates] = below
            self._walks[key] = below
        # The model itself is not kept along: it would be garbage that only the collector finds.
        return [(prefix, self), *below]

    def of_class(self, kind: type[_M]) -> list[tuple[str, _M]]:
        """The modules of a class in a `walk` of it."""
        found: list[tuple[str, _M]] | None = self._found.get(kind)
        if found is None:
            found = self._found[kind] = [
                (p, module) for p, module in self.walked("", False) if isinstance(module, kind)
            ]
        return found


class Part(Module):
    """A module inside one of PEFT's own: it has no place in the base."""

    __slots__ = ()

    def __init__(self, type: str) -> None:
        super().__init__(Kind.LIST if type in ("ModuleDict", "ParameterDict") else Kind.OTHER, type)

    def _blank(self, memo: dict[int, Any]) -> Module:
        return Part(self.type)


def copy_param(param: Param, memo: dict[int, Any]) -> Param:
    """A parameter of its own with the same value; tied ones stay tied."""
    if id(param) not in memo:
        memo[id(param)] = Param(param.shape, param.value)
    found: Param = memo[id(param)]
    return found


def build(tree: ModuleTree, transformers: tuple[int, int]) -> Root:
    """The modules of a base as torch would build them, under a release of transformers."""
    plan, tied = _plan(tree, transformers)
    shared = [Param(shape) for shape in tied]
    modules: list[Module] = []
    root: Root | None = None
    for node in plan:
        if node.alias is not None:
            module = modules[node.alias]
        else:
            module = Module(node.kind, node.type) if node.name else Root(node.kind, node.type)
            module.keywords_only = node.keywords_only
            for name, shape, group in node.params:
                module.params[name] = Param(shape) if group is None else shared[group]
            for name, shape in node.buffers:
                module.buffers[name] = Param(shape)
            if isinstance(module, Root):
                root = module
        modules.append(module)
        if node.parent is not None:
            modules[node.parent].children[node.name] = module
    return root or Root(Kind.CONTAINER, "Model")


class _Planned(NamedTuple):
    """A module as `build` makes it; others are named by their place in the plan."""

    name: str
    parent: int | None
    alias: int | None
    kind: Kind
    type: str
    keywords_only: bool
    params: tuple[tuple[str, Shape | None, int | None], ...]  # with the group of tied ones that it is in
    buffers: tuple[tuple[str, Shape | None], ...]


@kept(96)
def _plan(tree: ModuleTree, transformers: tuple[int, int]) -> tuple[tuple[_Planned, ...], tuple[Shape | None, ...]]:
    """The modules of a base, parents first, and the shapes of groups of tied parameters."""
    shapes = {f"{n.path}.{p}" if n.path else p: s for n in tree.nodes.values() for p, s in n.parameters.items()}
    tied = tuple(next((shapes[name] for name in group if shapes.get(name)), None) for group in tree.tied)
    groups = {name: number for number, group in enumerate(tree.tied) for name in group}
    keywords_only = where(by_keywords, tree, transformers)
    places: dict[str, int] = {}
    plan = []
    for path, node in tree.nodes.items():
        above, _, name = path.rpartition(".")
        dot = f"{path}." if path else ""
        params = tuple((name, shape, groups.get(dot + name)) for name, shape in node.parameters.items())
        alias, parent = places.get(tree.aliases.get(path, path)), places.get(above) if path else None
        buffers, said = tuple(node.buffers.items()), path in keywords_only
        plan.append(_Planned(name, parent, alias, node.kind, node.type or "Module", said, params, buffers))
        places[path] = len(plan) - 1
    return tuple(plan), tied


@kept(96)
def where(
    said: Callable[[tuple[int, int], str | None, str], bool], tree: ModuleTree, transformers: tuple[int, int]
) -> Places:
    """The modules of a base of which something is said, by the release of transformers, their caller and their name."""
    found = set()
    for path in tree.nodes:
        above, _, own = path.rpartition(".")
        if said(transformers, tree.nodes[above].type if above else tree.architecture, own):
            found.add(path)
    return frozenset(found)


def walk(root: Module, prefix: str = "", *, duplicates: bool = False) -> Walk:
    """`named_modules`: path and module, parents first; a module at several places once, unless `duplicates`."""
    return root.walked(prefix, duplicates) if isinstance(root, Root) else _walk(root, prefix, duplicates)[0]


def _walk(root: Module, prefix: str, duplicates: bool) -> tuple[Walk, bool]:
    """The walk, and whether no module is at several places, so that with duplicates it is the same."""
    found: Walk = [(prefix, root)]
    seen = {id(root)}
    once = True
    stack = [(f"{prefix}." if prefix else "", iter(root.children.items()))]
    while stack:
        dot, children = stack[-1]
        for name, child in children:
            if id(child) in seen:
                once = False
                if not duplicates:
                    continue
            seen.add(id(child))
            found.append((dot + name, child))
            if child.children:
                stack.append((f"{dot}{name}.", iter(child.children.items())))
                break
        else:
            stack.pop()
    return found, once


def shape_in(module: Module, name: str) -> Shape | None:
    """The shape of a parameter, which may be computed of others (`torch.nn.utils.parametrizations.weight_norm`)."""
    param = module.params.get(name)
    if param is not None:
        return param.shape
    computed = find(module, f"parametrizations.{name}")
    steps = list(computed.children.values()) if computed is not None else []
    if computed is None or [step.type for step in steps] != ["_WeightNorm"]:
        return None
    direction = computed.params.get("original1")
    return direction.shape if direction is not None else None


def find(root: Module, path: str) -> Module | None:
    """`get_submodule`."""
    module: Module | None = root
    for name in path.split(".") if path else ():
        module = module.child(name) if module is not None else None
    return module
