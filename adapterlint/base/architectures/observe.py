"""Build models of transformers without weights, with many configs, and write down their modules."""

from __future__ import annotations

import contextlib
import copy
import functools
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn
from transformers.activations import ACT2CLS
from transformers.pytorch_utils import Conv1D

KINDS = (
    ("e", nn.Embedding), ("l", nn.Linear), ("g", Conv1D), ("1", nn.Conv1d), ("2", nn.Conv2d), ("3", nn.Conv3d),
    ("a", nn.MultiheadAttention), ("m", (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)),
)  # fmt: skip
COUNTS = re.compile(r"(num_.*(layers|blocks)|n_layers?|.*_layers|.*depth|.*num_layers)$")
EXPERTS = re.compile(r".*experts$")
REDUCED = 5
REDUCED_EXPERTS = 4
SECONDS = 90
SIZES = re.compile(r".*(size|dim|width|d_model|channels|heads|rank|d_kv|d_ff|ffn|groups)")


@dataclass(eq=False)
class Seen:
    """One module of a model that was built: its class, kind, own parameters and buffers, and the modules below."""

    type: str
    kind: str
    parameters: dict[str, tuple[int, ...]]
    buffers: dict[str, tuple[int, ...]]
    children: dict[str, Seen]


@dataclass(eq=False)
class Model:
    """What is written down of one model."""

    root: Seen
    tied: list[list[str]]
    aliases: dict[str, str]
    input: str | None
    output: str | None


def quicken() -> None:
    """Leave out every initialisation: nothing but names and shapes is looked at."""
    torch.set_num_threads(1)
    for name in dir(nn.init):
        if name.endswith("_") and not name.startswith("_"):
            setattr(nn.init, name, lambda tensor, *_, **__: tensor)
    for layer in (nn.Linear, nn.Embedding, nn.modules.conv._ConvNd, nn.LayerNorm, nn.GroupNorm):
        layer.reset_parameters = lambda self: None
    transformers.PreTrainedModel.initialize_weights = lambda self, *_, **__: None
    transformers.logging.set_verbosity(50)
    import warnings

    warnings.simplefilter("ignore")


def kind_of(module: nn.Module) -> str:
    for kind, classes in KINDS:
        if isinstance(module, classes):
            return kind
    children = any(True for _ in module.children())
    if "Norm" in type(module).__name__ and not children:
        return "n"
    if children and not any(p is not None for p in module._parameters.values()):
        return "c"
    return "o"


def see(module: nn.Module) -> Seen:
    parameters = {n: tuple(p.shape) for n, p in module._parameters.items() if p is not None}
    buffers = {
        n: tuple(b.shape)
        for n, b in module._buffers.items()
        if b is not None and n not in module._non_persistent_buffers_set
    }
    children = {n: see(m) for n, m in module._modules.items() if m is not None}
    return Seen(type(module).__name__, kind_of(module), parameters, buffers, children)


@contextlib.contextmanager
def deadline(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"not built within {seconds} seconds")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def build(cls: Any, config: Any, seconds: int = SECONDS) -> nn.Module:
    """A model on the meta device; on the CPU, without initialisation, where a constructor needs numbers."""
    with deadline(seconds):
        config = copy.deepcopy(config)
        try:
            with torch.device("meta"):
                model = cls._from_config(config)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            if "meta" not in str(error).lower():
                raise
            with torch.device("cpu"):
                model = cls._from_config(copy.deepcopy(config))
        with contextlib.suppress(AttributeError):
            model.tie_weights()
    return model


def observe(model: nn.Module) -> Model:
    names: dict[int, str] = {}
    aliases: dict[str, str] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        if id(module) in names:
            parent = path.rpartition(".")[0]
            if parent not in aliases or names[id(module)] != aliases[parent] + path[len(parent) :]:
                aliases[path] = names[id(module)]
            else:
                aliases[path] = names[id(module)]
        else:
            names[id(module)] = path
    groups: dict[int, list[str]] = {}
    for path, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(path)
    return Model(
        see(model),
        [group for group in groups.values() if len(group) > 1],
        aliases,
        _embeddings(model, "get_input_embeddings", names),
        _embeddings(model, "get_output_embeddings", names),
    )


def _embeddings(model: nn.Module, method: str, names: Mapping[int, str]) -> str | None:
    try:
        module = getattr(model, method)()
    except Exception:  # many models refuse
        return None
    return names.get(id(module))


def classes() -> Iterator[tuple[str, str]]:
    """Every model type and class of the auto mappings, each pair once, the base classes first."""
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    seen: dict[tuple[str, str], None] = {}
    mappings = sorted(
        (n for n in dir(modeling_auto) if n.endswith("_NAMES") and n.startswith("MODEL")),
        key=lambda n: n != "MODEL_MAPPING_NAMES",
    )
    for name in mappings:
        for model_type, found in getattr(modeling_auto, name).items():
            for cls in found if isinstance(found, tuple) else (found,):
                if model_type in CONFIG_MAPPING_NAMES:
                    seen[model_type, cls] = None
    yield from sorted(seen, key=lambda pair: pair[0])


def parts(model: Any) -> list[list[str]]:
    """The models inside a model that are built from a nested config: path, class, name of the config."""
    configs: dict[int, str] = {}

    def walk(config: Any, prefix: str) -> None:
        for name, value in vars(config).items():
            if isinstance(value, transformers.PretrainedConfig) and id(value) not in configs:
                configs[id(value)] = prefix + name.lstrip("_")
                walk(value, f"{prefix}{name.lstrip('_')}.")

    configs[id(model.config)] = ""
    walk(model.config, "")
    found: list[list[str]] = []
    for path, module in model.named_modules():
        where = configs.get(id(getattr(module, "config", None)))
        inner = path and where and isinstance(module, transformers.PreTrainedModel)
        if inner and not any(path.startswith(p + ".") and where == w for p, _, w in found):
            found.append([path, type(module).__name__, where])
    return found


# What PEFT calls the tasks, and the mappings that the auto classes for them use.
TASKS = {
    "CAUSAL_LM": ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",),
    "SEQ_2_SEQ_LM": ("MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",),
    "SEQ_CLS": ("MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",),
    "TOKEN_CLS": ("MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",),
    "QUESTION_ANS": ("MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES",),
    "FEATURE_EXTRACTION": ("MODEL_MAPPING_NAMES",),
}


def tasks() -> dict[str, dict[str, str]]:
    """Model type -> task -> the class that its auto class builds."""
    from transformers.models.auto import modeling_auto

    found: dict[str, dict[str, str]] = {}
    for task, names in TASKS.items():
        for name in names:
            for model_type, cls in getattr(modeling_auto, name, {}).items():
                found.setdefault(model_type, {})[task] = cls if isinstance(cls, str) else cls[0]
    return found


def renames(cls: Any, model: Any) -> list[Any]:
    """How the tensors of a checkpoint are renamed when the class loads them (see adapterlint/base/renames.py)."""
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
    except ImportError:
        from transformers import modeling_utils

        vlms = getattr(modeling_utils, "VLMS", [])
        mapping = getattr(cls, "_checkpoint_conversion_mapping", None) or {}
        used = any(name in cls.__name__.lower() for name in vlms)
        return [["s", pattern, target] for pattern, target in mapping.items()] if used else []
    found = []
    for transform in get_model_conversion_mapping(model, add_legacy=False):
        operations = [_operation(o) for o in getattr(transform, "operations", [])]
        found.append(
            ["r", transform.compiled_sources.pattern, list(transform.target_patterns), _scope(transform), operations]
        )
    return found


def _operation(operation: Any) -> list[Any]:
    values = [getattr(operation, name) for name in ("dim", "dim0", "dim1") if hasattr(operation, name)]
    return [type(operation).__name__, *values]


def _scope(transform: Any) -> list[str] | None:
    if transform.scope_prefix is None:
        return None
    scope = f"{transform.scope_prefix}." if transform.scope_prefix else ""
    base = f"{transform.base_model_prefix}." if transform.base_model_prefix else ""
    return list(dict.fromkeys([base + scope, scope]))


# --- configs ---------------------------------------------------------------------------------------------------------


def config_class(model_type: str) -> Any:
    from transformers import CONFIG_MAPPING

    return CONFIG_MAPPING[model_type]


def as_dict(config: Any) -> dict[str, Any]:
    values = config.to_dict()
    for key in ("transformers_version", "_name_or_path", "torch_dtype", "dtype"):
        values.pop(key, None)
    return values


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
    """Whether a list beside a value is as long as it says."""
    *parents, key = path.split(".")
    for parent in parents:
        values = values[parent]
    old = values.get(key)
    return any(isinstance(v, list) and len(v) == old for v in values.values())


def with_value(values: Mapping[str, Any], path: str, value: Any, *, lists: str = "drop") -> dict[str, Any]:
    """A copy with one value changed; lists as long as the value changed was are dropped, or fitted, or kept."""
    result = copy.deepcopy(dict(values))
    *parents, key = path.split(".")
    inner = result
    for parent in parents:
        inner = inner[parent]
    if key == "num_labels":
        inner["id2label"] = {i: f"LABEL_{i}" for i in range(value)}
        inner["label2id"] = {f"LABEL_{i}": i for i in range(value)}
        return result
    old = inner.get(key)
    inner[key] = value
    if lists != "keep" and type(value) is int and type(old) is int:
        for name, item in list(inner.items()):
            if isinstance(item, list) and len(item) == old and name != key:
                if lists == "drop":
                    del inner[name]
                else:
                    inner[name] = (item * (value // max(old, 1) + 1))[:value]
    return result


def make(cls: Any, values: Mapping[str, Any]) -> Any:
    return cls.from_dict(copy.deepcopy(dict(values)))


def reduced(cls: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The config with fewer layers and experts, as far as it lets itself be reduced."""
    for path, value in list(leaves(values)):
        key = path.rpartition(".")[2]
        if type(value) is not int:
            continue
        limit = REDUCED if COUNTS.fullmatch(key) else REDUCED_EXPERTS if EXPERTS.fullmatch(key) else None
        if limit is None or value <= limit:
            continue
        for lists in ("drop", "fit"):
            tried = with_value(values, path, limit, lists=lists)
            try:
                values = as_dict(make(cls, tried))
                break
            except Exception:
                continue
    return values


def probes(path: str, value: Any) -> Iterator[tuple[Any, ...]]:
    """Groups of values to try in the place of one: of each group, the first that can be built counts."""
    key = path.rpartition(".")[2]
    if isinstance(value, bool):
        yield (not value,)
    elif isinstance(value, int):
        if SIZES.fullmatch(key) or value > 12:
            yield value * 2, value + 1, value * 3, value // 2
            yield value * 3, value + 2, value // 2
        else:
            yield value + 1, value * 2
            yield value + 2, value * 3, value * 2
            if value > 1:
                yield value - 1, value // 2
    elif isinstance(value, float):
        if FLOATS.search(key):
            yield (0.0 if 0 < value < 1 else 0.1 if not value else value * 2 if value < 4 else value / 2,)
    elif isinstance(value, str):
        if value in ACT2CLS:
            yield ("relu" if value != "relu" else "gelu",)
        yield from ((v,) for v in STRINGS.get(key, ()) if v != value)
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


FLOATS = re.compile(r"drop_path|scale|ratio|factor|multiplier|expand")
# What shapes no module: not worth a build.
IGNORED = re.compile(
    r".*(_token_id|_token_ids|_token_index|_token|_eps|epsilon|dropout|dropout_prob|layerdrop|_loss|_loss_coef|theta)|use_cache"
    r"|initializer_.*|init_.*|mask_time.*|mask_feature.*|return_.*|output_.*|problem_type|.*_std|architectures"
    r"|router_aux.*|torchscript|pad_index|.*_index|pruned_heads|layer_norm_eps|ctc_.*|.*_cost|.*_weight|transformers_version"
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
    "position_embedding_type": ("absolute", "relative_key", "relative_key_query"),
    "hidden_act": (),
    "layer_norm_type": ("layer_norm", "rms_norm"),
    "pooling_type": ("mean", "max"),
    "feed_forward_proj": ("relu", "gated-gelu"),
    "problem_type": (),
    "norm_layer": ("batch_norm", "group_norm"),
    "summary_type": ("first", "last", "cls_index"),
    "conv_pos_kernel": (),
    "layer_type": ("basic", "bottleneck", "preactivation"),
    "global_padding": (None, "same"),
    "embedding_type": (),
}
NULLS = {
    "head_dim": (16,), "n_inner": (64,), "num_key_value_heads": (2,), "q_lora_rank": (8,), "kv_lora_rank": (8,),
    "classifier_dropout": (0.1,), "adapter_attn_dim": (8,), "summary_proj_to_labels": (True,), "embedding_size": (16,),
    "pos_att_type": (["c2p", "p2c"],), "n_shared_experts": (1,), "moe_layer_freq": (), "word_embed_proj_dim": (16,),
    "hidden_size_per_layer_input": (8,), "shared_expert_intermediate_size": (8,), "conv_kernel": (), "projection_dim": (16,),
    "intermediate_size": (64,), "decoder_layers": (2,), "mlp_layers": (2,), "lm_head_bias": (True,), "rotary_dim": (8,),
    "vocab_size_per_layer_input": (64,), "multi_query": (True,), "num_experts": (2,), "num_local_experts": (2,),
    "use_qk_norm": (True,), "qk_layernorm": (True,), "attention_bias": (True,), "mlp_bias": (True,), "use_bias": (True,),
    "qkv_bias": (True,), "pruned_heads": (), "layerscale_value": (0.1,), "num_pooler": (), "sliding_window": (8,),
}  # fmt: skip
