"""The modules of a symbolic model, and the parameters that are shared, copied and loaded.

A parameter has no data but a value that says where its data comes from. Two modules compute the same if they are built
of the same values; `None` is the value of a parameter as the base has it in this place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

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


class Root(Module):
    """A whole base model; it remembers its walks until it is changed."""

    __slots__ = ("_walks", "version")

    def __init__(self, kind: Kind, type: str) -> None:
        super().__init__(kind, type)
        self.version = 0
        self._walks: dict[tuple[str, bool], Walk] = {}

    def put(self, parent: Module, name: str, module: Module) -> None:
        """Put a module in the place of another one, somewhere below."""
        parent.children[name] = module
        self.changed()

    def changed(self) -> None:
        """Take note that a module was put in the place of another one, somewhere below."""
        self.version += 1
        self._walks.clear()

    def walked(self, prefix: str, duplicates: bool) -> Walk:
        """`walk` of it."""
        key = prefix, duplicates
        found = self._walks.get(key)
        if found is None:
            if prefix:
                plain = self.walked("", duplicates)
                found = [(f"{prefix}.{path}" if path else prefix, module) for path, module in plain]
            else:
                found = _walk(self, prefix, duplicates)
            self._walks[key] = found
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
    shared: dict[str, Param] = {}
    shapes = {f"{n.path}.{p}" if n.path else p: s for n in tree.nodes.values() for p, s in n.parameters.items()}
    for group in tree.tied:
        one = Param(next((shapes[name] for name in group if shapes.get(name)), None))
        shared |= dict.fromkeys(group, one)
    modules: dict[str, Module] = {}
    keywords_only = where(by_keywords, tree, transformers)
    for path, node in tree.nodes.items():
        alias = tree.aliases.get(path)
        if alias is not None and alias in modules:
            module = modules[alias]
        else:
            kind = Module if path else Root
            module = kind(node.kind, node.type or "Module")
            module.keywords_only = path in keywords_only
            dot = f"{path}." if path else ""
            for name, shape in node.parameters.items():
                module.params[name] = shared.get(dot + name) or Param(shape)
            for name, shape in node.buffers.items():
                module.buffers[name] = Param(shape)
        modules[path] = module
        if path:
            parent, _, name = path.rpartition(".")
            if parent in modules:
                modules[parent].children[name] = module
    root = modules.get("")
    return root if isinstance(root, Root) else Root(Kind.CONTAINER, "Model")


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
    return root.walked(prefix, duplicates) if isinstance(root, Root) else _walk(root, prefix, duplicates)


def _walk(root: Module, prefix: str, duplicates: bool) -> Walk:
    found: Walk = []
    seen: set[int] = set()
    stack = [(prefix, root)]
    while stack:
        path, module = stack.pop()
        if not duplicates:
            if id(module) in seen:
                continue
            seen.add(id(module))
        found.append((path, module))
        if module.children:
            dot = f"{path}." if path else ""
            stack.extend([(dot + name, child) for name, child in reversed(module.children.items())])
    return found


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
