"""Which files of a folder PEFT reads weights from, which it does not, and what it finds in them.

`load_peft_weights` (utils/save_and_load.py, every release) knows two names and no shards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from adapterlint.adapter import Adapter, Files
from adapterlint.base.tree import Shape
from adapterlint.formats import BASE_WEIGHTS, CONFIG, MODEL_CONFIG, WEIGHTS
from adapterlint.peft.layout import layout
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.refused import Refused

HUB_ID = re.compile(r"(?!.*(--|\.\.))(?!.*\.git$)([\w.-]+/)?[\w.-]{1,96}")
"""`validate_repo_id` of huggingface_hub: a path that is not of this form is looked for on this machine only."""
SUFFIXES = (".safetensors", ".safetensors.header", ".bin", ".pt", ".pth", ".ckpt")
_OURS = ("adapter", "lora", "peft")  # in a name: the weights of an adapter, whatever else the folder is

# What trainers and other libraries write beside an adapter, and what a whole model is called, by the beginning.
_BESIDE = (
    *("optimizer", "scheduler", "scaler", "rng_state", "random_states", "sampler", "training_args", "trainer_state"),
    *("non_lora_trainables", "new_embeddings", "value_head", "v_head", "mm_projector", "tokenizer"),
    *("zero_pp_rank", "mp_rank", "bf16_zero", "."),
)
_MODELS = ("model", "pytorch_model", "consolidated")


def tensors_in(adapter: Adapter) -> Mapping[str, Shape]:
    """`load_peft_weights`: the tensors of an adapter's file.

    Raises:
        Refused: There is none, or it cannot be read.
    """
    if adapter.header is not None:
        return {name: tensor.shape for name, tensor in adapter.header.tensors.items()}
    broken = adapter.unreadable.get("weights")
    if broken is None or broken.gone:
        raise Refused("ValueError", f"Can't find weights for {adapter.path}", cause="weights")
    error = "OSError" if broken.kind == "io" else "SafetensorError"
    raise Refused(error, broken.message, cause="weights")


def parameters_in(adapter: Adapter, config: OpenedConfig) -> dict[str, dict[tuple[str, str], Shape]]:
    """What the file has of the method's parameters, by module."""
    if adapter.header is None or config.prompt_learning:
        return {}
    found: dict[str, dict[tuple[str, str], Shape]] = {}
    for module, parameters in layout(adapter.header.tensors, config.peft_type).tuned.items():
        for name, tensor in parameters.items():
            attribute, dot, rest = name.removeprefix("base_layer.").partition(".")
            found.setdefault(module, {})[attribute, dot + rest] = tensor.shape
    return found


def has_weights(adapter: Adapter) -> bool:
    """Whether PEFT would find weights, readable or not (or the argument named a file)."""
    return adapter.header is not None or "weights" in adapter.unreadable or any(w in adapter.files for w in WEIGHTS)


def is_saved(adapter: Adapter) -> bool:
    """Whether the config was written beside weights: `save_pretrained` always sets `inference_mode`."""
    return adapter.config is not None and adapter.config.get("inference_mode") is True


def is_recipe(adapter: Adapter) -> bool:
    """Whether the config is one for a training that is yet to run: it was not saved, and there are no weights."""
    return not is_saved(adapter) and not has_weights(adapter)


def misnamed_weights(adapter: Adapter) -> tuple[str, ...]:
    """Files that hold the adapter's weights under a name that PEFT does not look for, where it finds none.

    Without a word of the adapter in its name, a file counts only where the config was saved beside weights.
    """
    if CONFIG not in adapter.files or has_weights(adapter):
        return ()
    names = [n for n in adapter.files if n.endswith(SUFFIXES) and not n.lower().startswith(_BESIDE)]
    telling = tuple(n for n in names if any(word in n.lower() for word in _OURS))
    if telling or not is_saved(adapter):
        return telling
    return tuple(n for n in names if not n.lower().startswith(_MODELS))


def model_files(files: Files) -> tuple[str, ...]:
    """The files of a whole model that transformers would load from the folder; none without its `config.json`."""
    if MODEL_CONFIG not in files:
        return ()
    return tuple(n for n in files if BASE_WEIGHTS.fullmatch(n))
