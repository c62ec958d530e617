"""Mixed batches: a forward pass with `adapter_names`, one for each row.

Follows `_enable_peft_forward_hooks` (`peft/tuners/*/model.py`), `_check_forward_args` and `_mixed_batch_forward` of the
layers, and `AuxiliaryTrainingWrapper.forward` (`peft/utils/other.py`), 0.15 to 0.21.2.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from adapterlint.base.tree import Kind
from adapterlint.peft.activation import set_tuners
from adapterlint.peft.auxiliary import disable
from adapterlint.peft.calls import is_called_flat
from adapterlint.peft.events import Event
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.method import MixedBatch
from adapterlint.peft.model import Model
from adapterlint.peft.modules import walk
from adapterlint.peft.operations.outcome import (
    UNKNOWN,
    Outcome,
    different,
    forward,
    refused,
    unchanged,
    undecided_at_worst,
)
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.simulate import switch_to
from adapterlint.peft.wrappers import Auxiliary, TokenWrapper, Tuner, Whole, unwrapped

_PLAIN = (Kind.LINEAR, Kind.EMBEDDING, Kind.CONV1D, Kind.CONV2D, Kind.CONV3D)
_MAGNITUDE = ("lora_magnitude_vector", ".weight")


@undecided_at_worst
def mix(model: Model, names: Sequence[str], *, by_themselves: bool = False) -> Outcome:
    """A batch with a row for each adapter, and whether each row is what its adapter gives when the model is switched.

    Args:
        model: With all adapters loaded, and one of them active.
        names: The adapters.
        by_themselves: Whether it is as if no other adapters were loaded, and the first of them active.
    """
    if not by_themselves:
        return _mix(model, names, frozenset())
    with unchanged(model):
        switch_to(model, names[0])
        return _mix(model, names, frozenset(model.configs) - {*names})


def _mix(model: Model, names: Sequence[str], absent: Collection[str]) -> Outcome:
    mixed = METHODS[model.peft_type or ""].mixed_batch
    taken = mixed in (MixedBatch.LAYERS, MixedBatch.ALL)
    try:
        if mixed is MixedBatch.REFUSED:
            text = "forward() got an unexpected keyword argument 'adapter_names'"
            raise Refused("TypeError", text, cause="mixed-batch-layer", sure=True)
        if taken:
            _check(model, names, absent)
    except Refused as error:
        return refused(model, error, names)
    found: list[Event] = []
    for name in names:
        with unchanged(model):
            switch_to(model, name)
            expected, wrong = forward(model)
        if wrong is not None:
            return UNKNOWN
        with unchanged(model):
            if taken:
                _take(model, name, absent)
            found += different(model, expected, forward(model)[0], (name,))
    if found and not taken:
        found = [Event("mixed-batch-ignored", "", tuple(names))]
    return Outcome("silent" if found else "ok", tuple(found))


def _check(model: Model, names: Sequence[str], absent: Collection[str]) -> None:
    """What the layers and auxiliary modules say to a mixed batch, in the order in which they stand in the model."""
    known = {name for _, m in walk(model.root) if isinstance(m, Tuner) for name in m.adapters}
    if strangers := sorted({*names} - known):
        text = f"Trying to infer with non-existing adapter(s): {', '.join(strangers)}"
        raise Refused("ValueError", text, cause="mixed-batch-stranger")
    found: list[tuple[str, Refused]] = []
    told = METHODS[model.peft_type or ""].mixed_batch is MixedBatch.ALL
    for path, module in model.outline()[1]:
        for inner, one in _inside(module, path):
            if isinstance(one, TokenWrapper) and isinstance(one.layer.base, Auxiliary):
                raise Undecided
            try:
                if isinstance(one, Tuner) and not one.adapters.keys() <= {*absent}:
                    _check_layer(model, one, names, inner)
                elif isinstance(one, Auxiliary) and told and _takes_names(one, absent):
                    _check_auxiliary(one, names, inner)
            except Refused as error:
                found.append((_place(inner), error))
    first = [error for place, error in found if place == found[0][0]]
    if len({error.type for error in first}) > 1:  # it depends on which of the modules of a layer is called first
        raise Undecided
    if first:
        raise first[0]


def _place(path: str) -> str:
    """The layer in which a module is."""
    match = re.search(r"(?:^|\.)\d+(?=\.|$)", path)
    return path[: match.end()] if match is not None else path


def _inside(module: object, path: str) -> Iterator[tuple[str, object]]:
    """A module of PEFT, and those inside of it that a forward pass comes to."""
    yield path, module
    if isinstance(module, Tuner):
        if isinstance(module.base, Tuner | Auxiliary):
            yield from _inside(module.base, path)
    elif isinstance(module, Whole):
        current = module.current
        yield from ((f"{path}.{p}", m) for p, m in walk(current) if isinstance(m, Tuner))


def _takes_names(wrapper: Auxiliary, absent: Collection[str]) -> bool:
    """Whether it looks at names; else all rows get what the base has."""
    if wrapper.adapters <= {*absent}:  # it is not there
        return False
    return not wrapper.disabled and all(name in wrapper.adapters for name in wrapper.active)


def _check_layer(model: Model, layer: Tuner, names: Sequence[str], path: str) -> None:
    if layer.type == "ParamWrapper":
        text = "lora.ParamWrapper does not support mixed adapter batches yet."
        raise Refused("ValueError", text, module=path, cause="mixed-batch-layer")
    if layer.base.kind is Kind.ATTENTION:
        text = "lora.MultiheadAttention does not support mixed adapter batches."
        raise Refused("TypeError", text, module=path, cause="mixed-batch-layer")
    if any(_MAGNITUDE in layer.adapters[name].params for name in names if name in layer.adapters):
        text = "Cannot pass `adapter_names` when DoRA is enabled."
        raise Refused("ValueError", text, module=path, cause="mixed-batch-layer")
    if ".experts." in f".{path}." or _is_flat(model, path):
        raise Undecided  # whether it gets a row for each of the batch


def _is_flat(model: Model, path: str) -> bool:
    """Whether a module may be called with something else than a batch of rows."""
    above, _, name = path.rpartition(".")
    node = model.tree.nodes.get(above)
    return node is not None and is_called_flat(model.versions.transformers, node.type, name)


def _check_auxiliary(wrapper: Auxiliary, names: Sequence[str], path: str) -> None:
    original = wrapper.original if isinstance(wrapper, Whole) else wrapper.children["token_adapter"]
    kind = unwrapped(original).kind
    if kind is Kind.UNKNOWN:
        raise Undecided
    if kind not in _PLAIN or isinstance(original, Tuner):
        if wrapper.keywords_only:
            text = "_mixed_batch_forward() missing 1 required positional argument: 'input'"
            raise Refused("TypeError", text, module=path, cause="mixed-batch-module")
        text = "Mixed batching is only supported for the following modules: Linear, Embedding, Conv1d, Conv2d, Conv3d."
        raise Refused("TypeError", text, module=path, cause="mixed-batch-module")
    owners = wrapper.copies if isinstance(wrapper, Whole) else wrapper.children["token_adapter"].deltas  # type: ignore[attr-defined]
    for name in names:
        if name not in owners:
            raise Refused("KeyError", repr(name), module=path, cause="mixed-batch-owner")


def _take(model: Model, name: str, absent: Collection[str]) -> None:
    """Make active what a row with a name gets."""
    set_tuners(model.root, [name], model.peft_type or "")
    told = METHODS[model.peft_type or ""].mixed_batch is MixedBatch.ALL
    for _, wrapper in walk(model.root):
        if not isinstance(wrapper, Auxiliary):
            continue
        if wrapper.adapters <= {*absent}:
            disable(wrapper, True)
        elif told and _takes_names(wrapper, absent):
            wrapper.active = [name]
            if isinstance(wrapper, TokenWrapper):
                wrapper.layer.active, wrapper.layer.disabled = [name], False
