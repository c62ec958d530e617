"""A base model as a tree of modules: every module's path, kind and parameters, and how certain they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Shape = tuple[int, ...]


class Kind(StrEnum):
    """What a module is, as far as PEFT tells modules apart."""

    LINEAR = "linear"
    EMBEDDING = "embedding"
    GPT2_CONV1D = "gpt2-conv1d"  # a linear layer with a transposed weight (transformers.pytorch_utils.Conv1D)
    CONV1D = "conv1d"
    CONV2D = "conv2d"
    CONV3D = "conv3d"
    ATTENTION = "multihead-attention"  # torch.nn.MultiheadAttention
    NORM = "norm"
    CONTAINER = "container"  # has modules below, and no parameters of its own
    LIST = "module-list"  # ModuleList, ModuleDict, ParameterList, ParameterDict
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Node:
    """A module of a base.

    Args:
        path: Its path; empty for the model itself.
        type: The name of its class, if known.
        parameters: Its own parameters (not those below it) -> shape, `None` for a shape that is not known.
        buffers: Its own persistent buffers, which a state dict has too -> shape.
        certain: Whether the module exists with this kind for sure; a guess from names and shapes is not.
    """

    path: str
    kind: Kind
    type: str | None = None
    parameters: Mapping[str, Shape | None] = field(default_factory=dict)
    buffers: Mapping[str, Shape | None] = field(default_factory=dict)
    certain: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class ModuleTree:
    """A base model; two trees are equal if they are the same one, which makes it cheap to keep what follows from it.

    Args:
        nodes: Path -> module, the model itself (`""`) first, in the order of `named_modules(remove_duplicate=False)`.
        aliases: Path of a module that is the same object as another one -> the path where it stands first.
        tied: Groups of parameter paths that are one parameter; the first of a group is where `named_parameters` has it.
        input_embeddings: Path of what `get_input_embeddings` gives, if known.
        sometimes: Paths of modules that run for pictures or sound only, in models that text is enough for.
        ties: `tie_word_embeddings` as the class takes it: what the config says, or has if it says nothing, if known.
        renames: How the class renames what it reads from a checkpoint (see adapterlint/base/renames.py).
        output_embeddings: Path of what `get_output_embeddings` gives; `None` if there is none or it is not known.
        architecture: Name of the model class, such as `LlamaForCausalLM`, if known.
        model_type: `model_type` of the config, if known.
        config: `config.json`, as JSON has it.
        complete: Whether every module of the model is among the nodes.
        partial: Whether it is made of no more than adapters' own keys, so that a module not in it may be there.
        name: What the base is called in messages.
    """

    nodes: Mapping[str, Node]
    aliases: Mapping[str, str] = field(default_factory=dict)
    tied: tuple[tuple[str, ...], ...] = ()
    input_embeddings: str | None = None
    output_embeddings: str | None = None
    sometimes: tuple[str, ...] = ()
    ties: bool | None = None
    renames: tuple[Any, ...] = ()
    architecture: str | None = None
    model_type: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = True
    partial: bool = False
    name: str = ""
