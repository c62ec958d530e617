"""What a symbolic model computes: an expression that is equal where the outputs are, and what a forward pass raises.

An expression has only what differs from the base. Activation order, scaling and the origin of every tensor are in it;
what an adapter leaves without effect (a factor that is still zero, rows and copies that are the base's) is not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from operator import itemgetter
from typing import Any

from adapterlint.base.tree import Kind
from adapterlint.peft.calls import listed
from adapterlint.peft.methods import METHODS
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Module
from adapterlint.peft.refused import UNDECIDED
from adapterlint.peft.several import several_error
from adapterlint.peft.shadow import Shade
from adapterlint.peft.tuner_layers import TRAITS
from adapterlint.peft.wrappers import Adapted, Auxiliary, TokenLayer, TokenWrapper, Tuned, Tuner, Whole

Expression = tuple[tuple[str, Hashable], ...]


class Output:
    """The output of a model as it stands.

    Args:
        model: The model.
        disabled: Whether its adapters are switched off, as in `disable_adapter()`.

    Attributes:
        expression: What it computes, empty if that is the same as the base.
        error: The class of the first error that a forward pass raises, or `None`.
        module: Where it is raised.
    """

    __slots__ = (
        "_disabled",
        "_grouped",
        "_maybe",
        "_measuring",
        "_mixed",
        "_model",
        "_nodes",
        "_only_read",
        "_release",
        "_several",
        "_shade",
        "_shared",
        "_since",
        "_sometimes",
        "_unheard",
        "_wrappers",
        "error",
        "expression",
        "module",
    )

    def __init__(self, model: Model, *, disabled: bool = False) -> None:
        self._disabled = disabled and not model.prompt_learning  # a prompt is left out, and nothing else
        self._since, self._release = model.versions.peft, model.release
        self._several = listed("several", model.versions.transformers)
        self._grouped = listed("grouped", model.versions.transformers)
        self._shared = model.shared
        self._mixed = model.peft_type == "XLORA"
        self._unheard = model.task != "CAUSAL_LM"  # other classes look for no invocation tokens
        self._nodes = model.tree.nodes
        self._only_read, self._measuring = model.only_read, model.measuring
        self._model = model
        self._shade: Shade | None = None
        self._sometimes = model.tree.sometimes
        self.error: str | None = None
        self.module = ""
        self._maybe: str | None = None  # the first error in what does not always run, before any other
        params, wrappers = model.outline()
        self._wrappers = wrappers
        found: list[tuple[str, Hashable]] = [(name, param.value) for name, param in params if param.value is not None]
        for path, wrapper in wrappers:
            found.extend(self._of(wrapper, path))
        # Without a task the model is a plain `PeftModel`, whose forward pass knows nothing of prompts.
        if model.task is not None and not disabled and model.current in model.prompts:
            found.append(("", ("prompt", *(param.value for param in model.prompts[model.current].values()))))
        if model.layers:
            found.append(("", ("layers", model.layers)))
        if self._maybe not in (None, self.error):
            self.error = UNDECIDED
        self.expression: Expression = tuple(sorted(found, key=itemgetter(0)))

    def _of(self, module: Module, path: str) -> Expression:
        if isinstance(module, Tuner):
            return self._of_tuner(module, path)
        if isinstance(module, Whole):
            return self._of_whole(module, path)
        if isinstance(module, TokenWrapper):
            return self._of_rows(module.layer, path)
        if isinstance(module, TokenLayer):
            return self._of(module.base, path) if path in self._only_read else self._of_rows(module, path)
        if isinstance(module, Adapted):
            return self._of_adapted(module, path)
        found: list[tuple[str, Hashable]] = []
        for name, param in module.params.items():
            if param.value is not None:
                found.append((f"{path}.{name}", param.value))
        dot = f"{path}." if path else ""
        for name, child in module.children.items():
            found.extend(self._of(child, dot + name))
        return tuple(found)

    def _of_tuner(self, layer: Tuner, path: str) -> Expression:
        base = self._of(layer.base, path)
        if path in self._only_read:
            return base
        if layer.base.type in self._grouped:
            error = self._grouped_error(layer)
            if error is not None:
                self._fail(error, path)
        if layer.base.type in self._several:
            error = self._several_error(layer)
            if error is not None:
                self._fail(error, path)
        # Before 0.21 layers of X-LoRA do not ask whether they are switched off, and mix nothing then.
        leaks = self._mixed and self._since < (0, 21)
        if (self._disabled or layer.disabled) and not leaks:
            return base
        if isinstance(layer.base, TokenWrapper) and any(_is_dora(layer.adapters.get(name)) for name in layer.active):
            self._fail("AttributeError", path)  # DoRA asks for the bias, which the wrapper does not hand on
        method = METHODS[layer.method]
        if method.copies:
            return self._of_norm(layer, path, base)
        if layer.method == "SHADOW":
            return self._of_shadow(layer, path, base)
        added: list[Hashable] = []
        for name in layer.active:
            tuned = layer.adapters.get(name)
            if self._mixed and (error := self._mixing_error(layer, tuned, path)) is not None:
                self._fail(error, path)
            if tuned is None or (self._unheard and layer.method == "LORA" and _is_invoked(tuned)):
                continue
            problem = tuned.problem or self._misfit(name, tuned)
            if path in self._measuring and method.looks_up:
                problem = "RuntimeError"
            if problem is not None:
                self._fail(problem, path)
            shared = tuple(of[name].value for of in self._shared.values() if name in of)
            if not (tuned.idle or (shared and all(value == ("initial",) for value in shared))):
                values = tuple((key, tuned.params[key].value) for key in _counted(tuned))
                added.append((layer.method, tuned.traits, values, shared))
        return (*base, (path, tuple(added))) if added else base

    def _of_adapted(self, module: Adapted, path: str) -> Expression:
        base = self._of(module.attention, path)
        if self._disabled:
            return base
        if module.problem is not None:
            self._fail(module.problem, path)
        values = tuple(param.value for param in module.params.values())
        return base if module.params["adaption_gate"].value == ("initial",) else (*base, (path, ("adapted", values)))

    def _mixing_error(self, layer: Tuner, tuned: Tuned | None, path: str) -> str | None:
        """The error of a layer of X-LoRA: up to 0.15 it asks for all experts; their weights need two dimensions."""
        if tuned is None:
            return "KeyError" if self._since < (0, 16) else None
        above, _, name = path.rpartition(".")
        if self._disabled:
            return "ValueError" if _is_dora(tuned) else None
        if name in _FLATTENED.get(str(self._nodes[above].type) if above in self._nodes else "", ()):
            return "RuntimeError"
        if ".experts." in path:
            return UNDECIDED
        if layer.type not in ("Linear", "Embedding", "Conv2d"):
            return UNDECIDED
        return "ValueError" if _is_dora(tuned) else None

    def _misfit(self, name: str, tuned: Tuned) -> str | None:
        """Of a method with shared projections: a rank that is not theirs."""
        for attribute, projection in _RANKS:
            mine, shared = tuned.params.get((attribute, "")), self._shared.get(projection, {}).get(name)
            if mine is not None and shared is not None and mine.shape and shared.shape:
                return "RuntimeError" if mine.shape[0] != shared.shape[0] else None
        return None

    def _of_norm(self, layer: Tuner, path: str, base: Expression) -> Expression:
        """LN tuning runs the copy of the one active adapter, and has no other way."""
        if not layer.active:
            return base
        if len(layer.active) > 1:
            self._fail("ValueError", path)
            return base
        tuned = layer.adapters.get(layer.active[0])
        if tuned is None:
            self._fail("KeyError", path)
            return base
        if tuned.idle:
            return ()
        return ((path, tuple((key, param.value) for key, param in tuned.params.items())),)

    def _grouped_error(self, layer: Tuner) -> str | None:
        """The error of a layer whose base gives each group its part of the output, where PEFT computes all of it."""
        off = self._disabled or layer.disabled or not any(name in layer.adapters for name in layer.active)
        method = METHODS[layer.method]
        if off or method.copies or layer.feedforward:  # which run a copy, or change the input alone
            return None
        return method.in_groups

    def _several_error(self, layer: Tuner) -> str | None:
        """The error of a layer whose base gives more than one tensor."""
        if METHODS[layer.method].copies or layer.parameter:  # which run a copy, or the base as it is
            return None
        if layer.base.kind is not Kind.LINEAR:
            return UNDECIDED
        try:
            return several_error(layer, self._release, off=self._disabled)
        except KeyError:
            return UNDECIDED

    def _of_shadow(self, layer: Tuner, path: str, base: Expression) -> Expression:
        self._shade = self._shade or Shade(self._model, [p for p, one in self._wrappers if isinstance(one, Tuner)])
        item = self._shade.at(layer, path, self._fail)
        return base if item is None else (*base, (path, item))

    def _of_whole(self, wrapper: Whole, path: str) -> Expression:
        if wrapper.keywords_only and self._since < (0, 20):
            self._fail("TypeError", path)
        off = self._disabled or wrapper.disabled or not wrapper.active
        if off or any(name not in wrapper.adapters for name in wrapper.active):
            return self._of(wrapper.original, path)
        return self._of(wrapper.copies[wrapper.active[0]], path)

    def _of_rows(self, layer: TokenLayer, path: str) -> Expression:
        if self._disabled or layer.disabled or not layer.active:
            return self._of(layer.base, path)
        error = _row_error(layer) or ("RuntimeError" if path in self._measuring else None)
        if error is not None:  # before what it wraps is asked
            self._fail(error, path)
            return self._of(layer.base, path)
        found = list(self._of(layer.base, path))
        for name in layer.active:
            delta = layer.deltas[name].value
            if not (isinstance(delta, tuple) and delta[:1] == ("rows",)) or delta[1] is not None:
                found.append((path, ("rows", str(layer.indices[name]), delta)))
        if "bias" in layer.base.params:  # `F.linear` gets the weight alone
            found.append((path, "no bias"))
        if self._since < (0, 18) and layer.base.type in SCALED:
            found.append((path, "no scale"))
        return tuple(found)

    def _fail(self, error: str, path: str) -> None:
        if self._maybe is None and self.error is None and is_in(path, self._sometimes):
            self._maybe = error
        elif self.error is None and not is_in(path, self._sometimes):
            self.error, self.module = error, path


def differ(one: Expression, other: Expression, sometimes: tuple[str, ...]) -> bool | None:
    """Whether two outputs differ; `None` if that depends on what the model is given.

    Args:
        sometimes: Paths of modules that do not always run.
    """
    if one == other:
        return False
    always = [[item for item in expression if not is_in(item[0], sometimes)] for expression in (one, other)]
    return True if always[0] != always[1] else None


def is_in(path: str, modules: tuple[str, ...]) -> bool:
    """Whether a path is that of one of the modules, or in it."""
    return any(path == module or path.startswith(f"{module}.") for module in modules)


# A parameter, and the projection that has as many rows.
_RANKS = (("vera_lambda_d", "vera_A"), ("pvera_lambda_d", "pvera_A"), ("randlora_lambda", "randlora_A"))
# Embeddings that multiply what they give, which token rows leave out before 0.18; others of their kind multiply by one.
SCALED = frozenset({"Gemma3TextScaledWordEmbedding", "Gemma3nTextScaledWordEmbedding", "XGLMScaledWordEmbedding"})
# Class -> its modules that it hands all tokens of a batch in one row.
_FLATTENED = {"OPTDecoderLayer": ("fc1", "fc2")}
_ZERO = ("lora_B", "lora_embedding_A")  # as long as it is zero, the other factor does not matter


def _counted(tuned: Tuned) -> Iterator[tuple[str, str]]:
    """The parameters that the output depends on."""
    params = tuned.params
    zero = any(key[0] in _ZERO and params[key].value == ("initial",) for key in tuned.neutral)
    for key in params:
        if key[0] != "ranknum" and not (zero and key[0] in ("lora_A", "lora_B", *_ZERO, "lora_embedding_B")):
            yield key


_TOKENS = TRAITS.index("alora_invocation_tokens")


def _is_invoked(tuned: Tuned) -> bool:
    """Whether it is an aLoRA, which acts where tokens stand that the class of the model has found."""
    return isinstance(tuned.traits, tuple) and tuned.traits[_TOKENS] not in ("None", "[]")


def _is_dora(tuned: Tuned | None) -> bool:
    return tuned is not None and ("lora_magnitude_vector", ".weight") in tuned.params


def _row_error(layer: TokenLayer) -> str | None:
    if any(name not in layer.indices for name in layer.active):
        return "KeyError"
    taken: set[Any] = set()
    for name in layer.active:
        indices = layer.indices[name]
        values = indices if isinstance(indices, list) else []
        if len(layer.active) > 1 and not taken.isdisjoint(values):
            return "ValueError"
        taken.update(values)
        if any(isinstance(i, int) and i < 0 for i in values):
            return "IndexError"
        if not values or any(not isinstance(i, int) for i in values):
            return "RuntimeError"
    wrapped = isinstance(layer.base, Auxiliary | TokenLayer | Tuner)
    if layer.base.kind is Kind.UNKNOWN or (not wrapped and layer.base.kind in (Kind.EMBEDDING, Kind.LINEAR)):
        return None
    return "ValueError" if wrapped or "weight" in layer.base.params else "AttributeError"
