"""What PEFT puts in the place of modules: tuner layers and auxiliary modules."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from adapterlint.base.tree import Kind
from adapterlint.peft.methods.expected import Made
from adapterlint.peft.modules import Module, Param, Part, copy_param
from adapterlint.peft.refused import Refused


class Tuned:
    """What one adapter has on one tuned module.

    Args:
        params: (Attribute of the layer, rest of the name) -> parameter: `("lora_A", ".weight")` is
            `lora_A.<adapter>.weight` in the model.
        neutral: The parameters without effect as long as all of them are as they were initialised.
        traits: Whatever else the output depends on: scaling, variant.
    """

    __slots__ = ("guessed", "loose", "neutral", "params", "problem", "traits")

    def __init__(
        self, params: dict[tuple[str, str], Param], neutral: frozenset[tuple[str, str]], traits: Hashable = None
    ) -> None:
        self.params = params
        self.neutral = neutral
        self.traits = traits
        self.problem: str | None = None  # the class of the error that a forward pass gives
        self.guessed = False  # whether the parameters are no more than what the file has
        self.loose: tuple[Made, ...] = ()  # those that PEFT loads whatever their shape, as they should be

    @property
    def idle(self) -> bool:
        """Whether it does nothing: the parameters that count are as they were initialised."""
        params = self.params
        return bool(self.neutral) and all(params[key].value == ("initial",) for key in self.neutral)

    def copy(self, memo: dict[int, Any]) -> Tuned:
        """The same with parameters of its own."""
        new = Tuned({key: copy_param(p, memo) for key, p in self.params.items()}, self.neutral, self.traits)
        new.problem, new.guessed, new.loose = self.problem, self.guessed, self.loose
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

    def inner_names(self) -> Iterator[tuple[str, str]]:
        """The containers of its parameters, and what is in them for each adapter."""
        holds = {(name, a) for name, tuned in self.adapters.items() for a, _ in tuned.params}
        for attribute, type in self.attributes:
            yield attribute, type
            if type != "ModuleDict":
                continue
            for name in self.adapters:
                if attribute.endswith("_dropout"):
                    yield f"{attribute}.{name}", "Identity"
                elif (name, attribute) in holds:
                    yield f"{attribute}.{name}", ""

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


class Adapted(Module):
    """An `AdaptedAttention`: an attention module that gets a prompt of keys and values, through a gate.

    Args:
        attention: What it wraps.
        prompt: `adaption_prompt`.
        gate: `adaption_gate`, zero at first.
        problem: The class of the error that a forward pass gives.
    """

    __slots__ = ("problem",)

    def __init__(self, attention: Module, prompt: Param, gate: Param, *, problem: str | None = None) -> None:
        super().__init__(Kind.OTHER, "AdaptedAttention")
        self.children["model"] = attention
        self.params = {"adaption_prompt": prompt, "adaption_gate": gate}
        self.problem = problem

    @property
    def attention(self) -> Module:
        """What it wraps."""
        return self.children["model"]


class Auxiliary(Module):
    """An `AuxiliaryTrainingWrapper`: a module that every adapter may bring in its own version."""

    __slots__ = ("active", "adapters", "disabled")
    label = ""

    def __init__(self, type: str, adapter: str) -> None:
        super().__init__(Kind.OTHER, type)
        self.adapters: set[str] = set()
        self.active: list[str] = [adapter]
        self.disabled = False

    def _like(self, new: Auxiliary) -> Module:
        """Another one for the same adapters."""
        new.adapters, new.active, new.disabled = set(self.adapters), list(self.active), self.disabled
        return new


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
        return self._like(new)


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

    def inner_names(self) -> Iterator[tuple[str, str]]:
        """The containers of its rows."""
        yield "trainable_tokens_delta", "ParameterDict"
        yield "trainable_tokens_original", "BufferDict"

    def state(self) -> Iterator[tuple[str, Param]]:
        """The rows of all adapters."""
        for name, param in self.deltas.items():
            yield f"trainable_tokens_delta.{name}", param

    def _blank(self, memo: dict[int, Any]) -> Module:
        if self.graded or (self.tied is not None and self.tied.graded):
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
        """The layer that holds the rows.

        Raises:
            Refused: Another adapter has put a layer of its own around it, which has not what PEFT asks for.
        """
        layer = self.children["token_adapter"]
        if not isinstance(layer, TokenLayer):
            text = f"'{layer.type}' object has no attribute 'trainable_tokens_delta'"
            raise Refused("AttributeError", text, cause="target-unsupported")
        return layer

    def _blank(self, memo: dict[int, Any]) -> Module:
        return self._like(TokenWrapper(self.layer, ""))


def unwrapped(module: Module) -> Module:
    """`get_base_layer`: what tuner layers wrap."""
    while isinstance(module, Tuner | TokenLayer):
        module = module.base
    return module


def weight_of(module: Module) -> Param | None:
    """What the attribute `weight` gives."""
    if isinstance(module, Tuner | TokenLayer):
        return weight_of(module.base)
    if isinstance(module, Whole):
        return weight_of(module.current)
    if isinstance(module, TokenWrapper):
        return weight_of(module.layer)
    return module.params.get("weight")


def attributes_of(module: Module, *, tokens: bool = False) -> Module:
    """The module that answers for a wrapper; active token rows answer for their weight alone, unless `tokens`."""
    while True:
        if isinstance(module, Whole):
            module = module.current
        elif isinstance(module, TokenWrapper) and (tokens or module.disabled or not module.active):
            module = module.layer.base
        else:
            return module
