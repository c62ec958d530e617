"""What one adapter touches in its base, as its config and the names of its tensors tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapterlint.adapter import Config, WeightsHeader
from adapterlint.files.safetensors_header import Tensor
from adapterlint.peft.keys import Role, split_key
from adapterlint.peft.matching import IMPLICIT_HEADS, Targets, saved_as, whole_modules
from adapterlint.peft.methods import METHODS

Parameters = Mapping[str, Tensor]
EMBEDDINGS = "embed_tokens"  # PEFT's own fallback for the input embeddings of a base it cannot ask


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token rows of one module.

    Args:
        indices: The token indices in the order of the rows; `None` where the config does not give them.
        rows: The tensor of rows, if the file has it.
        tensor: Its name in the file.
    """

    indices: tuple[int, ...] | None
    rows: Tensor | None = None
    tensor: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The tensors of a file by what they are for.

    Args:
        tuned: Module path -> parameter -> tensor, for the parameters of the method.
        plain: The same for parameters named like the base's own.
        tokens: Module path -> (name of the tensor, tensor), for token rows.
        shared: Parameters that the whole tuner shares.
        foreign: Names outside PEFT's grammar.
        names: (module, parameter) -> name in the file.
    """

    tuned: Mapping[str, dict[str, Tensor]] = field(default_factory=dict)
    plain: Mapping[str, dict[str, Tensor]] = field(default_factory=dict)
    tokens: Mapping[str, tuple[str, Tensor]] = field(default_factory=dict)
    shared: Mapping[str, Tensor] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one adapter touches.

    Args:
        tuned: Tuned module -> its parameters.
        modules_to_save: Module that is brought whole -> the module paths below it that have tensors.
        trainable_tokens: Module -> its token rows.
        overwrites: Names of tensors that belong to the base itself, biases apart.
        biases: Names of the base's biases in the file.
        untargeted: Tuned modules that the config does not target, where it says what it targets.
        unexpected: Names of tensors that reach nothing.
        shared: Parameters that the whole tuner shares.
        names: (module, parameter) -> name in the file.
    """

    tuned: Mapping[str, Parameters] = field(default_factory=dict)
    modules_to_save: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trainable_tokens: Mapping[str, Tokens] = field(default_factory=dict)
    overwrites: tuple[str, ...] = ()
    biases: tuple[str, ...] = ()
    untargeted: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    shared: Parameters = field(default_factory=dict)
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)


def layout(tensors: Mapping[str, Tensor], peft_type: str) -> Layout:
    """Sort the tensors of a file by what they are for.

    Files of one recipe share their parsed header, so the last layouts are kept.

    Args:
        tensors: By name.
        peft_type: Decides what a method's parameters are called; an unknown type has none.
    """
    key = id(tensors), peft_type
    kept = _layouts.get(key)
    if kept is not None and kept[0] is tensors:
        return kept[1]
    if len(_layouts) >= MAX_LAYOUTS:
        _layouts.clear()
    sorted_out = _sorted_out(tensors, peft_type)
    _layouts[key] = tensors, sorted_out
    return sorted_out


MAX_LAYOUTS = 64
# id of the tensors -> (the tensors, kept so that the id stays theirs; their layout)
_layouts: dict[tuple[int, str], tuple[Mapping[str, Tensor], Layout]] = {}


def _sorted_out(tensors: Mapping[str, Tensor], peft_type: str) -> Layout:
    method = METHODS.get(peft_type)
    prompt_learning = method is not None and method.prompt_learning
    prefix = _PREFIXES.get(peft_type) or (method.prefix or "" if method else "")
    tuned: dict[str, dict[str, Tensor]] = {}
    plain: dict[str, dict[str, Tensor]] = {}
    tokens: dict[str, tuple[str, Tensor]] = {}
    shared: dict[str, Tensor] = {}
    foreign: list[str] = []
    names: dict[tuple[str, str], str] = {}
    for name, tensor in tensors.items():
        role, module, parameter = split_key(name, prefix, prompt_learning)
        if role is Role.FOREIGN:
            foreign.append(name)
            continue
        names[module, parameter] = name
        if role is Role.TUNER:
            parameters = tuned.get(module)
            if parameters is None:
                tuned[module] = parameters = {}
            parameters[parameter] = tensor
        elif role is Role.PLAIN:
            plain.setdefault(module, {})[parameter] = tensor
        elif role is Role.TOKENS:
            tokens[module] = name, tensor
        else:
            shared[parameter] = tensor
    return Layout(tuned, plain, tokens, shared, tuple(foreign), names)


# Types whose parameters do not all begin with what PEFT's own mapping says.
_PREFIXES = {"ADAPTION_PROMPT": "adaption_"}


def footprint(config: Config, header: WeightsHeader) -> Footprint | None:
    """What an adapter touches; `None` if its PEFT type is unknown, since then nothing says what its tensors are."""
    if config.peft_type not in METHODS:
        return None
    found = layout(header.tensors, config.peft_type)
    entries = (*whole_modules(config), *IMPLICIT_HEADS.get(str(config.get("task_type")), ()))
    whole: dict[str, list[str]] = {}
    overwrites: list[str] = []
    biases: list[str] = []
    for module, parameters in found.plain.items():
        owner = saved_as(module, entries)
        if owner is not None:
            whole.setdefault(owner, []).append(module)
            continue
        for parameter in parameters:
            mine = biases if parameter == "bias" and config.get("bias", "none") != "none" else overwrites
            mine.append(found.names[module, parameter])
    tokens = _tokens(config, found)
    homeless = tuple(name for module, (name, _) in found.tokens.items() if module not in tokens)
    targets = Targets(config)
    return Footprint(
        tuned=found.tuned,
        modules_to_save={owner: tuple(below) for owner, below in whole.items()},
        trainable_tokens=tokens,
        overwrites=tuple(overwrites),
        biases=tuple(biases),
        untargeted=tuple(m for m in found.tuned if targets.match(m) is False) if targets.decided else (),
        unexpected=found.foreign + homeless,
        shared=found.shared,
        names=found.names,
    )


def token_indices(config: Config) -> Any:
    """The value that says which token rows an adapter replaces, as JSON has it; `None` if it replaces none."""
    return config.get("token_indices" if config.peft_type == "TRAINABLE_TOKENS" else "trainable_token_indices")


def _tokens(config: Config, found: Layout) -> dict[str, Tokens]:
    """Module -> its token rows, for every module that the config gives indices for."""
    value = token_indices(config)
    if isinstance(value, dict):
        modules: dict[str, Tokens] = {}
        for entry, indices in value.items():
            for module in [m for m in found.tokens if m.endswith(entry)] or [entry]:
                name, rows = found.tokens.get(module, (None, None))
                modules.setdefault(module, Tokens(_integers(indices), rows, name))
        return modules
    if not isinstance(value, list):
        return {}
    indices = _integers(value)
    if not found.tokens:
        return {EMBEDDINGS: Tokens(indices)} if value else {}
    return {module: Tokens(indices, rows, name) for module, (name, rows) in found.tokens.items()}


def _integers(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not all(isinstance(v, int) and not isinstance(v, bool) for v in value):
        return None
    return tuple(value)
