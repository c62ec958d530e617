"""Merging adapters into the base: `merge_and_unload()` and `merge_adapter()`.

Follows `_unload_and_optionally_merge` and `_replace_module` (`peft/tuners/tuners_utils.py`, before 0.18 in
`peft/tuners/*/model.py`), `unload_and_optionally_merge_module` (`peft/utils/other.py`) and `merge` of the layers, 0.15
to 0.21.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from typing import Literal

from adapterlint.base.tree import Kind
from adapterlint.peft.activation import set_adapters, set_tuners
from adapterlint.peft.events import Event
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.method import Together
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Module, walk
from adapterlint.peft.operations.outcome import (
    UNKNOWN,
    Outcome,
    different,
    forward,
    refused,
    scale_of,
    unchanged,
    undecided_at_worst,
)
from adapterlint.peft.outputs import SCALED, Expression
from adapterlint.peft.refused import UNDECIDED, Refused, Undecided
from adapterlint.peft.releases import in_range
from adapterlint.peft.wrappers import Auxiliary, TokenLayer, TokenWrapper, Tuned, Tuner, Whole, unwrapped, weight_of

How = Literal["merge_and_unload", "merge_adapter"]

# Modules whose weights are often tied, by name; where no more of a base is known than names, they may be.
_ENDS = frozenset({"embed_in", "embed_out", "embed_tokens", "lm_head", "shared", "word_embeddings", "wte"})
_BIAS = ("lora_B", ".bias")
_MAGNITUDE = ("lora_magnitude_vector", ".weight")


@undecided_at_worst
def merge(model: Model, names: Sequence[str], *, how: How = "merge_and_unload", named: bool = False) -> Outcome:
    """Merge adapters, and see whether the base then gives what they give when they are active.

    Args:
        model: With all adapters loaded, and one of them active.
        names: The adapters.
        named: Whether they are given as `adapter_names`, while the model is as it is; else they are activated first.
    """
    if model.prompt_learning:
        return refused(model, _no_merging(model, how, named), names)
    expected: Expression = ()
    wrong: str | None = UNDECIDED
    with unchanged(model):
        try:
            set_adapters(model, names)
            expected, wrong = forward(model)
        except Refused as error:
            if not named:
                return refused(model, error, names)
        if not named:
            return _judged(_Merging(model, names, how, None), expected, wrong)
    with unchanged(model):
        return _judged(_Merging(model, names, how, names), expected, wrong)


def _no_merging(model: Model, how: How, named: bool) -> Refused:
    if not named:  # the base is a model of transformers, which has a method to activate adapters
        return Refused("ValueError", "No adapter loaded. Please load an adapter first.", cause="one-active-only")
    text = f"'{model.tree.architecture}' object has no attribute '{how}'"
    return Refused("AttributeError", text, cause="no-merging")


def _judged(merging: _Merging, expected: Expression, wrong: str | None) -> Outcome:
    model, names = merging.model, merging.names
    try:
        events = list(merging.run())
    except Refused as error:
        return refused(model, error, names)
    if wrong is not None:
        return UNKNOWN
    events += different(model, expected, forward(model)[0], names)
    return Outcome("silent" if events else "ok", tuple(events))


class _Merging:
    """One merge; afterwards what is active in the model is what the merged base has.

    Args:
        names: The adapters that are meant.
        given: `adapter_names`.
    """

    def __init__(self, model: Model, names: Sequence[str], how: How, given: Sequence[str] | None) -> None:
        self.model = model
        self.names = names
        self.how = how
        self.method = METHODS[model.peft_type or ""]
        self.since = model.versions.peft
        # Copies of modules are switched without notice of names before 0.18.
        self.given = None if self.method.copies and self.since < (0, 18) else given
        self._uses: Counter[int] = Counter()  # of a weight: modules that are called and have it

    def run(self) -> Iterator[Event]:
        """Merge; gives what is silently wrong.

        Raises:
            Refused: PEFT raises.
        """
        if self.how == "merge_and_unload":
            self._check_several()
        called = {id(module): module for module in _called(self.model.root, "", self.model.uncalled)}
        self._uses = Counter(id(param) for module in called.values() for param in module.params.values())
        below = ""
        for path, module in walk(self.model.root):
            if below and path.startswith(below):
                continue
            if isinstance(module, Whole):
                if self.method.copies:  # which leaves them as they are
                    continue
                if self.how == "merge_and_unload":
                    yield from self._unload(module, path)
            elif isinstance(module, TokenWrapper):
                yield from self._rows(module.layer, path)
                if self.how == "merge_and_unload":
                    module.disabled = False
            elif isinstance(module, TokenLayer):
                yield from self._rows(module, path)
                if module.active and path in self.model.only_read:
                    yield Event("merged-otherwise", path, tuple(module.active))
            elif isinstance(module, Tuner):
                yield from self._tuned(module, path)
            else:
                continue
            below = f"{path}."
        if self.given is not None:
            set_tuners(self.model.root, list(self.given), self.method.name)

    def _check_several(self) -> None:
        chosen = self.given or self.model.active
        since = self.method.merges_with_whole
        if since is not None and in_range(self.model.release, since, None):
            return
        if len(chosen) > 1 and any(self.model.configs[name].get("modules_to_save") for name in chosen):
            text = "Cannot unload multiple adapters that specify `modules_to_save`."
            raise Refused("ValueError", text, cause="merged-with-whole")

    def _unload(self, wrapper: Whole, path: str) -> Iterator[Event]:
        """What takes the place of a `ModulesToSaveWrapper`: that of the active adapter, whatever is named."""
        if not wrapper.active:
            if self.since < (0, 21):
                text = "unhashable type: 'list'"
                raise Refused("TypeError", text, module=path, cause="merged-beside-whole")
            module = wrapper.original
        elif wrapper.active[0] not in wrapper.copies:
            raise Refused("KeyError", repr(wrapper.active[0]), module=path)
        else:
            module = wrapper.copies[wrapper.active[0]]
            if isinstance(module, Tuner):
                yield from self._tuned(module, path)
        wrapper.disabled = False
        demanding = self.since >= (0, 18) and self.method.asks_for_weight
        if demanding and weight_of(module) is None and module.kind is not Kind.UNKNOWN:
            text = f"'{module.type}' object has no attribute 'weight'"
            raise Refused("AttributeError", text, module=path, cause="merged-beside-whole")

    def _rows(self, layer: TokenLayer, path: str) -> Iterator[Event]:
        """Token rows, which go into the weight of the base."""
        chosen = list(layer.active if self.given is None else self.given)
        if chosen and isinstance(layer.base, Auxiliary | Tuner):
            raise Undecided
        taken: set[int] = set()
        for name in chosen:
            if name not in layer.indices:
                raise Refused("KeyError", repr(name), module=path, cause="merged-without-rows")
            indices = {i for i in layer.indices[name] if isinstance(i, int)}
            if len(chosen) > 1 and not taken.isdisjoint(indices):
                text = f"Token indices of adapter {name} are already defined and would result in undefined merging"
                raise Refused("ValueError", f"{text} behavior.", module=path, cause="token-rows-overlap")
            taken |= indices
        if self.how == "merge_adapter" and layer.disabled:  # which is undone in the next forward pass
            return
        layer.active, layer.disabled = chosen, False
        if not chosen:
            return
        base = unwrapped(layer)
        if "bias" in base.params or (self.since < (0, 18) and base.type in SCALED):
            yield Event("merged-otherwise", path, tuple(chosen))
        weight = weight_of(base)
        partners = _partners(self.model, layer)
        if weight is not None and self._uses[id(weight)] > partners:
            yield Event("merged-into-tied", path, tuple(chosen))

    def _tuned(self, layer: Tuner, path: str) -> Iterator[Event]:
        chosen = list(layer.active if self.given is None else self.given)
        method = self.method
        if not method.merges:
            raise Refused("NotImplementedError", "", module=path, cause="no-merging")
        if method.copies and chosen:
            if len(chosen) > 1:
                text = f"Trying to merge {len(chosen)} adapters, but LN tuning does not allow merging more than one"
                raise Refused("ValueError", f"{text} adapter at a time", module=path, cause="one-active-only")
            if chosen[0] not in layer.adapters:
                raise Refused("KeyError", repr(chosen[0]), module=path)
        own = [name for name in chosen if name in layer.adapters]
        base = unwrapped(layer)
        for name in own:
            self._check_bias(layer, base, name, path)
        acting = [name for name in own if not layer.adapters[name].idle]
        if not acting or layer.disabled:
            return
        if self.model.tree.partial and path.rpartition(".")[2] in _ENDS:
            raise Undecided
        # OSF runs the first name alone, also where another one has the layer to itself.
        unlike = len(acting) > 1 or (method.together is Together.FIRST and acting[0] != self.names[0])
        first = method.merges_otherwise
        several = unlike and bool(first) and in_range(self.model.release, first, None)
        dora = self.since < (0, 21) and any(_MAGNITUDE in layer.adapters[name].params for name in acting[1:])
        unheard = path in self.model.only_read
        if several or dora or unheard or any(self._is_unscaled(layer.adapters[name]) for name in acting):
            yield Event("merged-otherwise", path, tuple(acting))
        weight = base.params.get(layer.parameter or method.merged_into)
        if weight is not None and self._uses[id(weight)] > 1 and not method.copies:
            yield Event("merged-into-tied", path, tuple(acting))
        if isinstance(layer.base, Tuner):  # of another parameter
            yield from self._tuned(layer.base, path)

    def _is_unscaled(self, tuned: Tuned) -> bool:
        """Before 0.16 the bias of LoRA layers is merged as it is, though it is scaled when it is active."""
        bias = tuned.params.get(_BIAS)
        return self.since < (0, 16) and bias is not None and bias.value != ("initial",) and scale_of(tuned) != 1

    def _check_bias(self, layer: Tuner, base: Module, name: str, path: str) -> None:
        """What is added to a bias has nowhere to go in a layer without one."""
        if "bias" in base.params or base.kind is Kind.UNKNOWN:
            return
        if _BIAS in layer.adapters[name].params:
            text = "Impossible to merge LoRA with `lora_bias=True` because the base layer has no bias."
            raise Refused("RuntimeError", text, module=path, cause="merged-without-bias")
        if self.method.merged_into == "bias":
            text = f"Base layer has no bias, cannot merge bias adapter {name}"
            raise Refused("ValueError", text, module=path, cause="merged-without-bias")


def _partners(model: Model, layer: TokenLayer) -> int:
    """In how many places the same rows are put into the same weight."""
    return sum(isinstance(m, TokenLayer) and m.deltas is layer.deltas for _, m in walk(model.root))


def _called(module: Module, path: str, uncalled: Container[str]) -> Iterator[Module]:
    """The modules of the base, and of copies, that a forward pass comes to as things are."""
    if isinstance(module, Whole):
        off = module.disabled or not module.active or any(name not in module.adapters for name in module.active)
        yield from _called(module.original if off else module.copies[module.active[0]], path, uncalled)
    elif isinstance(module, Tuner | TokenLayer):
        yield from _called(module.base, path, uncalled)
    elif isinstance(module, TokenWrapper):
        yield from _called(module.layer, path, uncalled)
    elif path not in uncalled:
        yield module
        dot = f"{path}." if path else ""
        for name, child in module.children.items():
            yield from _called(child, dot + name, uncalled)
