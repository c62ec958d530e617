"""Configs: which of their values may shape a model, and what to try in the place of each."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transformers.activations import ACT2CLS

COUNTS = re.compile(r"(num_.*(layers|blocks)|n_layers?|.*_layers|.*depth|.*num_layers)$")
EXPERTS = re.compile(r".*experts$")
REDUCED = 5
REDUCED_NESTED = 4  # in each of the configs of a model of several
REDUCED_EXPERTS = 4
SIZES = re.compile(r".*(size|dim|width|d_model|channels|heads|rank|d_kv|d_ff|ffn|groups)")


def config_class(model_type: str) -> Any:
    """The class of a model type's config."""
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[model_type]


def as_dict(config: Any) -> dict[str, Any]:
    """The values of a config, as JSON would have them."""
    values: dict[str, Any] = config.to_dict()
    _drop(values)
    return values


def _drop(values: dict[str, Any]) -> None:
    """Leave out what says nothing of a model, and what a config makes of its other values."""
    for key in ("transformers_version", "_name_or_path", "torch_dtype", "dtype", "per_layer_config"):
        values.pop(key, None)
    for value in values.values():
        if isinstance(value, dict) and "model_type" in value:
            _drop(value)


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a config that a probe may change."""
    for key, value in values.items():
        if isinstance(value, dict) and ("model_type" in value or key.endswith("_config")):
            yield from leaves(value, f"{prefix}{key}.")
        elif key == "id2label" and isinstance(value, dict):
            yield f"{prefix}num_labels", len(value)
        elif not isinstance(value, dict):
            yield prefix + key, value


def has_list(values: Mapping[str, Any], path: str) -> bool:
    """Whether another list is as long as a value says, or is."""
    *parents, key = path.split(".")
    for parent in parents:
        values = values[parent]
    old = _length(values.get(key))
    return any(isinstance(v, list) and len(v) == old and name != key for name, v in values.items())


def _length(value: Any) -> Any:
    return len(value) if isinstance(value, list) else value


def with_value(values: Mapping[str, Any], path: str, value: Any, *, lists: str = "drop") -> dict[str, Any]:
    """A copy with one value changed; other lists as long as it was (or said) are dropped, or fitted, or kept."""
    result = copy.deepcopy(dict(values))
    *parents, key = path.split(".")
    inner = result
    for parent in parents:
        inner = inner[parent]
    if key == "num_labels":
        inner["id2label"] = {i: f"LABEL_{i}" for i in range(value)}
        inner["label2id"] = {f"LABEL_{i}": i for i in range(value)}
        return result
    old, new = _length(inner.get(key)), _length(value)
    inner[key] = value
    if lists != "keep" and type(new) is int and type(old) is int and new != old:
        for name, item in list(inner.items()):
            if isinstance(item, list) and len(item) == old and name != key:
                if lists == "drop":
                    del inner[name]
                else:
                    inner[name] = [*item, *[item[-1]] * (new - old)][:new] if item else []
    return result


def make(cls: Any, values: Mapping[str, Any]) -> Any:
    """The config that a `config.json` with these values gives."""
    return cls.from_dict(copy.deepcopy(dict(values)))


def reduced(cls: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The config with fewer layers and experts, as far as it lets itself be reduced."""
    for path, value in list(leaves(values)):
        key = path.rpartition(".")[2]
        if type(value) is not int:
            continue
        layers = REDUCED_NESTED if "." in path else REDUCED
        limit = layers if COUNTS.fullmatch(key) else REDUCED_EXPERTS if EXPERTS.fullmatch(key) else None
        if limit is None or value <= limit:
            continue
        for lists in ("drop", "fit"):
            tried = with_value(values, path, limit, lists=lists)
            try:
                values = _spread(cls, as_dict(make(cls, tried)), values, path, limit)
                break
            except Exception:
                continue
    return values


def _spread(cls: Any, few: dict[str, Any], values: dict[str, Any], path: str, count: int) -> dict[str, Any]:
    """Few layers, in which every type of layer is twice if the config lets it."""
    types = ".".join([*path.split(".")[:-1], "layer_types"])
    own, before = (dict(leaves(v)).get(types) for v in (few, values))
    kinds = list(dict.fromkeys(before or ()))
    if not own or not 1 < len(kinds) <= count // 2 or all(own.count(kind) > 1 for kind in kinds):
        return few
    try:
        return as_dict(make(cls, with_value(few, types, (kinds * count)[:count], lists="keep")))
    except Exception:
        return few


def probes(path: str, value: Any) -> Iterator[tuple[Any, ...]]:
    """Groups of values to try in the place of one: of each group, the first that can be built counts."""
    key = path.rpartition(".")[2]
    if isinstance(value, bool):
        yield (not value,)
    elif isinstance(value, int):
        if value < 0:
            yield from ((8,), (12,))
        elif "shared_layers" in key:  # some of all layers
            yield (value + 1,)
            yield value // 2, value + 2
        elif SIZES.fullmatch(key) or value > 12:
            yield value * 2, value + 1, value * 3, value // 2
            yield value * 3, value + 2, value // 2
        else:
            yield value + 1, value * 2
            yield value + 2, value * 3, value * 2
            if value > 1:
                yield value - 1, value // 2
        if NULLABLE.search(key):
            yield (None,)
        if EXPERTS.fullmatch(key):
            yield (0,)
    elif isinstance(value, float):
        if FLOATS.search(key):
            yield (0.0 if 0 < value < 1 else 0.1 if not value else value * 2 if value < 4 else value / 2,)
    elif isinstance(value, str):
        if value in ACT2CLS:
            yield ("relu" if value != "relu" else "gelu",)
        yield from ((v,) for v in STRINGS.get(key, ()) if v != value)
    elif not value and LAYERS.search(key):
        yield ([1, 3],)
        yield ([1],)
    elif value is None:
        for v in NULLS.get(key, ()):
            yield (v,)
            if type(v) is int and v > 1:
                yield (v * 2,)
    elif isinstance(value, list) and value:
        yield ([*value, value[-1]],)
        yield (value[:-1],)
        if all(isinstance(v, str) for v in value):
            yield (value[::-1],)
            yield from (([v] * len(value),) for v in sorted(set(value)))
        elif all(isinstance(v, int) and not isinstance(v, bool) for v in value):
            yield [v * 2 for v in value], [v + 1 for v in value]
            yield ([value[0] + 1, *value[1:]],)
            yield ([*value[:-1], value[-1] + 1],)
        elif all(isinstance(v, bool) for v in value):
            yield ([not v for v in value],)
            yield ([not value[0], *value[1:]],)
    elif isinstance(value, list):
        yield ([1],)


def spelled(value: Any, words: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Groups of values to try in the place of one that is a name, or one for each layer.

    Args:
        words: The names that it may have.
    """
    if isinstance(value, str):
        yield from ((word,) for word in words if word != value)
    elif isinstance(value, list) and value and all(isinstance(v, str) for v in value):
        for word in words:
            if word not in value:
                mixed = [[word if i % 2 == turn else v for i, v in enumerate(value)] for turn in (1, 0)]
                yield tuple(mixed)
                yield ([word] * len(value),)


# Ints that may be null, which leaves something out.
NULLABLE = re.compile(
    r"rank|shared|inner|moe|expert|adapter|head_dim|key_value|ffn|dense|proj|intermediate|embedding_size"
)
LAYERS = re.compile(r"(layer|attn).*_(indices|idxs|ids)$")  # which layers are of another kind
FLOATS = re.compile(r"drop_path|scale|ratio|factor|multiplier|expand")
# What shapes no module: not worth a build.
IGNORED = re.compile(
    r".*(_token_id|_token_ids|_token_index|_token|_eps|epsilon|dropout|dropout_prob|layerdrop|_loss|_loss_coef|theta)|use_cache"
    r"|initializer_.*|init_.*|mask_time.*|mask_feature.*|return_.*|output_(?!hidden_size|dim|size|proj|channels).*"
    r"|problem_type|.*_std|architectures|router_aux.*|torchscript|pad_index|.*_index|pruned_heads|layer_norm_eps|ctc_.*|.*_cost|.*_weight|transformers_version"
)
KEPT = {"tie_word_embeddings", "is_decoder", "add_cross_attention", "cross_attention_hidden_size", "is_encoder_decoder"}


def ignored(path: str) -> bool:
    """Whether a config value is known to shape no module."""
    key = path.rpartition(".")[2]
    return key not in KEPT and (IGNORED.fullmatch(key) is not None or key in _common())


@functools.lru_cache
def _common() -> frozenset[str]:
    """What every config has."""
    from transformers import PretrainedConfig

    return frozenset(PretrainedConfig().to_dict()) - {"num_labels", "id2label"}


STRINGS = {
    "feat_extract_norm": ("group", "layer"),
    "norm_rel_ebd": ("none", "layer_norm"),
    "position_embedding_type": ("absolute", "relative_key", "relative_key_query"),
    "layer_norm_type": ("layer_norm", "rms_norm"),
    "pooling_type": ("mean", "max"),
    "feed_forward_proj": ("relu", "gated-gelu"),
    "norm_layer": ("batch_norm", "group_norm"),
    "summary_type": ("first", "last", "cls_index"),
    "layer_type": ("basic", "bottleneck", "preactivation"),
}
NULLS = {
    "head_dim": (16,), "n_inner": (64,), "num_key_value_heads": (2,), "q_lora_rank": (8,), "kv_lora_rank": (8,),
    "classifier_dropout": (0.1,), "adapter_attn_dim": (8,), "summary_proj_to_labels": (True,), "embedding_size": (16,),
    "pos_att_type": (["c2p", "p2c"], ["c2p"], ["p2c"]), "n_shared_experts": (1,), "word_embed_proj_dim": (16,),
    "hidden_size_per_layer_input": (8,), "shared_expert_intermediate_size": (8,), "projection_dim": (16,),
    "intermediate_size": (64,), "decoder_layers": (2,), "mlp_layers": (2,), "lm_head_bias": (True,), "rotary_dim": (8,),
    "vocab_size_per_layer_input": (64,), "multi_query": (True,), "num_experts": (2,), "num_local_experts": (2,),
    "use_qk_norm": (True,), "qk_layernorm": (True,), "attention_bias": (True,), "mlp_bias": (True,),
    "use_bias": (True,), "qkv_bias": (True,), "layerscale_value": (0.1,),
}  # fmt: skip
