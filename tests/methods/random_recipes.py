"""Random recipes: for every config class of the installed PEFT, a base, its modules and values drawn for the fields.

What PEFT cannot build or save is drawn too; `make_adapters.py` goes on to the next one then.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from method_bases import CLASSES, CONFIGS, build
from method_recipes import RECIPES, Fields
from random_values import PARTS, plausible

import peft

WANTED, WANTED_OF = 6, {"Lora": 40}  # adapters of each method
TRIES = 12  # recipes for each of them
TASKS = {
    "CausalLM": "CAUSAL_LM", "SequenceClassification": "SEQ_CLS", "Seq2SeqLM": "SEQ_2_SEQ_LM",
    "TokenClassification": "TOKEN_CLS", "QuestionAnswering": "QUESTION_ANS",
}  # fmt: skip
LINEAR, NORMS = ("Linear", "Conv1D"), ("LayerNorm", "RMSNorm")
CONVOLUTIONS = ("Conv1d", "Conv2d", "Conv3d")
KINDS: dict[str, tuple[str, ...]] = {  # kinds of modules beside linear ones that a method tunes
    "Lora": ("Embedding", *CONVOLUTIONS, "MultiheadAttention"),
    "TrainableTokens": ("Embedding",),
    "LNTuning": NORMS,
    "Hira": ("Embedding", *CONVOLUTIONS),
    "TinyLora": ("Embedding",),
    **dict.fromkeys(("LoHa", "LoKr", "OFT", "BOFT", "HRA", "IA3", "Glora"), CONVOLUTIONS),
}
ONLY = {"TrainableTokens", "LNTuning"}  # whose modules are those alone
GENERATES = ["llama", "llama-tied", "llama-bias", "llama-mha", "qwen2", "gpt2", "opt", "qwen3-moe", "t5"]
PROMPTED = [*GENERATES, "llama-cls", "bert-cls", "bert-tok", "bert-qa"]
BASES: dict[str, list[str]] = {  # where only some bases are worth trying
    **{kind: [*GENERATES, "bert-cls"] for kind in ("PrefixTuning", "MultitaskPromptTuning", "Cartridge")},
    **dict.fromkeys(("PromptTuning", "PromptEncoder", "CPT"), PROMPTED),
    "AdaptionPrompt": ["llama", "llama-mha", "llama-tied", "llama-bias", "gpt2"],
    "XLora": ["llama-no-cache"],
    "Shadow": ["llama", "llama-mha", "llama-tied", "gpt2", "qwen2", "llama-cls", "opt"],
}
USUALLY = {  # fields without which an adapter of the tiny bases would be a rare one
    "r", "num_virtual_tokens", "n_frequency", "block_size", "vector_length", "num_vectors", "theta_d_length", "u",
    "adapter_len", "adapter_layers", "init_r", "total_step", "encoder_hidden_size", "hidden_size", "group_size",
    "sparse_rate", "num_subspaces", "oft_block_size", "n_tasks", "num_tasks", "shadow_num_hidden_layers",
    "randlora_alpha", "sparsity",
}  # fmt: skip
SELDOM = {  # what is given for an adapter in twenty, for otherwise nothing would be left of the usual ones
    "token_dim", "num_layers", "num_attention_heads", "num_transformer_submodules", "target_parameters",
    "layer_replication", "use_bdlora", "use_qalora", "alora_invocation_tokens", *PARTS,
}  # fmt: skip
NEEDS = {"eva_config": "eva", "corda_config": "corda", "lora_ga_config": "lora_ga"}  # of `init_lora_weights`


@cache
def modules(base: str) -> dict[str, str]:
    """Module -> class, of those that have parameters."""
    found = {
        name: type(one) for name, one in build(base).named_modules() if name and any(True for _ in one.parameters())
    }
    return {
        name: next((k.__name__ for k in kind.__mro__ if k.__name__ in (*LINEAR, *CONVOLUTIONS)), kind.__name__)
        for name, kind in found.items()
    }


@dataclasses.dataclass(slots=True)
class Draw:
    """One recipe in the making."""

    kind: str
    base: str
    rng: random.Random

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def name(self, path: str) -> str:
        """A way to name a module: mostly its last name, sometimes more of it."""
        parts = path.split(".")
        return ".".join(parts[-self.rng.choice([1, 1, 1, 1, 2, len(parts)]) :])

    def paths(self, *kinds: str) -> list[str]:
        return [path for path, kind in modules(self.base).items() if any(kind.endswith(one) for one in kinds)]

    def some(self, paths: list[str], most: int) -> list[str]:
        chosen = self.rng.sample(paths, min(len(paths), self.rng.randint(1, most)))
        return list(dict.fromkeys(self.name(path) for path in chosen))

    def tunable(self) -> list[str]:
        extra = KINDS.get(self.kind, ())
        linear = () if self.kind in ONLY else LINEAR
        return self.paths(*linear, *(extra if self.kind in ONLY or self.chance(0.5) else ())) or self.paths(*LINEAR)

    def target_modules(self) -> Any:
        paths = self.tunable()
        form = self.rng.choice(["list"] * 7 + ["regex", "regex", "layers", "all-linear", None])
        ends = [path.rpartition(".")[2] for path in self.rng.sample(paths, min(2, len(paths)))]
        if form == "list":
            return self.some(paths, 4)
        if form == "regex":
            return rf".*\.({'|'.join(dict.fromkeys(ends))})"
        return rf".*\.[01]\..*{ends[0]}$" if form == "layers" else form

    def exclude_modules(self) -> Any:
        names = self.some(list(modules(self.base)), 2)
        return self.rng.choice([names, names, rf".*\.{self.rng.randint(0, 1)}\..*", rf".*{names[0]}"])

    def modules_to_save(self) -> Any:
        heads = [path for path in modules(self.base) if "." not in path or path.endswith("norm")]
        return self.some(self.rng.choice([heads, list(modules(self.base))]), 2)

    def trainable_token_indices(self) -> Any:
        indices = sorted(self.rng.sample(range(60), self.rng.randint(1, 4)))
        named = [self.name(path) for path in [*self.paths("Embedding"), *self.paths(*LINEAR)[-1:]]]
        return self.rng.choice([indices, {self.rng.choice(named): indices}, {named[0]: indices}])

    def token_indices(self) -> Any:
        return self.rng.sample(range(60), self.rng.randint(1, 4))

    def layers_to_transform(self) -> Any:
        return self.rng.choice([0, 1, [0], [1], [0, 1], [1, 5]])

    def layers_pattern(self) -> Any:
        return self.rng.choice(["layers", "h", "layer", "block", ["layers", "layer"]])

    def pattern(self, values: list[Any]) -> Any:
        names = self.some(self.tunable(), 2)
        return {self.rng.choice([name, rf".*\.{name}", f"^{name}"]): self.rng.choice(values) for name in names}

    def experts(self) -> bool:
        return any(kind.endswith("Experts") for kind in modules(self.base).values())

    def target_parameters(self) -> Any:
        experts = ["experts.gate_up_proj", "experts.down_proj", "gate.weight"]
        named = experts if self.experts() else [f"{p}.weight" for p in self.paths(*LINEAR)]
        return self.rng.sample(named, min(len(named), self.rng.randint(1, 2)))

    def layer_replication(self) -> Any:
        return self.rng.choice([[[0, 2], [0, 2]], [[0, 1], [0, 2]]])

    def feedforward_modules(self) -> Any:
        return self.some(self.tunable(), 2)

    def use_bdlora(self) -> Any:
        sides = {f"target_modules_bd_{side}": self.some(self.paths(*LINEAR), 2) for side in "ab" if self.chance(0.6)}
        return sides | {"nblocks": self.rng.choice([2, 4]), "match_strict": self.chance(0.3)}

    def task_type(self) -> Any:
        own = TASKS.get(CONFIGS[self.base][0] if self.base in CONFIGS else "")
        prompt = self.kind in BASES
        return self.rng.choice([own] * (9 if prompt else 3) + [None] * (1 if prompt else 5) + ["FEATURE_EXTRACTION"])

    def share(self, key: str, fields: int) -> float:
        """How often a field is given at all."""
        if key in USUALLY or key in ("target_modules", "token_indices", "task_type"):
            return 0.95
        if key == "target_parameters" and self.experts():
            return 0.5
        if key in SELDOM:
            return 0.05
        return min(0.4, 4 / fields)

    def value(self, field: dataclasses.Field[Any]) -> Any:
        """A value of a field; `MISSING` where none is worth drawing."""
        key = field.name
        if key in ("rank_pattern", "alpha_pattern", "lambda_pattern", "n_frequency_pattern", "block_size_pattern"):
            return self.pattern(plausible(self.kind, "n_frequency" if "freq" in key else "gralora_k"))
        if own := getattr(self, key, None):
            return own()
        if isinstance(field.default, bool) and key not in ("inference_mode", "progressbar"):
            return not field.default
        values = plausible(self.kind, key)
        return self.rng.choice(values) if values else dataclasses.MISSING


def drawn(kind: str, base: str, rng: random.Random) -> Fields:
    """Fields of an adapter of the class `<kind>Config` in a base."""
    draw = Draw(kind, base, rng)
    known = dataclasses.fields(getattr(peft, f"{kind}Config"))
    found: Fields = {"target_modules": None}
    for field in known:
        if rng.random() < draw.share(field.name, len(known)):
            value = draw.value(field)
            if value is not dataclasses.MISSING:
                found[field.name] = value
    for key, init in NEEDS.items():
        if key in found:
            found["init_lora_weights"] = init
    if kind == "CPT":
        tokens = rng.sample(range(60), rng.randint(1, 4))
        found |= {"cpt_token_ids": tokens, "cpt_mask": [1] * len(tokens)}
        found["cpt_tokens_type_mask"] = [rng.randint(1, 4) for _ in tokens]
    return found


def random_recipes(seed: int) -> Iterator[tuple[str, list[tuple[str, str, Fields]]]]:
    """For every adapter that is wanted, its name and what to try until one can be made: class, base, fields."""
    for kind in RECIPES:
        rng = random.Random(f"{seed} {kind}")
        bases = BASES.get(kind, [*CLASSES, *CONFIGS])
        for place in range(WANTED_OF.get(kind, WANTED)):
            chosen = [rng.choice(bases) for _ in range(TRIES)]
            yield f"{kind.lower()}-{seed}-{place}", [(kind, base, drawn(kind, base, rng)) for base in chosen]
