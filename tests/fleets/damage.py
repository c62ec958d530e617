"""What goes wrong with saved adapters between training and loading, one function a kind."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

PREFIX = "base_model.model."
TUNERS = ("lora_", "ia3_", "hada_", "lokr_", "oft_")
SWAPS = [
    ("q_proj", "k_proj"),
    ("query", "key"),
    ("layers.1", "layers.7"),
    ("layer.0", "layer.9"),
    ("h.0", "h.8"),
    ("self_attn", "attention"),
    ("lora_A", "lora_a"),
    ("lora_A", "lora_B"),
    ("model.layers", "layers"),
]
OF_BASES: dict[str, tuple[int, ...]] = {
    "lm_head.weight": (64, 16),
    "model.norm.weight": (16,),
    "model.embed_tokens.weight": (64, 16),
    "transformer.wte.weight": (64, 16),
    "classifier.bias": (3,),
    "score.weight": (3, 16),
    "model.layers.0.self_attn.q_proj.weight": (16, 16),
    "transformer.ln_f.bias": (16,),
}
LOSABLE = (
    "r",
    "target_modules",
    "task_type",
    "modules_to_save",
    "trainable_token_indices",
    "token_indices",
    "bias",
    "rank_pattern",
    "init_lora_weights",
)
FLAGS = (
    "use_dora",
    "use_rslora",
    "lora_bias",
    "fan_in_fan_out",
    "ensure_weight_tying",
    "inference_mode",
    "save_projection",
    "save_only_topk_weights",
    "decompose_both",
)
TASKS = (
    "SEQUENCE_CLASSIFICATION",
    "causal_lm",
    None,
    "CAUSAL_LM",
    "SEQ_CLS",
    "TOKEN_CLS",
    "SEQ_2_SEQ_LM",
    "QUESTION_ANS",
    "FEATURE_EXTRACTION",
)
Tensors = dict[str, torch.Tensor]


@dataclass(slots=True)
class Saved:
    """A saved adapter, to be changed in place."""

    name: str
    config: dict[str, Any]
    tensors: Tensors
    rng: random.Random

    def one(self, keys: list[str]) -> str:
        return self.rng.choice(sorted(keys))

    def rename(self, change: Callable[[str], str]) -> bool:
        renamed = {change(key): value for key, value in self.tensors.items()}
        changed = renamed.keys() != self.tensors.keys()
        self.tensors = renamed
        return changed

    def listed(self, key: str) -> list[Any]:
        """The list in the config under a key, empty if there is none."""
        value = self.config.get(key)
        return value if isinstance(value, list) else []

    def change(self, key: str, *values: Any) -> bool:
        """Set a key that the config has to one of the values; False if that changes nothing."""
        value = self.rng.choice(values)
        if key not in self.config or self.config[key] == value:
            return False
        self.config[key] = value
        return True


Damage = Callable[[Saved], bool]
DAMAGES: dict[str, Damage] = {}


def damage(function: Damage) -> Damage:
    DAMAGES[function.__name__.replace("_", "-")] = function
    return function


def apply(saved: Saved) -> str | None:
    """Damage the adapter in a random way; None if that way does not apply to it."""
    kind = saved.rng.choice(list(DAMAGES))
    return kind if DAMAGES[kind](saved) else None


# ------------------------------------------------------------------------------------------------------------- tensors


@damage
def tensor_lost(saved: Saved) -> bool:
    del saved.tensors[saved.one(list(saved.tensors))]
    return True


@damage
def layer_lost(saved: Saved) -> bool:
    layer = saved.rng.choice([".0.", ".1."])
    lost = [key for key in saved.tensors if layer in key]
    for key in lost:
        del saved.tensors[key]
    return bool(lost)


@damage
def auxiliary_lost(saved: Saved) -> bool:
    keys = [key for key in saved.tensors if not any(mark in key for mark in TUNERS)]
    if not keys or len(keys) == len(saved.tensors):
        return False
    for key in keys if saved.rng.random() < 0.4 else [saved.one(keys)]:
        del saved.tensors[key]
    return True


@damage
def nothing_left(saved: Saved) -> bool:
    saved.tensors = {}
    return True


@damage
def wrapper_in_key(saved: Saved) -> bool:
    wrapper = saved.rng.choice(["module.", "_orig_mod.", "model."])
    if saved.rng.random() < 0.6:
        return saved.rename(lambda key: wrapper + key)
    return saved.rename(lambda key: key.replace(PREFIX, PREFIX + wrapper))


@damage
def prefix_stripped(saved: Saved) -> bool:
    return saved.rename(lambda key: key.removeprefix(PREFIX))


@damage
def prefix_halved(saved: Saved) -> bool:
    return saved.rename(lambda key: key.removeprefix("base_model."))


@damage
def prefix_doubled(saved: Saved) -> bool:
    return saved.rename(lambda key: PREFIX + key)


@damage
def name_in_key(saved: Saved) -> bool:
    name = saved.rng.choice([saved.name, "default"])
    return saved.rename(lambda key: key.replace(".weight", f".{name}.weight") if "lora_" in key else key)


@damage
def wrapper_of_saved_module_in_key(saved: Saved) -> bool:
    inner = saved.rng.choice(["modules_to_save", "modules_to_save.default", "original_module"])
    plain = [key for key in saved.tensors if key.endswith((".weight", ".bias")) and "lora_" not in key]
    return saved.rename(lambda key: f".{inner}.".join(key.rsplit(".", 1)) if key in plain else key)


@damage
def other_module_in_key(saved: Saved) -> bool:
    old, new = saved.rng.choice(SWAPS)
    return saved.rename(lambda key: key.replace(old, new))


@damage
def tensor_of_nothing(saved: Saved) -> bool:
    key = saved.rng.choice(["extra.lora_A.weight", "lora_B.weight", "model.layers.0.scale", "optimizer_state"])
    saved.tensors[PREFIX + key] = torch.zeros(2, 3)
    return True


@damage
def tensor_of_the_base(saved: Saved) -> bool:
    key = saved.rng.choice(list(OF_BASES))
    shape = OF_BASES[key]
    if PREFIX + key in saved.tensors:
        return False
    saved.tensors[PREFIX + key] = torch.full(shape, 0.5)
    return True


@damage
def transposed(saved: Saved) -> bool:
    matrices = [key for key, value in saved.tensors.items() if value.ndim == 2]
    if not matrices:
        return False
    key = saved.one(matrices)
    saved.tensors[key] = saved.tensors[key].T.contiguous()
    return True


@damage
def resized(saved: Saved) -> bool:
    """A vocabulary that grew, a head with other labels."""
    key = saved.one(list(saved.tensors))
    value = saved.tensors[key]
    if not value.ndim:
        return False
    saved.tensors[key] = torch.cat([value, value[:1]]) if saved.rng.random() < 0.6 else value[:-1].clone()
    return bool(saved.tensors[key].numel())


@damage
def other_dtype(saved: Saved) -> bool:
    dtype = saved.rng.choice([torch.float16, torch.bfloat16])
    saved.tensors = {k: v.to(dtype) if v.is_floating_point() else v for k, v in saved.tensors.items()}
    return True


# -------------------------------------------------------------------------------------------------------------- config


@damage
def rank(saved: Saved) -> bool:
    key = "init_r" if "init_r" in saved.config else "r"
    return bool(saved.config.get(key)) and saved.change(key, saved.config[key] + saved.rng.choice([1, 2, -1]))


@damage
def key_lost(saved: Saved) -> bool:
    keys = [key for key in LOSABLE if saved.config.get(key)]
    return bool(keys) and saved.config.pop(saved.one(keys)) is not None


@damage
def module_not_listed(saved: Saved) -> bool:
    return saved.change("modules_to_save", None)


@damage
def module_without_tensor(saved: Saved) -> bool:
    names = ["lm_head", "norm", "classifier", "embed_tokens", "score", "mlp", "nothing", "layers"]
    return saved.change("modules_to_save", [*saved.listed("modules_to_save"), saved.rng.choice(names)])


@damage
def modules_as_text(saved: Saved) -> bool:
    return saved.change("modules_to_save", "lm_head", "classifier", "norm", "score")


@damage
def modules_twice(saved: Saved) -> bool:
    return saved.change("modules_to_save", saved.listed("modules_to_save") * 2)


@damage
def token_added(saved: Saved) -> bool:
    key = "token_indices" if "token_indices" in saved.config else "trainable_token_indices"
    found = saved.config.get(key)
    rows = next(iter(found.values()), []) if isinstance(found, dict) else found
    if not rows:
        return False
    rows.append(saved.rng.choice([15, rows[0]]))
    return True


@damage
def token_out_of_range(saved: Saved) -> bool:
    key = "token_indices" if "token_indices" in saved.config else "trainable_token_indices"
    rows = saved.listed(key)
    if not rows:
        return False
    rows[-1] = saved.rng.choice([64, 1000, -1])
    return True


@damage
def tokens_of_other_module(saved: Saved) -> bool:
    rows = saved.listed("trainable_token_indices")
    return bool(rows) and saved.change(
        "trainable_token_indices", {"nothing": rows}, {"lm_head": rows}, {"embed_tokens": rows}, {"norm": rows}
    )


@damage
def fewer_targets(saved: Saved) -> bool:
    targets = saved.listed("target_modules")
    return len(targets) > 1 and saved.change("target_modules", targets[:1])


@damage
def more_targets(saved: Saved) -> bool:
    added = ["o_proj", "k_proj", "key", "fc2", "k", "nothing", "c_proj", "mlp", "dense", "lm_head"]
    return saved.change("target_modules", [*saved.listed("target_modules"), saved.rng.choice(added)])


@damage
def targets_of_nothing(saved: Saved) -> bool:
    wrong = (["nothing"], "q_proj", ["all-linear"], [], None, r"q_proj|v_proj", "query", "(")
    return saved.change("target_modules", *wrong)


@damage
def targets_as_pattern(saved: Saved) -> bool:
    targets = saved.listed("target_modules")
    return bool(targets) and saved.change("target_modules", ".*(" + "|".join(map(str, targets)) + ")", "all-linear")


@damage
def excluded(saved: Saved) -> bool:
    targets = saved.listed("target_modules")
    return bool(targets) and saved.change("exclude_modules", targets[:1], r".*\.0\..*", targets)


@damage
def other_layers(saved: Saved) -> bool:
    return saved.change("layers_to_transform", [0], [1], 7, [-1], [0, 1])


@damage
def more_patterns(saved: Saved) -> bool:
    key = saved.rng.choice(["alpha_pattern", "rank_pattern"])
    names = ("q_proj", "^q_proj", "layers.0.self_attn.v_proj", "query", "nothing")
    return saved.change(key, *({name: 5} for name in names))


@damage
def flag(saved: Saved) -> bool:
    flags = [key for key in FLAGS if key in saved.config]
    if not flags:
        return False
    key = saved.one(flags)
    return saved.change(key, not saved.config[key])


@damage
def bias(saved: Saved) -> bool:
    return saved.change("bias", "none", "all", f"{saved.config['peft_type'].lower()}_only", "some")


@damage
def initialisation(saved: Saved) -> bool:
    ways = ["pissa", "olora", "gaussian", "orthogonal", "loftq", "eva", "corda", "nonsense", False, "pissa_niter_2"]
    return saved.change("init_lora_weights", *ways)


@damage
def unknown_key(saved: Saved) -> bool:
    saved.config[saved.rng.choice(["hyper_drive", "lora_magic", "_comment"])] = saved.rng.choice([True, {}, "x"])
    return True


@damage
def method(saved: Saved) -> bool:
    kind = saved.config["peft_type"]
    others = ["BONE", "MISS", "IA3", "LORA", "ADALORA", "TOMORROW", "PROMPT_TUNING"]
    other = saved.rng.choice([None, kind.lower(), *others])
    if other is None:
        del saved.config["peft_type"]
        return True
    return saved.change("peft_type", other)


@damage
def task(saved: Saved) -> bool:
    return saved.change("task_type", *TASKS)


@damage
def replication(saved: Saved) -> bool:
    return saved.rng.random() < 0.5 and saved.change("layer_replication", [[0, 2], [0, 2]], [[0, 1], [0, 1]])


@damage
def parameters(saved: Saved) -> bool:
    named = ["mlp.experts.down_proj"], ["experts.gate_up_proj"], ["q_proj.weight"]
    return saved.change("target_parameters", None, *named)


@damage
def virtual_tokens(saved: Saved) -> bool:
    return "num_virtual_tokens" in saved.config and saved.change("num_virtual_tokens", 2, 5)


@damage
def shared_projection(saved: Saved) -> bool:
    return saved.change("projection_prng_key", 1, 99)
