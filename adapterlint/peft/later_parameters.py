"""The parameters that the methods of 2024 to 2026 make on a linear layer: `update_layer` in `peft/tuners/*/layer.py`.

Each entry says which parameters one adapter has, of which shape, and which of them leave it without effect as long as
they are as initialised. Sizes are those of the linear layer, `None` where they are not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapterlint.base.tree import Kind
from adapterlint.peft.refused import Refused
from adapterlint.peft.tuner_parameters import Site
from adapterlint.peft.wrappers import Tuned

_Shape = tuple[int | None, ...]
_Names = Mapping[tuple[str, str], _Shape]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What shapes are made of: the config, and the features of a linear layer."""

    config: Mapping[str, Any]
    inputs: int | None
    outputs: int | None

    @property
    def smaller(self) -> int | None:
        """The smaller number of features."""
        return None if self.inputs is None or self.outputs is None else min(self.inputs, self.outputs)

    def part(self, features: int | None, of: Any) -> int | None:
        """How many blocks of a size the features have."""
        return features // of if features is not None and isinstance(of, int) and of else None


def _factors(prefix: str) -> Callable[[Sizes], _Names]:
    """Two factors of a rank: `A` takes the inputs, `B` gives the outputs."""

    def names(s: Sizes) -> _Names:
        r = s.config.get("r")
        return {(f"{prefix}_A", ""): (r, s.inputs), (f"{prefix}_B", ""): (s.outputs, r)}

    return names


def _spectrum(attribute: str) -> Callable[[Sizes], _Names]:
    return lambda s: {(attribute, ""): (s.config.get("n_frequency"),)}


def _delora(s: Sizes) -> _Names:
    return {**_factors("delora")(s), ("delora_lambda", ""): (1,), ("delora_w_norm", ""): (s.inputs,)}


def _road(s: Sizes) -> _Names:
    double = {"road_1": 1, "road_2": 2, "road_4": 4}.get(s.config.get("variant", ""))
    size = s.outputs * double // 2 if s.outputs is not None and double else None
    return {("road_theta", ""): (size,), ("road_alpha", ""): (size,)}


def _shira(s: Sizes) -> _Names:
    r, size = s.config.get("r"), None
    if s.inputs is not None and s.outputs is not None and isinstance(r, int):
        size = r * (s.inputs + s.outputs)
    # The indices are no parameter: PEFT takes them out of the file by itself, whatever their shape.
    return {("shira_weight", ""): (size,), ("shira_indices", ""): (None,)}


def _c3a(s: Sizes) -> _Names:
    block = s.config.get("block_size")
    return {("c3a_kernel", ""): (s.part(s.outputs, block), s.part(s.inputs, block), block)}


def _miss(s: Sizes) -> _Names:
    r, init = s.config.get("r"), s.config.get("init_weights", True)
    if init == "bat":
        return {("miss_block", ""): (s.part(s.outputs, r), r, r)}
    return {("miss_block", ""): (r, s.config.get("mini_r") if init == "mini" else s.outputs)}


def _gralora(s: Sizes) -> _Names:
    r, k, hybrid = (s.config.get(key) for key in ("r", "gralora_k", "hybrid_r"))
    found: dict[tuple[str, str], _Shape] = {
        ("gralora_A", ""): (k, s.part(s.inputs, k), r),
        ("gralora_B", ""): (k, r, s.part(s.outputs, k)),
    }
    if hybrid:
        found["gralora_A_general", ".weight"] = (hybrid, s.inputs)
        found["gralora_B_general", ".weight"] = (s.outputs, hybrid)
    return found


def _randlora(s: Sizes) -> _Names:
    r = s.config.get("r")
    bases = math.ceil(s.smaller / r) if s.smaller is not None and isinstance(r, int) and r > 0 else None
    return {("randlora_lambda", ""): (r, bases), ("randlora_gamma", ""): (bases, s.smaller)}


def _pvera(s: Sizes) -> _Names:
    r = s.config.get("r")
    return {("pvera_lambda_b", ""): (s.outputs,), ("pvera_lambda_d", ""): (2 * r if isinstance(r, int) else None,)}


def _osf(s: Sizes) -> _Names:
    kept, low = s.config.get("effective_rank"), None
    if s.smaller is not None:
        if kept is None or (isinstance(kept, float) and 0 < kept <= 1):  # a share of the ranks
            kept = int(s.smaller * (0.5 if kept is None else kept))
        low = s.smaller - max(min(int(kept), s.smaller), 0)
    shapes = {"U_low": (s.outputs, low), "S_low": (low,), "V_low": (low, s.inputs)}
    return {("osf_svd_params", f".{name}"): shape for name, shape in shapes.items()}


def _psoft(s: Sizes) -> _Names:
    r = s.config.get("r")
    turned = r * (r - 1) // 2 if isinstance(r, int) else None
    found: dict[tuple[str, str], _Shape] = {("psoft_R", ".weight"): (turned,) if s.config.get("psoft_orth") else (r, r)}
    for key, name in (("psoft_mag_b", "vector_b"), ("psoft_mag_a", "vector_a")):
        if s.config.get(key):
            found["psoft_R", f".{name}"] = (r,)
    return found


def _deft(s: Sizes) -> _Names:
    r = s.config.get("r")
    found: dict[tuple[str, str], _Shape] = {("deft_P", ""): (s.outputs, r)}
    if not s.config.get("para"):
        found["deft_R", ""] = (r, s.inputs)
    return found


def _lily(s: Sizes) -> _Names:
    r, count = s.config.get("r"), s.config.get("num_B")
    both = r * count if isinstance(r, int) and isinstance(count, int) else None
    shapes = {"lily_A": (r, s.inputs), "lily_B": (both, s.outputs), "lily_router": (count, r)}
    return {(attribute, ".weight"): shape for attribute, shape in shapes.items()}


def _peanut(s: Sizes) -> _Names:
    r, depth = s.config.get("r"), s.config.get("depth")
    found: dict[tuple[str, str], _Shape] = {
        ("peanut_A", ".weight"): (r, s.outputs),
        ("peanut_B", ".weight"): (s.outputs, r),
    }
    for i in range(min(depth, 64) if isinstance(depth, int) else 0):
        found["peanut_encoders", f".{i}.weight"] = found["peanut_decoders", f".{i}.weight"] = (r, r)
    return found


def _poly(s: Sizes) -> _Names:
    r, tasks, skills, splits = (s.config.get(key) for key in ("r", "n_tasks", "n_skills", "n_splits"))
    logits = splits * skills if isinstance(splits, int) and isinstance(skills, int) else None
    return {
        ("poly_lora_A", ""): (splits, skills, s.part(s.inputs, splits), r),
        ("poly_lora_B", ""): (splits, skills, r, s.part(s.outputs, splits)),
        ("poly_router", ".module_logits"): (tasks, logits),
    }


def _supertuning(s: Sizes) -> _Names:
    kept, r, size = s.config.get("sparsity"), s.config.get("r"), None
    if s.inputs is not None and s.outputs is not None and isinstance(kept, float | int):
        size = int(s.inputs * s.outputs * (1 - kept))
    found: dict[tuple[str, str], _Shape] = {("supertuning_values", ""): (size,)}
    if s.config.get("save_precomputed_indices"):
        found["supertuning_indices", ""] = (size,)
    if r is not None:
        found["supertuning_lora_A", ".weight"] = (r, s.inputs)
        found["supertuning_lora_B", ".weight"] = (s.outputs, r)
    return found


_PARAMETERS: Mapping[str, Callable[[Sizes], _Names]] = {
    "BEFT": lambda s: {("beft_bias", ""): (1, s.outputs)},
    "C3A": _c3a,
    "DEFT": _deft,
    "DELORA": _delora,
    "FOURIERFT": _spectrum("fourierft_spectrum"),
    "GRALORA": _gralora,
    "HIRA": _factors("hira"),
    "HIRA of embeddings": _factors("hira_embedding"),
    "LILY": _lily,
    "MISS": _miss,
    "OSF": _osf,
    "PEANUT": _peanut,
    "POLY": _poly,
    "PSOFT": _psoft,
    "PVERA": _pvera,
    "RANDLORA": _randlora,
    "ROAD": _road,
    "SHIRA": _shira,
    "SUPERTUNING": _supertuning,
    "WAVEFT": _spectrum("waveft_spectrum"),
}
_NEUTRAL: Mapping[str, tuple[str, ...]] = {
    "BEFT": ("beft_bias",),
    "DELORA": ("delora_B",),
    "FOURIERFT": (),
    "GRALORA": ("gralora_B", "gralora_B_general"),
    "HIRA": ("hira_B",),
    "HIRA of embeddings": ("hira_embedding_B",),
    "LILY": ("lily_B",),
    "MISS": ("miss_block",),
    "OSF": ("osf_svd_params",),
    "PEANUT": ("peanut_B",),
    "PSOFT": ("psoft_R",),
    "PVERA": ("pvera_lambda_b",),
    "RANDLORA": ("randlora_lambda",),
    "ROAD": ("road_theta", "road_alpha"),
    "SHIRA": ("shira_weight",),
    "SUPERTUNING": ("supertuning_values", "supertuning_lora_B"),
    "WAVEFT": ("waveft_spectrum",),
}
"""Method -> attributes without effect as they are initialised, if `init_weights` is as by default."""


def later(site: Site) -> Tuned:
    """The parameters of one adapter of a later method on a linear layer.

    Raises:
        Refused: The ranks of a pattern are not positive.
    """
    method = site.config.peft_type
    inputs, outputs = site.features
    config = dict(site.config)
    for key, patterns in _PATTERNS.items():
        if isinstance(config.get(patterns), dict):
            config[key] = site.pattern(patterns, config.get(key))
    if method == "HIRA" and site.module.kind is Kind.EMBEDDING:
        method = "HIRA of embeddings"
    if isinstance(config.get("r"), int) and config["r"] <= 0:
        text = f"`r` should be a positive integer value but the value passed is {config['r']}"
        raise Refused("ValueError", text)
    neutral = frozenset(_NEUTRAL.get(method, ()) if config.get("init_weights", True) in (True, None, "kaiming") else ())
    shapes = _PARAMETERS[method](Sizes(config, inputs, outputs))
    params = {key: site.constant(*shape) if key[0] in neutral else site.random(*shape) for key, shape in shapes.items()}
    return Tuned(params, neutral, tuple(str(config.get(key)) for key in _TRAITS))


_PATTERNS = {"r": "rank_pattern", "n_frequency": "n_frequency_pattern", "block_size": "block_size_pattern"}
_TRAITS = (
    *("r", "alpha", "variant", "group_size", "block_size", "scaling", "mini_r", "act_fn", "random_loc_seed"),
    *("delora_lambda", "waveft_scaling", "psoft_alpha", "fan_in_fan_out", "init_weights", "randlora_alpha"),
)
"""Values of a config that the output depends on, whatever the method."""
