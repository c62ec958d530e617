"""Experts of X-LoRA, which its config names by paths, and what goes wrong with methods of the special mix."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from damage import Saved

FOLDER = "experts"
NOWHERE = ("./missing/math", "/data/loras/math", "checkpoints/x-lora/math/final")  # none of these can be a Hub id
_UNCACHED = ("llama-uncached", "llama-cls-uncached", "mistral-uncached", "qwen2-uncached", "gemma-uncached")
HOMES = {
    "ADAPTION_PROMPT": ("llama", "llama-cls-uncached", "mistral", "mistral-cls", "gpt2", "gpt2-tok"),
    "XLORA": (*_UNCACHED, "opt-uncached", "phi3-uncached"),
}
"""Bases on which a method works, where it does not on most."""
ELSEWHERE = ("llama", "mistral", "gpt2", *_UNCACHED)


def paths_of(config: dict[str, Any]) -> list[str]:
    """The paths under which a saved config names experts that were made for it."""
    adapters = config.get("adapters")
    paths = adapters.values() if isinstance(adapters, dict) else ()
    return [path for path in paths if isinstance(path, str) and path.startswith(f"{FOLDER}/")]


def make_experts(folder: Path, config: Any, rng: random.Random, train: Callable[[Path, str], None]) -> None:
    """Train what an X-LoRA config mixes, and write the paths into it.

    Args:
        folder: Where the fleet is.
        train: Trains an adapter of a method and saves it in a folder.
    """
    for number, name in enumerate(config.adapters):
        path = f"{FOLDER}/{rng.randrange(10**6)}-{number}"
        train(folder / path, "PLAIN" if rng.random() < 0.85 else "LORA")
        config.adapters[name] = path


def replace_expert(
    folder: Path, config: dict[str, Any], rng: random.Random, train: Callable[[Path, str], None]
) -> bool:
    """Put another adapter in the place of an expert: of any options, or of another method."""
    paths = paths_of(config)
    if not paths:
        return False
    path = folder / rng.choice(paths)
    method = rng.choice(["LORA", "LORA", "LORA", "IA3", "LOHA"])
    kept = path.rename(path.with_suffix(".kept"))
    try:
        train(path, method)
    except Exception:  # a config that the base refuses
        kept.rename(path)
        return False
    shutil.rmtree(kept)
    return True


def _change(key: str, *values: Any) -> Callable[[Saved], bool]:
    return lambda saved: saved.change(key, *values)


def _nowhere(saved: Saved) -> bool:
    names = list(saved.config["adapters"])
    if names:
        saved.config["adapters"][saved.rng.choice(names)] = saved.rng.choice(NOWHERE)
    return bool(names)


def _renamed(saved: Saved) -> bool:
    saved.config["adapters"] = {f"expert-{name}": path for name, path in saved.config["adapters"].items()}
    return True


def _fewer(saved: Saved) -> bool:
    adapters = saved.config["adapters"]
    if adapters:
        del adapters[saved.rng.choice(list(adapters))]
    return True


def _lost(part: str) -> Callable[[Saved], bool]:
    def lose(saved: Saved) -> bool:
        keys = [key for key in saved.tensors if part in key]
        if keys:
            del saved.tensors[saved.one(keys)]
        return bool(keys)

    return lose


def _longer(part: str) -> Callable[[Saved], bool]:
    def grow(saved: Saved) -> bool:
        keys = [key for key in saved.tensors if part in key and saved.tensors[key].dim() > 1]
        if keys:
            key = saved.one(keys)
            saved.tensors[key] = torch.cat([saved.tensors[key], saved.tensors[key][-1:]])
        return bool(keys)

    return grow


def _named(saved: Saved) -> bool:
    return saved.rename(lambda key: f"{key}.{saved.name}")


def _moved(saved: Saved) -> bool:
    return saved.rename(lambda key: key.replace(".default.", f".{saved.name}.").replace("self_attn", "attn"))


HARMS: dict[str, dict[str, Callable[[Saved], bool]]] = {
    "ADAPTION_PROMPT": {
        "length": _change("adapter_len", 3, None),
        "layers": _change("adapter_layers", 1, 3, 9, 0, None),
        "targets": _change("target_modules", "attn", "mlp", "self_attn", "attention", None),
        "task": _change("task_type", None, "CAUSAL_LM", "SEQ_CLS", "TOKEN_CLS"),
        "gate-lost": _lost("adaption_gate"),
        "prompt-lost": _lost("adaption_prompt"),
        "named": _named,
        "moved": _moved,
    },
    "XLORA": {
        "nowhere": _nowhere,
        "renamed": _renamed,
        "fewer": _fewer,
        "width": _change("hidden_size", 8, None),
        "depth": _change("xlora_depth", 1, 2, 0),
        "size": _change("xlora_size", 4),
        "layerwise": _change("layerwise_scalings", True, False),
        "none": _change("adapters", None, {}, ["0"]),
        "task": _change("task_type", None, "CAUSAL_LM", "SEQ_CLS"),
        "bias-lost": _lost("bias"),
        "longer": _longer("weight"),
    },
    "SHADOW": {
        "rank": _change("r", 3, 0),
        "depth": _change("shadow_num_hidden_layers", 1, 2),
        "width": _change("shadow_hidden_size", 8, 16, None),
        "inner": _change("shadow_intermediate_size", 24, 32, None),
        "heads": _change("shadow_num_attention_heads", 1, 2),
        "sharing": _change("share_embeddings", True, False),
        "update": _change("update_hidden_size", 3, None),
        "model": _change("shadow_model", "./missing/shadow/model"),
        "task": _change("task_type", None, "CAUSAL_LM", "SEQ_CLS"),
        "backbone-lost": _lost("shadow_backbone"),
        "gate-lost": _lost("shadow_update_gate"),
        "longer": _longer("shadow_up"),
        "named": _moved,
    },
    "FROD": {
        "key": _change("projection_prng_key", 7, 0),
        "saved": _change("save_projection", True, False),
        "rate": _change("sparse_rate", 0.2, 0.1, 0),
        "lambda-lost": _lost("frod_lambda_l"),
        "projection-lost": _lost("frod_V"),
        "offload": _change("runtime_offload_base_weight", True),
    },
}


def harm(saved: Saved) -> str | None:
    """Damage an adapter of the special methods in a way of its own; None if that does not apply."""
    harms = HARMS[saved.config["peft_type"]]
    kind = saved.rng.choice(list(harms))
    return kind if harms[kind](saved) else None
