"""The modules of a symbolic model: what PEFT replaces in a base, and the parameters that are shared, copied and loaded.

A parameter has no data but a value that says where its data comes from. Two modules compute the same if they are built
of the same values; `None` is the value of a parameter as the base has it in this place.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from adapterlint.base.tree import Kind, ModuleTree, Shape
from adapterlint.peft.refused import Refused

Value = Hashable


class Param:
    """A parameter, or a buffer; tied parameters are one object.

    Args:
        shape: `None` if it is not known.
        value: Where its data comes from.
    """

    __slots__ = ("shape", "value")

    def __init__(self, shape: Shape | None, value: Value = None) -> None:
        self.shape = shape
        self.value = value


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

    def inner_names(self) -> Iterator[tuple[str, bool]]:
        """Names of modules inside that are of no interest but for their names, and whether one holds parameters."""
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

    def changed(self) -> None:
        """Take note that a module was put in the place of another one, somewhere below."""
        self.version += 1
        self._walks.clear()

    def walked(self, prefix: str, duplicates: bool) -> Walk:
        """`walk` of it."""
        key = prefix, duplicates
        if key not in self._walks:
            self._walks[key] = _walk(self, prefix, duplicates)
        return self._walks[key]


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


class Tuned:
    """What one adapter has on one tuned module.

    Args:
        params: (Attribute of the layer, rest of the name) -> parameter: `("lora_A", ".weight")` is
            `lora_A.<adapter>.weight` in the model.
        neutral: The attributes without effect as long as all their parameters are as they were initialised.
        traits: Whatever else the output depends on: scaling, variant.
    """

    __slots__ = ("guessed", "neutral", "params", "problem", "traits")

    def __init__(self, params: dict[tuple[str, str], Param], neutral: frozenset[str], traits: Hashable = None) -> None:
        self.params = params
        self.neutral = neutral
        self.traits = traits
        self.problem: str | None = None  # the class of the error that a forward pass gives
        self.guessed = False  # whether the parameters are no more than what the file has

    def copy(self, memo: dict[int, Any]) -> Tuned:
        """The same with parameters of its own."""
        new = Tuned({key: copy_param(p, memo) for key, p in self.params.items()}, self.neutral, self.traits)
        new.problem, new.guessed = self.problem, self.guessed
        return new


class Tuner(Module):
    """A `BaseTunerLayer`: a module of the base with what adapters add to it.

    Args:
        base: What it wraps.
        layer: The class of layer, such as `Linear` or `ParamWrapper`.
        method: The PEFT type.
    """

    __slots__ = ("active", "adapters", "attributes", "disabled", "feedforward", "method", "parameter")

    def __init__(self, base: Module, layer: str, method: str, adapter: str) -> None:
        super().__init__(Kind.OTHER, layer)
        self.children["base_layer"] = base
        self.method = method
        self.adapters: dict[str, Tuned] = {}
        self.attributes: tuple[tuple[str, str], ...] = ()  # (attribute, class): what holds the parameters
        self.active = [adapter]
        self.disabled = False
        self.feedforward = False
        self.parameter = ""

    @property
    def base(self) -> Module:
        """What it wraps."""
        return self.children["base_layer"]

    def inner_names(self) -> Iterator[tuple[str, bool]]:
        """The containers of its parameters, and what is in them for each adapter."""
        for attribute, type in self.attributes:
            yield attribute, False
            if type == "ModuleDict":
                holds = {a for t in self.adapters.values() for a, _ in t.params}
                yield from ((f"{attribute}.{name}", attribute in holds) for name in self.adapters)

    def state(self) -> Iterator[tuple[str, Param]]:
        """The parameters of all adapters."""
        for name, tuned in self.adapters.items():
            for (attribute, rest), param in tuned.params.items():
                yield f"{attribute}.{name}{rest}", param

    def _blank(self, memo: dict[int, Any]) -> Module:
        new = Tuner(self.base, self.type, self.method, "")
        new.adapters = {name: tuned.copy(memo) for name, tuned in self.adapters.items()}
        new.attributes, new.active, new.disabled = self.attributes, list(self.active), self.disabled
        new.feedforward, new.parameter = self.feedforward, self.parameter
        return new


class Auxiliary(Module):
    """An `AuxiliaryTrainingWrapper`: a module that every adapter may bring in its own version."""

    __slots__ = ("active", "adapters", "disabled")
    label = ""

    def __init__(self, type: str, adapter: str) -> None:
        super().__init__(Kind.OTHER, type)
        self.adapters: set[str] = set()
        self.active: list[str] = [adapter]
        self.disabled = False


class Whole(Auxiliary):
    """A `ModulesToSaveWrapper`: each adapter has a whole copy of the module."""

    __slots__ = ("brittle",)
    label = "modules_to_save"

    def __init__(self, original: Module, adapter: str) -> None:
        super().__init__("ModulesToSaveWrapper", adapter)
        self.brittle = False
        self.children["original_module"] = original
        self.children["modules_to_save"] = Part("ModuleDict")
        self.keywords_only = original.keywords_only

    def check_attributes(self) -> None:
        """In 0.18 a wrapper whose versions are all inactive cannot be asked for an attribute (fixed in 0.19)."""
        if self.brittle and not (self.active or self.disabled):
            raise Refused("IndexError", "list index out of range")

    @property
    def original(self) -> Module:
        """The module of the base."""
        return self.children["original_module"]

    @property
    def current(self) -> Module:
        """The version that attributes are taken from."""
        if self.disabled or not self.active or self.active[0] not in self.copies:
            return self.original
        return self.copies[self.active[0]]

    @property
    def copies(self) -> dict[str, Module]:
        """Adapter -> its copy."""
        return self.children["modules_to_save"].children

    def child(self, name: str) -> Module | None:
        """Its own, else what the active version has."""
        if name in self.children:
            return self.children[name]
        self.check_attributes()
        return self.current.child(name)

    def _blank(self, memo: dict[int, Any]) -> Module:
        new = Whole(self.original, "")
        new.brittle = self.brittle
        new.adapters, new.active, new.disabled = set(self.adapters), list(self.active), self.disabled
        return new


class TokenLayer(Module):
    """A `TrainableTokensLayer`: an embedding of which each adapter replaces some rows.

    Args:
        tied: The layer whose rows it shares.
    """

    __slots__ = ("active", "deltas", "disabled", "graded", "indices", "tied")

    def __init__(self, base: Module, adapter: str, tied: TokenLayer | None = None) -> None:
        super().__init__(Kind.OTHER, "TrainableTokensLayer")
        self.children["base_layer"] = base
        self.tied = tied
        self.deltas: dict[str, Param] = tied.deltas if tied else {}
        self.indices: dict[str, Any] = tied.indices if tied else {}
        self.active = [adapter]
        self.disabled = False
        self.graded = False  # whether torch follows its rows back to a weight in training, and does not copy them

    @property
    def base(self) -> Module:
        """What it wraps."""
        return self.children["base_layer"]

    def inner_names(self) -> Iterator[tuple[str, bool]]:
        """The containers of its rows."""
        yield "trainable_tokens_delta", False
        yield "trainable_tokens_original", False

    def state(self) -> Iterator[tuple[str, Param]]:
        """The rows of all adapters."""
        for name, param in self.deltas.items():
            yield f"trainable_tokens_delta.{name}", param

    def _blank(self, memo: dict[int, Any]) -> Module:
        if self.graded:
            text = "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol"
            raise Refused("RuntimeError", f"{text} at the moment.")
        tied = memo.get(id(self.tied), self.tied)
        new = TokenLayer(self.base, "", tied)
        if tied is None:
            new.deltas = {name: copy_param(p, memo) for name, p in self.deltas.items()}
            new.indices = dict(self.indices)
        new.active, new.disabled = list(self.active), self.disabled
        return new


class TokenWrapper(Auxiliary):
    """A `TrainableTokensWrapper`: token rows as an auxiliary module."""

    __slots__ = ()
    label = "trainable_token_indices"

    def __init__(self, layer: TokenLayer, adapter: str) -> None:
        super().__init__("TrainableTokensWrapper", adapter)
        self.children["token_adapter"] = layer

    @property
    def layer(self) -> TokenLayer:
        """The layer that holds the rows."""
        layer = self.children["token_adapter"]
        assert isinstance(layer, TokenLayer)
        return layer

    def _blank(self, memo: dict[int, Any]) -> Module:
        new = TokenWrapper(self.layer, "")
        new.adapters, new.active, new.disabled = set(self.adapters), list(self.active), self.disabled
        return new


# What decoders and encoders of transformers call with keyword arguments alone.
_KEYWORDS_ONLY = frozenset({"self_attn", "encoder_attn"})


def build(tree: ModuleTree) -> Root:
    """The modules of a base as torch would build them."""
    shared: dict[str, Param] = {}
    shapes = {f"{n.path}.{p}" if n.path else p: s for n in tree.nodes.values() for p, s in n.parameters.items()}
    for group in tree.tied:
        one = Param(next((shapes[name] for name in group if shapes.get(name)), None))
        shared |= dict.fromkeys(group, one)
    modules: dict[str, Module] = {}
    for path, node in tree.nodes.items():
        alias = tree.aliases.get(path)
        if alias is not None and alias in modules:
            module = modules[alias]
        else:
            kind = Module if path else Root
            module = kind(node.kind, node.type or "Module")
            module.keywords_only = path.rpartition(".")[2] in _KEYWORDS_ONLY
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


def find(root: Module, path: str) -> Module | None:
    """`get_submodule`."""
    module: Module | None = root
    for name in path.split(".") if path else ():
        module = module.child(name) if module is not None else None
    return module


def unwrapped(module: Module) -> Module:
    """`get_base_layer`: what tuner layers wrap."""
    while isinstance(module, Tuner | TokenLayer):
        module = module.base
    return module
