"""Build models of transformers without weights, with many configs, and write down their modules."""

from __future__ import annotations

import contextlib
import copy
import functools
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn
from transformers.activations import ACT2CLS
from transformers.pytorch_utils import Conv1D

from adapterlint.base.architectures.defaults import default_config

KINDS = (
    ("e", nn.Embedding), ("l", nn.Linear), ("g", Conv1D), ("1", nn.Conv1d), ("2", nn.Conv2d), ("3", nn.Conv3d),
    ("a", nn.MultiheadAttention), ("m", (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)),
)  # fmt: skip
SECONDS = 90


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

    from transformers.models.videomae import modeling_videomae as videomae

    # Made number by number, half a minute long; its values are no part of the model that is looked at.
    videomae.get_sinusoid_encoding_table = lambda positions, width: torch.zeros(1, positions, width)

    warnings.simplefilter("ignore")


def kind_of(module: nn.Module) -> str:
    """The letter of a module's kind (see `KINDS` of adapterlint/base/grow.py)."""
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
    """What is written down of a module and those below it."""
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
    """Raise `TimeoutError` in what takes longer."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"not built within {seconds} seconds")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def own_config(cls: Any, config: Any) -> Any:
    """The config that the auto classes give a class: of a model of several, the nested one of its type."""
    own = getattr(cls, "config_class", None)
    if own is None or isinstance(config, own):
        return config
    return next((c for c in vars(config).values() if type(c) is own), config)


def build(cls: Any, config: Any, seconds: int = SECONDS) -> nn.Module:
    """A model on the meta device; on the CPU, without initialisation, where a constructor needs numbers."""
    with deadline(seconds):
        config = own_config(cls, copy.deepcopy(config))
        try:
            with torch.device("meta"):
                model = cls._from_config(config)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            if "meta" not in str(error).lower():
                raise
            with torch.device("cpu"):
                model = cls._from_config(config)
        with contextlib.suppress(AttributeError):
            model.tie_weights()
    return model


def observed(model: nn.Module) -> Model:
    """What is written down of a model."""
    names: dict[int, str] = {}
    aliases: dict[str, str] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        if id(module) in names:
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
        if not path or not where or not isinstance(module, transformers.PreTrainedModel):
            continue
        if not any(path.startswith(p + ".") and where == w for p, _, w in found):
            found.append([path, type(module).__name__, where])
    return found


@functools.lru_cache
def is_composite(model_type: str) -> bool:
    """Whether configs of the type hold configs of others."""
    try:
        values = default_config(model_type).to_dict()
    except Exception:
        return False
    return any(isinstance(v, dict) and "model_type" in v for v in values.values())


def activations() -> dict[str, str]:
    """Name of an activation in a config -> the class of its module."""
    return {name: (c[0] if isinstance(c, tuple) else c).__name__ for name, c in ACT2CLS.items()}


# What PEFT calls the tasks, and the mappings that the auto classes for them use.
TASKS = {
    "CAUSAL_LM": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "SEQ_2_SEQ_LM": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "SEQ_CLS": "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    "TOKEN_CLS": "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
    "QUESTION_ANS": "MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES",
    "FEATURE_EXTRACTION": "MODEL_MAPPING_NAMES",
}


def tasks() -> dict[str, dict[str, str]]:
    """Model type -> task -> the class that its auto class builds."""
    from transformers.models.auto import modeling_auto

    found: dict[str, dict[str, str]] = {}
    for task, name in TASKS.items():
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
    checked = "If" if getattr(operation, "check_dims", False) else ""  # only if the model has it the other way
    return [type(operation).__name__ + checked, *values]


def _scope(transform: Any) -> list[str] | None:
    if transform.scope_prefix is None:
        return None
    scope = f"{transform.scope_prefix}." if transform.scope_prefix else ""
    base = f"{transform.base_model_prefix}." if transform.base_model_prefix else ""
    return list(dict.fromkeys([base + scope, scope]))
