"""What a forward pass raises, and what `disable_adapter()` does, beside what the output of the modules tells.

A task says what PEFT hands on to the base, a prompt what it asks of it, and X-LoRA runs the base first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapterlint.base.tree import Kind
from adapterlint.peft.calls import is_listed, refuses
from adapterlint.peft.loading import WIDTH
from adapterlint.peft.methods import METHODS, Method
from adapterlint.peft.model import Model
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.outputs import UNDECIDED, Output
from adapterlint.peft.tasks import IMPLICIT_HEADS, TASK_TYPES, TASKS
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
    # With a prompt of embeddings PEFT asks for indices before it calls the base; speech has none.
    asks = model.prompt_learning and not _method(model).keys_and_values and "input_ids" in refused
    return "ValueError" if asks else "TypeError"


def mixing_error(model: Model) -> str | None:
    """The error of a forward pass of X-LoRA, which runs the base first and takes its last hidden states."""
    if model.peft_type != "XLORA":
        return None
    config = next(config for config in model.configs.values() if config.peft_type == "XLORA")
    base = model.tree.config
    if any(name not in model.configs for name in model.mixed):  # names that the config gives, and PEFT does not
        return "KeyError"
    if model.refuses("input_ids") or base.get("is_encoder_decoder"):
        return "AttributeError"
    text = base.get("text_config")
    base = text if isinstance(text, dict) else base
    width = next((base[word] for word in WIDTH if word in base), None)
    if width is None or not config.get("adapters"):
        return UNDECIDED
    if (config.get("hidden_size") or 4096) != width or (config.get("top_k_lora") or 0) > len(config["adapters"]):
        return "RuntimeError"
    return None


def prompt_error(model: Model) -> str | None:
    """The error of a forward pass with a prompt.

    PEFT up to 0.17 gives prefixes in a cache of the wrong kind to models with an encoder and a decoder, and up to 0.13
    to all models, if they are of transformers 4.56 (`PeftModel.get_prompt`).
    """
    if model.peft_type == "POLY":  # it asks for `task_ids`
        return "ValueError"
    if model.task is None:
        return None
    if model.peft_type == "MULTITASK_PROMPT_TUNING":  # the same
        return "ValueError"
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
    if not _takes_prefixes(model, config.task_type):
        return UNDECIDED
    if not _has_prefix_sizes(model.tree.config):
        return "RuntimeError"
    two = config.get("num_transformer_submodules") == 2
    old = model.versions.peft < ((0, 18) if two else (0, 14)) and model.versions.transformers >= (4, 56)
    if old:
        return "AttributeError"
    return None if _has_size_of_heads(config, model.tree.config) else "RuntimeError"


def _method(model: Model) -> Method:
    return METHODS[model.peft_type or ""]


def _has_size_of_heads(config: OpenedConfig, base: Mapping[str, Any]) -> bool:
    """Whether keys of the prefix are of the size of the base's, where that is not the width by the number of heads."""
    size, heads, dim = base.get("d_kv"), config.get("num_attention_heads"), config.get("token_dim")
    known = all(isinstance(one, int) and one > 0 for one in (size, heads, dim))
    return not known or dim // heads == size


def _is(model: Model, kind: str) -> bool:
    return is_listed(kind, model.versions.transformers, model.tree.architecture)


def _takes_prefixes(model: Model, task: str | None) -> bool:
    """Whether a base surely takes a prefix of keys and values: models that generate do, and classifiers of their kind.

    Not if some of its layers remember something else than keys and values, by a convolution.
    """
    convolved = any(node.kind is Kind.CONV1D for node in model.tree.nodes.values())
    own = _is(model, "prefix") or model.tree.model_type == "bert"
    return not convolved and (model.generates or task not in IMPLICIT_HEADS or own)


def _has_prefix_sizes(config: Mapping[str, Any]) -> bool:
    """Whether keys and values are of one size, and there are as many heads of them as PEFT takes from the config.

    Those that are kept compressed are not, and `multi_query` is not among the words for it.
    """
    sizes = [config.get(key) for key in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")]
    nope, rope, value = (size if isinstance(size, int) else 0 for size in sizes)
    one = config.get("multi_query") is True and not config.get("new_decoder_architecture")
    return nope + rope == value and not one


def disabling_error(model: Model) -> str | None:
    """The class of the error that `disable_adapter()` raises.

    For prompts it takes the base's way to prepare generation away, and stumbles over bases that do not generate
    (`PeftModel.disable_adapter`).
    """
    if not model.prompt_learning or model.generates:
        return None
    return "AttributeError" if model.task in ("CAUSAL_LM", "SEQ_2_SEQ_LM") else "UnboundLocalError"
