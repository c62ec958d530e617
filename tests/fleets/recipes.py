"""Random configs of adapters: what a base offers, what a method knows, a draw of chances.

Five mixes: the *usual* one is what people publish (LoRA mostly); the *wide* one has more methods, and options that are
seldom used; the *rare* one has the methods of 2025 and 2026, each as often as the others, and the same options; the
*special* one has the methods that do not put layers of their own around linear ones, or share more than a tensor, next
to usual ones; the *operations* one has the methods of which several adapters are merged, weighted, mixed and swapped.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from bases import TOKENS, Sites, sites
from groups import BASES
from groups.base import HIDDEN
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils import PeftType

Fields = dict[str, Any]

USUAL = {
    "LORA": 24, "TRAINABLE_TOKENS": 4, "IA3": 2, "LOHA": 2, "LOKR": 2, "VERA": 2, "OFT": 2, "ADALORA": 2,
    "LN_TUNING": 2, "HRA": 2, "BOFT": 1, "PROMPT_TUNING": 2, "PREFIX_TUNING": 2, "P_TUNING": 2,
}  # fmt: skip
WIDE = {
    "LORA": 20, "TRAINABLE_TOKENS": 4, "IA3": 2, "LOHA": 1, "LOKR": 1, "VERA": 2, "OFT": 1, "ADALORA": 1, "BOFT": 1,
    "LN_TUNING": 1, "FOURIERFT": 2, "VBLORA": 2, "RANDLORA": 2, "C3A": 2, "MISS": 2, "BONE": 2, "SHIRA": 2, "ROAD": 2,
    "WAVEFT": 2, "DELORA": 2, "OSF": 2, "POLY": 1, "GRALORA": 1, "MULTITASK_PROMPT_TUNING": 1, "ADAPTION_PROMPT": 2,
}  # fmt: skip
RARE = {
    "ADAMSS": 1, "ADAPTION_PROMPT": 1, "BEFT": 1, "C3A": 1, "CPT": 1, "DEFT": 1, "DELORA": 1, "FOURIERFT": 1,
    "FROD": 1, "GLORA": 1, "GRALORA": 1, "HIRA": 1, "LILY": 1, "MISS": 1, "OSF": 1, "PEANUT": 1,
    "PSOFT": 1, "PVERA": 1, "RANDLORA": 1, "ROAD": 1, "SHADOW": 1, "SHIRA": 1, "SUPERTUNING": 1, "TINYLORA": 1,
    "UNILORA": 1, "VBLORA": 1, "VERA": 1, "WAVEFT": 1,
}  # fmt: skip
SPECIALS = {"ADAPTION_PROMPT": 6, "XLORA": 6, "SHADOW": 6, "FROD": 4, "LORA": 2, "IA3": 1, "PROMPT_TUNING": 1}
OPERATIONS = {
    "LORA": 40, "IA3": 4, "ROAD": 4, "OFT": 3, "VERA": 3, "BOFT": 1, "ADALORA": 2, "LOHA": 1, "LOKR": 1, "HRA": 1,
    "C3A": 1, "OSF": 1, "MISS": 1, "SHIRA": 1, "DELORA": 1, "RANDLORA": 1, "VBLORA": 1, "FOURIERFT": 1, "GRALORA": 1,
    "LN_TUNING": 2, "TRAINABLE_TOKENS": 3, "PROMPT_TUNING": 1, "PREFIX_TUNING": 1,
}  # fmt: skip
MIXES = {"usual": USUAL, "wide": WIDE, "rare": RARE, "special": SPECIALS, "operations": OPERATIONS}


class Draw:
    """Chances of one adapter: a generator of random numbers, a base, and how wide to choose."""

    def __init__(self, rng: random.Random, base: str, *, mix: str) -> None:
        self.rng, self.base, self.mix, self.wide = rng, base, mix, mix in ("wide", "rare")
        self.sites: Sites = sites(base)

    def method(self) -> str:
        mix = {kind: weight for kind, weight in MIXES[self.mix].items() if kind in PeftType.__members__}
        return self.rng.choices(list(mix), list(mix.values()))[0]

    def chance(self, usual: float, wide: float | None = None) -> bool:
        """True with the first probability, in the wide mix with the second (three times the first).

        In the mix of operations what is seldom is twice as often, and what is usual, which keeps adapters from loading
        beside each other, half as often.
        """
        if self.mix == "operations":
            return self.rng.random() < (2 * usual if usual < 0.2 else usual / 2)
        return self.rng.random() < ((3 * usual if wide is None else wide) if self.wide else usual)

    def some(self, names: tuple[str, ...], most: int) -> list[str]:
        return self.rng.sample(names, self.rng.randint(1, min(most, len(names))))

    def targets(self, most: int = 2) -> list[str]:
        return self.some(self.sites.linears, most)

    def whole(self) -> list[str]:
        """Names for `modules_to_save`: mostly heads, often what matches more than one would think."""
        offered = [
            (8, self.sites.heads),
            (3, self.sites.embeddings),
            (4, self.sites.norms),
            (1, self.sites.positions),
            (2, self.sites.containers),
            (1, self.sites.linears),
            (1, ("head", "norm", "embeddings", "proj", "dropout")),
        ]
        kinds = [(weight, names) for weight, names in offered if names]
        count = self.rng.choice([1, 1, 1, 2])
        chosen = self.rng.choices([names for _, names in kinds], [weight for weight, _ in kinds], k=count)
        return list(dict.fromkeys(self.rng.choice(names) for names in chosen))

    def rows(self) -> list[int]:
        return sorted(self.rng.sample(range(TOKENS), self.rng.randint(1, 4)))

    def tokens(self) -> list[int] | dict[str, list[int]] | None:
        if not self.chance(0.35) or not self.sites.embeddings:
            return None
        embedding = self.rng.choice(self.sites.embeddings)
        if self.chance(0.06, 0.25):
            rows = self.rows()
            other = self.rng.choice((*self.sites.heads, *self.sites.embeddings))
            return {embedding: rows, other: rows if self.rng.random() < 0.5 else self.rows()}
        return self.rng.choice([self.rows(), {embedding: self.rows()}])

    def task(self) -> str | None:
        return BASES[self.base].task if self.rng.random() < 0.75 else None


def random_config(draw: Draw, method: str) -> Any:
    """A config of the method for the base; may raise, or be refused by the base."""
    kind = PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(method)]
    fields: Fields = {"task_type": draw.task()}
    if method in SPECIAL:
        fields |= SPECIAL[method](draw)
    else:
        fields |= {"target_modules": draw.targets(), "modules_to_save": draw.whole() if draw.chance(0.4) else None}
        fields |= _layers(draw) | OPTIONS.get(method, lambda draw: {"r": 2})(draw)
    return kind(**{key: value for key, value in fields.items() if key in kind.__dataclass_fields__})


def _layers(draw: Draw) -> Fields:
    fields: Fields = {}
    if draw.chance(0.08, 0.15):
        fields["layers_to_transform"] = draw.rng.choice([[0], [0], 1, [1], [0, 1]] + ([[-1], 0] if draw.wide else []))
        if draw.chance(0.2):
            fields["layers_pattern"] = draw.rng.choice([draw.sites.lists[0], ["layers", "layer", "h"], "block"])
    elif draw.chance(0.06, 0.12):
        target = draw.rng.choice(draw.sites.linears)
        fields["exclude_modules"] = draw.rng.choice([[target], r".*\.0\..*", rf".*\.{target}", list(draw.sites.heads)])
    return fields


def _lora_targets(draw: Draw) -> list[str] | str:
    targets, kind = draw.targets(), draw.rng.random()
    if kind < 0.15:
        return "all-linear"
    if kind < 0.3:
        return r".*\.({})".format("|".join(targets))
    if kind < 0.36:
        paths = [path for path in draw.sites.paths if path.rpartition(".")[2] in targets]
        return draw.rng.sample(paths, min(2, len(paths)))
    if draw.chance(0.12, 0.2):
        targets.append(draw.rng.choice(draw.sites.embeddings + draw.sites.positions or draw.sites.heads))
    if draw.chance(0.1, 0.15):
        targets.append(draw.rng.choice(draw.sites.heads or draw.sites.embeddings))
    return targets


def _lora(draw: Draw) -> Fields:
    targets = _lora_targets(draw)
    fields: Fields = {
        "r": draw.rng.choice([1, 2, 4]),
        "lora_alpha": draw.rng.choice([8, 8, 16, 1]),
        "target_modules": targets,
        "bias": draw.rng.choice(["none"] * 8 + ["all", "lora_only"]),
        "trainable_token_indices": draw.tokens(),
        "use_dora": draw.chance(0.08, 0.12),
        "use_rslora": draw.chance(0.08, 0.12),
        "lora_bias": draw.chance(0.01, 0.06),
        "ensure_weight_tying": draw.chance(0.08, 0.15),
    }
    if isinstance(targets, str):
        fields |= {"layers_to_transform": None, "layers_pattern": None}
        if targets != "all-linear":
            fields["exclude_modules"] = None
    name = targets[0] if isinstance(targets, list) else draw.rng.choice(draw.sites.linears)
    layer = rf".*\.[01]\..*{name}"
    if draw.chance(0.08, 0.15):
        fields["rank_pattern"] = draw.rng.choice([{name: 3}, {layer: 3}, {f"^{name}": 3}])
    if draw.chance(0.04, 0.15):
        fields["alpha_pattern"] = draw.rng.choice([{name: 32}, {layer: 2}, {"nothing": 5}])
    if draw.chance(0.05, 0.1):
        fields["init_lora_weights"] = draw.rng.choice(["pissa", "olora", "gaussian", "orthogonal", "pissa_niter_2"])
    if draw.sites.experts and draw.chance(0.4, 0.5):
        fields["target_parameters"] = draw.some(draw.sites.experts, 2)
    if draw.base in REPLICATED and draw.chance(0.03, 0.2):
        fields["layer_replication"] = draw.rng.choice([[[0, 2], [0, 2]], [[0, 2], [1, 2]], [[0, 1], [0, 2]]])
    if draw.chance(0.03, 0.1) and draw.sites.containers:
        container = draw.rng.choice(draw.sites.containers)
        fields["modules_to_save"] = [container, name] if draw.rng.random() < 0.4 else [container]
    return fields


def _tokens(draw: Draw) -> Fields:
    fields: Fields = {"token_indices": draw.rows()}
    kind = draw.rng.random()
    if kind < 0.35:
        fields["target_modules"] = list(draw.sites.embeddings)
    elif kind < 0.5:
        fields["target_modules"] = draw.rng.choice(draw.sites.embeddings)
    elif kind < 0.6:
        fields["target_modules"] = [draw.rng.choice(draw.sites.heads or draw.sites.embeddings)]
    return fields


def _prompt(draw: Draw) -> Fields:
    return {
        "task_type": draw.task() or BASES[draw.base].task,
        "num_virtual_tokens": draw.rng.choice([3, 3, 3, 4]),
        "encoder_hidden_size": 8,
        "num_tasks": 2,
        "num_ranks": 1,
        "modules_to_save": draw.whole() if draw.chance(0.05, 0.2) else None,
    }


def _ia3(draw: Draw) -> Fields:
    targets = draw.targets()
    forward = draw.rng.sample(targets, 1) if draw.chance(0.25, 0.5) else []
    return {"target_modules": targets, "feedforward_modules": forward}


def _vera(draw: Draw) -> Fields:
    targets = draw.targets(2 if draw.wide else 1)
    return {
        "target_modules": targets,
        "r": draw.rng.choice([2, 2, 4]),
        "save_projection": not draw.chance(0.15, 0.4),
        "projection_prng_key": draw.rng.choice([0, 0, 0, 7]),
    }


def _adaption(draw: Draw) -> Fields:
    layers = draw.rng.choice([1, 2] if draw.mix != "special" else [1, 2, 2, 3])
    return {"adapter_len": 2, "adapter_layers": layers}


def _experts(draw: Draw) -> Fields:
    """An X-LoRA classifier; the paths of its experts are set where they are trained."""
    return {
        "hidden_size": HIDDEN,
        "adapters": dict.fromkeys(draw.rng.choice([["0", "1"], ["0", "1"], ["0"], ["1", "0"], ["math", "0"]]), ""),
        "xlora_depth": draw.rng.choice([1, 2, 2, 3]),
        "xlora_size": 8,
        "layerwise_scalings": draw.chance(0.1),
        "top_k_lora": draw.rng.choice([None, None, 1]),
        "enable_softmax_topk": draw.chance(0.1),
        "use_trainable_adapters": draw.chance(0.1),
    }


def _shadow(draw: Draw) -> Fields:
    fields: Fields = {"r": 2, "target_modules": draw.targets() if draw.chance(0.1) else None}
    if draw.mix != "special":
        return fields
    return fields | {
        "r": draw.rng.choice([2, 4]),
        "target_modules": draw.rng.choice([None, None, None, rf".*\.{draw.sites.lists[0]}\.\d+$", ["layers.1", "h.1"]]),
        "shadow_num_hidden_layers": draw.rng.choice([None, None, 2]),
        "shadow_hidden_size": draw.rng.choice([None, None, 8]),
        "shadow_intermediate_size": draw.rng.choice([None, None, 24]),
        "share_embeddings": draw.chance(0.25) is False,
        "update_hidden_size": draw.rng.choice([None, None, 3]),
    }


REPLICATED = ("llama", "mistral", "bert-tok", "falcon", "llama-model", "bert-lm", "granite")
SPECIAL: dict[str, Callable[[Draw], Fields]] = {
    "TRAINABLE_TOKENS": _tokens,
    "PROMPT_TUNING": _prompt,
    "PREFIX_TUNING": _prompt,
    "P_TUNING": _prompt,
    "MULTITASK_PROMPT_TUNING": _prompt,
    "CPT": lambda draw: {
        "task_type": draw.task() or BASES[draw.base].task,
        "num_virtual_tokens": 3,
        "cpt_token_ids": [1, 2, 3],
        "cpt_mask": [1, 1, 1],
        "cpt_tokens_type_mask": [1, 2, 3],
    },
    "ADAPTION_PROMPT": _adaption,
    "XLORA": _experts,
}
OPTIONS: dict[str, Callable[[Draw], Fields]] = {
    "LORA": _lora,
    "IA3": _ia3,
    "VERA": _vera,
    "RANDLORA": _vera,
    "LOHA": lambda draw: {"r": 2, "rank_pattern": {draw.targets()[0]: 3} if draw.chance(0.15) else {}},
    "LOKR": lambda draw: {"r": 2, "decompose_factor": draw.rng.choice([-1, -1, 4])},
    "OFT": lambda draw: draw.rng.choice([*[{"r": 0, "oft_block_size": 4}] * 2, {"r": 2, "oft_block_size": 0}]),
    "BOFT": lambda draw: {"boft_block_size": 4},
    "ADALORA": lambda draw: {"target_r": 2, "init_r": 3, "total_step": 10},
    "LN_TUNING": lambda draw: {"target_modules": draw.some(draw.sites.norms, 1)},
    "FOURIERFT": lambda draw: {"n_frequency": draw.rng.choice([6, 10]), "random_loc_seed": draw.rng.choice([777, 1])},
    "WAVEFT": lambda draw: {"n_frequency": 8, "random_loc_seed": draw.rng.choice([777, 1]), "use_idwt": False},
    "VBLORA": lambda draw: {
        "r": 2, "num_vectors": draw.rng.choice([6, 6, 8]), "vector_length": 4, "topk": 2,
        "save_only_topk_weights": draw.chance(0.05),
    },
    "C3A": lambda draw: {"block_size": draw.rng.choice([4, 8])},
    "ROAD": lambda draw: {"group_size": 4, "variant": draw.rng.choice(["road_1", "road_2", "road_4"])},
    "SHIRA": lambda draw: {"r": 1, "random_seed": draw.rng.choice([None, 5])},
    "DELORA": lambda draw: {"r": 2},
    "OSF": lambda draw: {"effective_rank": draw.rng.choice([None, 4])},
    "GRALORA": lambda draw: {"r": 4, "gralora_k": 2},
    "SHADOW": _shadow,
    "ADAMSS": lambda draw: {"r": 4, "num_subspaces": 2, "subspace_rank": draw.rng.choice([1, 2])},
    "TINYLORA": lambda draw: {"r": 2, "u": 4, "weight_tying": draw.rng.choice([0.0, 0.0, 0.5, 1.0])},
    "UNILORA": lambda draw: {"r": 2, "theta_d_length": draw.rng.choice([16, 32]), "save_indices": draw.chance(0.1)},
    "PVERA": _vera,
    "FROD": lambda draw: {
        "sparse_rate": 0.1, "save_projection": draw.chance(0.15), "progressbar": False,
        "projection_prng_key": draw.rng.choice([0, 0, 7]),
    },
    "SUPERTUNING": lambda draw: {"r": draw.rng.choice([None, 2]), "sparsity": 0.9},
    "PSOFT": lambda draw: {"r": 4, "psoft_orth": draw.rng.random() < 0.7, "psoft_mag_b": draw.rng.random() < 0.7},
    "DEFT": lambda draw: {"r": 2, "para": draw.chance(0.2), "decomposition_method": draw.rng.choice(["relu", "qr"])},
    "POLY": lambda draw: {"r": 2, "n_tasks": 2, "n_skills": 2},
}  # fmt: skip
