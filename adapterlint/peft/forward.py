"""What a forward pass raises, and what `disable_adapter()` does, beside what the output of the modules tells.

A task says what PEFT hands on to the base, a prompt what it asks of it; what X-LoRA raises, which runs the base first,
is in `experts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapterlint.base.tree import Kind
from adapterlint.base.widths import LAYERS, own_heads, said, text_of
from adapterlint.peft.calls import is_listed, listed, refuses
from adapterlint.peft.experts import mixing_error
from adapterlint.peft.methods import METHODS, Method
from adapterlint.peft.model import Model
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.outputs import Output
from adapterlint.peft.refused import UNDECIDED
from adapterlint.peft.tasks import TASK_TYPES, TASKS
from adapterlint.peft.wrappers import weight_of


def forward_error(model: Model, output: Output) -> str | None:
    """The class of the error of a forward pass; `UNDECIDED` if that is not known."""
    return keyword_error(model) or mixing_error(model) or output.error or prompt_error(model)


def keyword_error(model: Model) -> str | None:
    """The error of a forward pass that hands on what the base does not take, as `PeftModelFor*` do with a task."""
    if model.task not in TASK_TYPES:
        return None
    architecture, release = model.tree.architecture, model.versions.transformers
    handed = TASKS[str(model.task)].hands
    refused = [keyword for keyword in handed if refuses(release, architecture, keyword)]
    if not refused:
        return None
    # With a prompt PEFT asks for indices before it calls the base, which speech has none of, and with one of keys and
    # values whether the base takes it.
    asks = model.prompt_learning and "input_ids" in refused
    unfit = _method(model).keys_and_values and _is(model, "no_prefix")
    return "ValueError" if asks or unfit else "TypeError"


def prompt_error(model: Model) -> str | None:
    """The error of a forward pass with a prompt.

    PEFT up to 0.17 gives prefixes in a cache of the wrong kind to models with an encoder and a decoder, and up to 0.13
    to all models, if they are of transformers 4.56 (`PeftModel.get_prompt`).
    """
    if model.peft_type is None:
        return None
    if _method(model).asks_for_task_ids and (model.task is not None or not model.prompt_learning):
        return "ValueError"
    if model.task is None:
        return None
    config = model.configs.get(model.current)
    if config is None or not config.prompt_learning:
        return None
    if _method(model).keys_and_values:
        return _prefix_error(model, config)
    if _is(model, "refuses_embeddings"):
        return "NotImplementedError"
    embedding = model.prompt_embedding
    weight = weight_of(embedding) if embedding is not None else None
    width, dim = weight.shape[1] if weight is not None and weight.shape else None, config.get("token_dim")
    return "RuntimeError" if width is not None and width != dim else None


def _prefix_error(model: Model, config: OpenedConfig) -> str | None:
    if _is(model, "no_prefix"):
        return "ValueError"
    if not _takes_prefixes(model):
        return UNDECIDED
    states = _has(model, "states")
    sizes = _has_prefix_sizes(model, config) and not _has(model, "positions")
    lacking = lacks_layers(config, model.tree.config)
    if lacking and states:
        return UNDECIDED
    if states or not sizes:
        return UNDECIDED if states and not sizes else "ValueError" if states else "RuntimeError"
    fits = _has_size_of_heads(config, model.tree.config) and _has_number_of_heads(config, model.tree.config)
    if lacking and fits and model.versions.peft >= (0, 14):
        return "IndexError" if _has_layers_of_prefix(model, config) else UNDECIDED
    if config.task_type == "SEQ_CLS" and not model.generates and not _is(model, "prefix"):
        return _pooled_error(model) if fits else "RuntimeError"
    if config.task_type == "QUESTION_ANS" and "qa_outputs" not in model.tree.nodes:  # what PEFT looks for as the head
        return "AttributeError"
    two = config.get("num_transformer_submodules") == 2
    old = model.versions.peft < ((0, 18) if two else (0, 14)) and model.versions.transformers >= (4, 56)
    if old:
        return "AttributeError"
    return None if fits else "RuntimeError"


def _method(model: Model) -> Method:
    return METHODS[model.peft_type or ""]


def lacks_layers(config: Mapping[str, Any], base: Mapping[str, Any]) -> bool:
    """Whether a prefix is for fewer layers than the base has."""
    layers, needed = config.get("num_layers"), said(text_of(base), LAYERS)
    return isinstance(layers, int) and isinstance(needed, int) and 0 < layers < needed


def _has_layers_of_prefix(model: Model, config: OpenedConfig) -> bool:
    """Whether a base sees no more layers in its cache than a prefix is for, so that it stumbles over the next one.

    It is so in a cache that is made of the keys and values (`DynamicCache(past_key_values)`); one that is made of the
    base's config has all layers, and that of an older PEFT, or of two models in transformers 4, gets those that it
    lacks on the way.
    """
    of_config = any(word in (model.tree.model_type or "") for word in ("gemma2", "gemma3_text", "gemma4"))
    one = config.get("num_transformer_submodules") == 1
    if one and model.tree.config.get("is_encoder_decoder"):
        return False
    since = (4, 56) if one else (5, 0)
    return model.versions.peft >= (0, 18) and model.versions.transformers >= since and not of_config


def _has_size_of_heads(config: OpenedConfig, base: Mapping[str, Any]) -> bool:
    """Whether keys of the prefix are of the size of the base's, where that is not the width by the number of heads."""
    size, heads, dim = base.get("d_kv"), config.get("num_attention_heads"), config.get("token_dim")
    known = all(isinstance(one, int) and one > 0 for one in (size, heads, dim))
    return not known or dim // heads == size


def _has_number_of_heads(config: OpenedConfig, base: Mapping[str, Any]) -> bool:
    """Whether the prefix is for as many heads as the base has."""
    heads, needed = config.get("num_attention_heads"), own_heads(base)
    return heads in (None, needed) or needed is None


def _pooled_error(model: Model) -> str | None:
    """The error of a classifier of whole texts that is left out: PEFT gives what the model inside gives to its head.

    That is the second output, if there is one: what a pooler gives, or, without one, the cache (transformers 4). A head
    of more than a linear layer takes the first token of what it gets.
    """
    nodes = model.tree.nodes
    head = next((nodes[name] for name in ("classifier", "score") if name in nodes), None)
    if head is None or model.tree.config.get("is_encoder_decoder"):
        return UNDECIDED
    if any(path.count(".") == 1 and path.endswith(".pooler") for path in nodes):
        return None if head.kind is Kind.LINEAR else "IndexError"
    return None if model.versions.transformers >= (5, 0) else "TypeError"


def _is(model: Model, kind: str) -> bool:
    return is_listed(kind, model.versions.transformers, model.tree.architecture)


def _takes_prefixes(model: Model) -> bool:
    """Whether it is known what a base does with a prefix of keys and values.

    It is not for classes that generate without taking any, nor, of transformers 4, where layers remember something by a
    convolution.
    """
    convolved = any(node.kind is Kind.CONV1D for node in model.tree.nodes.values()) and not _has(model, "states")
    return not convolved and not _is(model, "no_past")


def _has(model: Model, kind: str) -> bool:
    """Whether some of its modules are of a kind that `calls.json` lists."""
    classes = listed(kind, model.versions.transformers)
    return any(node.type in classes for node in model.tree.nodes.values())


def _has_prefix_sizes(model: Model, adapter: OpenedConfig) -> bool:
    """Whether keys and values are of one size, that of the prefix, and there are as many heads as PEFT takes for it.

    Those that are kept compressed are not of one size, and `multi_query` is not among the words for the heads.
    """
    config = model.tree.config
    if any(path.endswith(".kv_b_proj") for path in model.tree.nodes):
        sizes = [config.get(key) for key in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")]
        nope, rope, value = (size if isinstance(size, int) else 0 for size in sizes)
        return nope + rope == value
    if any(_is_wider(model, path) for path in model.tree.nodes if path.endswith(".k_proj")):
        return False
    width, heads, size = adapter.get("token_dim"), adapter.get("num_attention_heads"), config.get("head_dim")
    if isinstance(width, int) and isinstance(heads, int) and isinstance(size, int) and heads and width // heads != size:
        return False
    return config.get("multi_query") is not True or bool(config.get("new_decoder_architecture"))


def _is_wider(model: Model, path: str) -> bool:
    """Whether keys are of another size than values."""
    nodes = model.tree.nodes
    other = nodes.get(f"{path.removesuffix('k_proj')}v_proj")
    keys, values = nodes[path].parameters.get("weight"), other.parameters.get("weight") if other else None
    return keys is not None and values is not None and keys[:1] != values[:1]


def disabling_error(model: Model) -> str | None:
    """The class of the error that `disable_adapter()` raises.

    For prompts it takes the base's way to prepare generation away, and stumbles over bases that do not generate
    (`PeftModel.disable_adapter`).
    """
    if not model.prompt_learning or model.generates:
        return None
    return "AttributeError" if model.task in ("CAUSAL_LM", "SEQ_2_SEQ_LM") else "UnboundLocalError"
