"""What PEFT does with adapters that are loaded one after the other, and with sets of them that are activated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft.auxiliary import auxiliaries, disable, switch
from adapterlint.peft.loading import load
from adapterlint.peft.model import Model
from adapterlint.peft.modules import TokenLayer, Tuner, TokenWrapper, Whole, walk
from adapterlint.peft.injection import set_tuners
from adapterlint.peft.outputs import Expression, Output
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.versions import Versions
from adapterlint.peft.weights import Loaded


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
        forward: The error of a forward pass.
        expression: What the model computes with it.
    """

    error: Refused | None = None
    known: bool = True
    whole: tuple[str, ...] = ()
    tokens: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tuned: tuple[str, ...] = ()
    loaded: Loaded | None = None
    forward: str | None = None
    expression: Expression = ()
    warnings: tuple[str, ...] = ()


def alone(adapter: Adapter, name: str, tree: ModuleTree, versions: Versions) -> Alone:
    """Load an adapter into a fresh base."""
    model = Model(tree, versions)
    try:
        loaded = load(model, adapter, name)
    except Refused as error:
        return Alone(error=error)
    except Undecided:
        return Alone(known=False)
    whole, tokens, tuned = _footprint(model)
    output = Output(model)
    return Alone(
        whole=whole,
        tokens=tokens,
        tuned=tuned,
        loaded=None if model.prompt_learning else loaded,
        forward=output.error or forward_error(model, name),
        expression=output.expression,
        warnings=tuple(model.warnings),
    )


def forward_error(model: Model, name: str) -> str | None:
    """Errors of a forward pass that are not about one module."""
    return None


def base_error(model: Model) -> str | None:
    """The class of the error that `disable_adapter()` raises.

    For prompts it takes the base's way to prepare generation away, and stumbles over bases that do not generate
    (`PeftModel.disable_adapter`).
    """
    if not model.prompt_learning or generates(model.tree.architecture):
        return None
    return "AttributeError" if model.task in ("CAUSAL_LM", "SEQ_2_SEQ_LM") else "UnboundLocalError"


def generates(architecture: str | None) -> bool:
    """Whether a model class of transformers has `generate`, as its name tells."""
    ends = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "Seq2SeqLM", "ForSpeechSeq2Seq", "MTModel")
    return architecture is None or architecture.endswith(ends)


def _footprint(model: Model) -> tuple[tuple[str, ...], dict[str, tuple[int, ...]], tuple[str, ...]]:
    whole, tuned = [], []
    tokens: dict[str, tuple[int, ...]] = {}
    for path, module in walk(model.root, duplicates=True):
        if isinstance(module, Whole):
            whole.append(path)
        elif isinstance(module, TokenWrapper):
            tokens[path] = _rows(module.layer)
        elif isinstance(module, TokenLayer):
            if not path.endswith("token_adapter"):
                tokens[path] = _rows(module)
        elif isinstance(module, Tuner):
            tuned.append(path)
    return tuple(sorted(whole)), tokens, tuple(sorted(tuned))


def _rows(layer: TokenLayer) -> tuple[int, ...]:
    indices = next(iter(layer.indices.values()), ())
    return tuple(sorted(i for i in indices if isinstance(i, int))) if isinstance(indices, list) else ()


def auxiliary_state(model: Model) -> dict[str, tuple[str, ...]]:
    """Module path -> the adapters that are active there, of every auxiliary module."""
    return {path: tuple(wrapper.active) for path, wrapper in auxiliaries_everywhere(model)}


def auxiliaries_everywhere(model: Model):
    from adapterlint.peft.modules import Auxiliary

    return [(path, m) for path, m in walk(model.root, duplicates=True) if isinstance(m, Auxiliary)]


def switch_to(model: Model, name: str) -> None:
    """`PeftModel.set_adapter`."""
    model.current = name
    if model.prompt_learning:
        switch(model.root, name, model.versions)
        return
    switch(model.root, name, model.versions)
    set_tuners(model.root, [name], model.peft_type or "")
    model.active = [name]


def activate(model: Model, names: Sequence[str]) -> None:
    """`model.base_model.set_adapter([...])`.

    Raises:
        Refused: PEFT raises.
    """
    if model.prompt_learning:
        raise Refused("ValueError", "No adapter loaded. Please load an adapter first.", cause="prompts-together")
    if model.versions.peft >= (0, 18):
        switch(model.root, names, model.versions)
    set_tuners(model.root, list(names), model.peft_type or "")
    model.active = list(names)


def enable_all(model: Model) -> None:
    """What leaving `disable_adapter()` does: everything is switched on again."""
    for _, wrapper in auxiliaries(model.root):
        disable(wrapper, False)
