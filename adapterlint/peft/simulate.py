"""What PEFT does with adapters that are loaded one after the other, and with sets of them that are activated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft.activation import mark_active, set_adapters, set_tuners
from adapterlint.peft.adaption import switch_prompt
from adapterlint.peft.auxiliary import auxiliaries, disable, switch
from adapterlint.peft.events import Event, after_activation, after_load, after_refusal
from adapterlint.peft.forward import disabling_error, forward_error, keyword_error
from adapterlint.peft.loading import load
from adapterlint.peft.methods import METHODS
from adapterlint.peft.model import Model
from adapterlint.peft.modules import walk
from adapterlint.peft.outputs import Expression, Output, differ
from adapterlint.peft.refused import UNDECIDED, Refused, Undecided
from adapterlint.peft.versions import Versions
from adapterlint.peft.weights import Loaded
from adapterlint.peft.wrappers import Auxiliary, TokenLayer, TokenWrapper, Tuner, Whole

# Values that nobody thought of make PEFT stumble too, somewhere; where is not worth a guess.
# A refusal counts among them where PEFT is not asked for anything: nothing says that it would raise there.
UNDECIDABLE = (Refused, Undecided, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
T = TypeVar("T")
_UNCHANGED = {False: "yes", True: "no", None: None}
Verdict = Literal["ok", "warns", "raises", "unknown"]


@dataclass(frozen=True, slots=True)
class Alone:
    """An adapter in a fresh base.

    Args:
        error: Why it does not load; `None` if it does, or if that is not known.
        known: Whether that could be decided.
        whole: Paths of modules that it brings.
        tokens: Path -> indices of the token rows that it replaces.
        tuned: Paths of the modules that it tunes.
        loaded: What became of its tensors; `None` for prompts, which do not load that way.
        overwrites: Parameters of the base that it overwrites.
        forward: The class of the error that a forward pass raises.
        forward_at: Path of the module in which it is raised, where there is one.
        expression: What the model computes with it; empty if that is what the base does.
        effective: Whether that is not what the base does; `None` if that depends on what the model is given.
        events: What happened silently.
    """

    error: Refused | None = None
    known: bool = True
    whole: tuple[str, ...] = ()
    tokens: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tuned: tuple[str, ...] = ()
    loaded: Loaded | None = None
    overwrites: tuple[str, ...] = ()
    forward: str | None = None
    forward_at: str = ""
    expression: Expression = ()
    effective: bool | None = None
    events: tuple[Event, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def loads(self) -> bool | None:
        """Whether it loads; `None` if that could not be decided."""
        return self.error is None if self.known else None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a simulation, and the state after it.

    Args:
        adapters: The adapter that is loaded, or those that are activated.
        auxiliary: Path of an auxiliary module -> the adapters that are active there; `None` if that is not known.
        forward: `ok`, or the class of the error of a forward pass; `None` if that is not known.
    """

    do: Literal["load", "activate"]
    adapters: tuple[str, ...]
    verdict: Verdict
    error: Refused | None = None
    warnings: tuple[str, ...] = ()
    auxiliary: Mapping[str, tuple[str, ...]] | None = None
    forward: str | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulation.

    Args:
        alone: Name -> the adapter in a fresh base.
        faithful: Name -> `yes`, `no`, or the class of an error: whether the adapter, switched to after all loads, gives
            what it gives alone; `None` if that is not known.
        base: The same of the base under `disable_adapter()`.
    """

    versions: Versions
    steps: tuple[Step, ...]
    alone: Mapping[str, Alone]
    faithful: Mapping[str, str | None]
    base: str | None


def simulate_fleet(
    adapters: Mapping[str, Adapter],
    tree: ModuleTree,
    versions: Versions,
    *,
    activate: Iterable[Sequence[str]] = (),
    known: Mapping[str, Alone] | None = None,
) -> Simulated:
    """Load adapters in the order given, switch to each of them and back to the first, then activate each set.

    A load that is refused leaves in the model what PEFT leaves there, and the others go on.

    Args:
        adapters: Name -> adapter, in load order.
        activate: Sets of names for `model.base_model.set_adapter([...])`.
        known: Adapters alone, if they were simulated before.
    """
    run = _Run(Model(tree, versions))
    steps: list[Step] = []
    lone: dict[str, Alone] = dict(known or {})
    for name, adapter in adapters.items():
        steps.append(run.load(adapter, name))
        if name not in lone:  # the first one is alone so far
            lone[name] = run.alone(steps[0]) if len(steps) == 1 else alone(adapter, name, tree, versions)
    faithful = {name: run.faithful(name, lone[name]) for name in adapters}
    base = run.base()
    steps += [run.activate(tuple(names)) for names in activate]
    return Simulated(versions, tuple(steps), {name: lone[name] for name in adapters}, faithful, base)


def alone(adapter: Adapter, name: str, tree: ModuleTree, versions: Versions) -> Alone:
    """Load an adapter into a fresh base."""
    run = _Run(Model(tree, versions))
    return run.alone(run.load(adapter, name))


class _Run:
    """A model on which steps are made one after the other."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.decided = True
        self.loaded: dict[str, Loaded] = {}
        self.output: Output  # after the last step
        self.forward_error: str | None = None  # the same

    def load(self, adapter: Adapter, name: str) -> Step:
        return self._step(lambda: self._load(adapter, name)) or Step("load", (name,), "unknown")

    def activate(self, names: tuple[str, ...]) -> Step:
        return self._step(lambda: self._activate(names)) or Step("activate", names, "unknown")

    def faithful(self, name: str, lone: Alone) -> str | None:
        return self._step(lambda: self._faithful(name, lone)) if name in self.loaded and lone.known else None

    def base(self) -> str | None:
        """The base under `disable_adapter()`; afterwards everything is on again, and the first adapter active."""
        return self._step(self._base) if self.loaded else None

    def alone(self, first: Step) -> Alone:
        """What the first load of this run says of its adapter."""
        if first.error is not None:
            return Alone(error=first.error, events=first.events, warnings=first.warnings)
        return self._step(lambda: self._alone(first)) or Alone(known=False)

    def _step(self, do: Callable[[], T]) -> T | None:
        """Make a step; where it cannot be said what happens in one, it cannot be said what the model is like then."""
        if not self.decided:
            return None
        try:
            return do()
        except UNDECIDABLE:
            self.decided = False
            return None

    def _load(self, adapter: Adapter, name: str) -> Step:
        model = self.model
        try:
            loaded = self.loaded[name] = load(model, adapter, name)
        except Refused as error:
            if is_unsure(model, error):
                raise Undecided from None
            self.decided = not model.lost
            events = tuple(after_refusal(model, error, name))
            warnings, state = tuple(model.warnings), auxiliary_state(model)
            return Step("load", (name,), "raises", error.kept(), warnings, state, self._step(self._forward), events)
        events = tuple(after_load(model, name, loaded))
        verdict: Verdict = "warns" if model.warnings else "ok"
        state = auxiliary_state(model)
        return Step("load", (name,), verdict, None, tuple(model.warnings), state, self._forward(), events)

    def _alone(self, first: Step) -> Alone:
        model, loaded = self.model, self.loaded[first.adapters[0]]
        whole, tokens, tuned = _footprint(model)
        return Alone(
            whole=whole,
            tokens=tokens,
            tuned=tuned,
            loaded=None if model.prompt_learning or has_guesses(model) else loaded,
            overwrites=tuple(key.removeprefix(f"{model.prefix}.") for key in loaded.overwritten),
            forward=self.forward_error,
            forward_at=self.output.module,
            expression=self.output.expression,
            effective=differ(self.output.expression, (), model.tree.sometimes),
            events=first.events,
            warnings=first.warnings,
        )

    def _activate(self, names: tuple[str, ...]) -> Step:
        model = self.model
        if not model.configs:
            return Step("activate", names, "unknown")
        try:
            _activate(model, names)
        except Refused as error:
            events = tuple(after_refusal(model, error, *names))
            return Step("activate", names, "raises", error.kept(), (), auxiliary_state(model), None, events)
        events = tuple(after_activation(model, names))
        return Step("activate", names, "ok", None, (), auxiliary_state(model), self._forward(), events)

    def _faithful(self, name: str, lone: Alone) -> str | None:
        switch_to(self.model, name)
        output = Output(self.model)
        error = forward_error(self.model, output)
        if error is not None or lone.error is not None:
            return None if error == UNDECIDED else error
        return _UNCHANGED[differ(output.expression, lone.expression, self.model.tree.sometimes)]

    def _base(self) -> str | None:
        error = disabling_error(self.model) or (None if self.model.prompt_learning else keyword_error(self.model))
        output = Output(self.model, disabled=True)
        for _, wrapper in auxiliaries(self.model.root):
            disable(wrapper, False)
        switch_to(self.model, next(iter(self.loaded)))
        error, sometimes = error or output.error, self.model.tree.sometimes
        return None if error == UNDECIDED else error or _UNCHANGED[differ(output.expression, (), sometimes)]

    def _forward(self) -> str | None:
        self.output = Output(self.model)
        error = self.forward_error = forward_error(self.model, self.output)
        return None if error == UNDECIDED else error or "ok"


# Refusals that rest on modules that are there, or on adapters alone; others may be due to what a partial tree lacks.
_SURE = frozenset(
    [
        "config",
        "weights",
        "mixed-peft-types",
        "several-biases",
        "auxiliary-on-tuner",
        "module-not-in-file",
        "tokens-block-later-adapter",
        "tokens-and-whole",
        "module-against-tokens",
        "prompt-missing",
        "kasa",
        "name",
        "old-format",
        "key-mapping",
        "shared-projections",
    ]
)


def is_unsure(model: Model, error: Refused) -> bool:
    """Whether a refusal may be due to what is not known of the base."""
    return model.tree.partial and not error.sure and error.cause not in _SURE


def has_guesses(model: Model) -> bool:
    """Whether parameters are in the model that were made up of what files have."""
    tuners = (module for _, module in walk(model.root) if isinstance(module, Tuner))
    return any(tuned.guessed for tuner in tuners for tuned in tuner.adapters.values())


def auxiliary_state(model: Model) -> dict[str, tuple[str, ...]]:
    """Module path -> the adapters that are active there, of every auxiliary module."""
    everywhere = walk(model.root, duplicates=True)
    return {path: tuple(module.active) for path, module in everywhere if isinstance(module, Auxiliary)}


def switch_to(model: Model, name: str) -> None:
    """`PeftModel.set_adapter`."""
    model.current = name
    switch(model.root, name, model.versions)
    switch_prompt(model, name)
    if not model.prompt_learning:
        set_tuners(model.root, [name], model.layers_of)
        mark_active(model, [name])


def _activate(model: Model, names: Sequence[str]) -> None:
    """`model.base_model.set_adapter([...])`, which before 0.18 left auxiliary modules as they were."""
    if model.prompt_learning:  # the base is a model of transformers, which has a method of the same name
        raise Refused("ValueError", "No adapter loaded. Please load an adapter first.", cause="one-active-only")
    if model.peft_type is not None and not METHODS[model.peft_type].activates_lists:
        raise Refused("TypeError", "unhashable type: 'list'", cause="one-active-only")
    set_adapters(model, names)


def _footprint(model: Model) -> tuple[tuple[str, ...], dict[str, tuple[int, ...]], tuple[str, ...]]:
    whole, tuned = [], []
    tokens: dict[str, tuple[int, ...]] = {}
    for path, module in walk(model.root, duplicates=True):
        if isinstance(module, Whole):
            whole.append(path)
        elif isinstance(module, TokenWrapper):
            tokens[path] = tuple(_rows(module.layer))
        elif isinstance(module, TokenLayer):
            if not path.endswith("token_adapter"):
                tokens[path] = tuple(_rows(module))
        elif isinstance(module, Tuner):
            tuned.append(path)
    return tuple(sorted(whole)), tokens, tuple(sorted(tuned))


def _rows(layer: TokenLayer) -> Iterator[int]:
    indices = next(iter(layer.indices.values()), ())
    if isinstance(indices, list):
        yield from sorted(i for i in indices if isinstance(i, int))
