"""What an operation on several loaded adapters comes to, and what the operations have in common."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, ParamSpec

from adapterlint.base.tree import Kind
from adapterlint.peft.events import Event, after_refusal
from adapterlint.peft.forward import keyword_error
from adapterlint.peft.model import Model
from adapterlint.peft.modules import walk
from adapterlint.peft.outputs import Expression, Output
from adapterlint.peft.refused import UNDECIDED, Refused
from adapterlint.peft.simulate import UNDECIDABLE, is_unsure
from adapterlint.peft.tuner_layers import TRAITS
from adapterlint.peft.wrappers import Auxiliary, TokenLayer, Tuned, Tuner, weight_of

Verdict = Literal["ok", "approximate", "silent", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation comes to.

    Args:
        verdict: `ok`: the model gives what it should; `approximate`: nearly so, as the operation is made; `silent`:
            something else, and nothing is said; `refused`: PEFT raises; `unknown`: that was not decided.
        events: Why, and where.
        error: What is raised, if something is.
    """

    verdict: Verdict
    events: tuple[Event, ...] = ()
    error: Refused | None = None


UNKNOWN = Outcome("unknown")
_P = ParamSpec("_P")


def undecided_at_worst(operation: Callable[_P, Outcome]) -> Callable[_P, Outcome]:
    """An operation that is unknown where values stand that nobody thought of, as in a load."""

    @functools.wraps(operation)
    def tried(*args: _P.args, **kwargs: _P.kwargs) -> Outcome:
        try:
            return operation(*args, **kwargs)
        except UNDECIDABLE:
            return UNKNOWN

    return tried


def refused(model: Model, error: Refused, names: Sequence[str]) -> Outcome:
    """The outcome of an operation that PEFT refuses."""
    if is_unsure(model, error):
        return UNKNOWN
    return Outcome("refused", tuple(after_refusal(model, error, *names)), error.kept())


def compared(model: Model, expected: Expression, got: Expression, names: Sequence[str]) -> Outcome:
    """The outcome of an operation that PEFT carries out, by what the model gives."""
    events = tuple(different(model, expected, got, names))
    return Outcome("silent" if expected != got else "ok", events)


def different(model: Model, expected: Expression, got: Expression, names: Sequence[str]) -> Iterator[Event]:
    """The modules that give something else than they should."""
    if expected == got:
        return
    changed = {path for path, _ in set(expected) ^ set(got)}
    of = [(path, wrapper) for path, wrapper in model.outline()[1]]
    for path, wrapper in of:
        if path in changed or any(one.startswith(f"{path}.") for one in changed):
            auxiliary = isinstance(wrapper, Auxiliary)
            owners = wrapper.adapters if isinstance(wrapper, Auxiliary | Tuner) else wrapper.deltas  # type: ignore[attr-defined]
            kind = "auxiliary-not-as-active" if auxiliary else "layer-not-as-active"
            yield Event(kind, path, tuple(name for name in names if name in owners) or tuple(names))


def forward(model: Model) -> tuple[Expression, str | None]:
    """What the model gives as it stands, and the class of the error if a forward pass raises one.

    How embeddings of positions and the like are called, and whether they are, is not known.
    """
    output = Output(model)
    return output.expression, keyword_error(model) or output.error or (UNDECIDED if _is_odd(model) else None)


def _is_odd(model: Model) -> bool:
    """Whether something is tuned that has the class of an embedding, but not the weight of the input embeddings."""
    weight = None
    for _, layer in model.outline()[1]:
        if isinstance(layer, Tuner) and layer.base.kind is Kind.EMBEDDING:
            weight = weight or (weight_of(model.embedding) if model.embedding is not None else None)
            acting = (layer.adapters[name] for name in layer.active if name in layer.adapters)
            if weight_of(layer) is not weight and not all(one.idle for one in acting):
                return True
    return False


@contextmanager
def unchanged(model: Model) -> Iterator[None]:
    """Have everything active again afterwards that was so before."""
    modules = [m for _, m in walk(model.root) if isinstance(m, Tuner | Auxiliary | TokenLayer)]
    before = [(module, list(module.active), module.disabled) for module in modules]
    active, current = list(model.active), model.current
    try:
        yield
    finally:
        for module, names, disabled in before:
            module.active, module.disabled = names, disabled
        model.active, model.current = active, current


def scale_of(tuned: Tuned) -> float:
    """By what the product of the factors of LoRA is multiplied; 1 where that is not known."""
    if not isinstance(tuned.traits, tuple):
        return 1.0
    r, alpha, stabilised = (tuned.traits[TRAITS.index(key)] for key in ("r", "lora_alpha", "use_rslora"))
    return float(alpha) / (math.sqrt(int(r)) if stabilised == "True" else int(r))
