"""Random fleets that are out for trouble: names and entries that are parts of paths, PEFT's own words, or numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from recorded import bases, folder

from adapterlint.adapter import Adapter, load_adapter
from adapterlint.base import ModuleTree
from adapterlint.base.tree import Kind
from adapterlint.peft.auxiliary import auxiliaries
from adapterlint.peft.loading import load
from adapterlint.peft.model import Model
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.simulate import UNDECIDABLE
from adapterlint.peft.tensor_names import file_key
from adapterlint.peft.versions import SIMULATED, Versions
from adapterlint.peft.weights import state_names, tuner_keys
from adapterlint.peft.wrappers import TokenWrapper, Whole

BASES = ("llama", "llama-tied", "mistral", "qwen2", "gemma3", "gpt2", "bert-cls", "t5", "bart", "mixtral", "llama-cls",
         "opt", "gemma3-vl", "whisper", "qwen2-moe", "vit", "resnet", "wav2vec2", "jamba")  # fmt: skip
PLAIN = ("red", "green", "blue")
WORDS = (
    *(
        "weight",
        "layers",
        "layer",
        "base_layer",
        "lora_A",
        "lora_B",
        "default",
        "lora",
        "modules_to_save",
        "0",
        "1",
        "h",
    ),
    *(
        "original_module",
        "token_adapter",
        "model",
        "block",
        "bias",
        "trainable_tokens_delta",
        "red",
        "",
        "a.b",
        "experts",
    ),
)
REGEXES = (
    *(r".*\.layers\.\d+\..*proj", r".*layers\.[02]\..*q_proj", r".*(q_proj|v_proj|query|value|c_attn)$", ".*"),
    *(r".*self_attn.*", r".*\.1\..*", r"model\.layers\.(0|1)\.mlp.*", r".*layer.*", "all-linear", "q_proj", "lm_head"),
    *(r".*\.(original_module|red)(\..*)?", r".*base_layer.*", r".*embed_tokens.*", "(", r".*norm.*"),
)
METHODS = ("LORA",) * 9 + ("IA3", "LN_TUNING", "VERA", "OFT", "ADALORA", "TRAINABLE_TOKENS", "LOHA", "PROMPT_TUNING",
                           "RANDLORA", "FOURIERFT", "BOFT", "HRA")  # fmt: skip
TASKS = (None, None, None, "CAUSAL_LM", "SEQ_CLS", "TOKEN_CLS", "SEQ_2_SEQ_LM", "FEATURE_EXTRACTION")


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet in its base, for a release, with sets to activate."""

    tree: ModuleTree
    versions: Versions
    adapters: dict[str, Adapter]
    sets: list[tuple[str, ...]]
    told: str  # all of it, for people


class Draw:
    """Draws fleets; the same `rng` gives the same ones."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.odd = rng.choice([0.02, 0.1, 0.3])  # how often something is out of the ordinary
        self.base = rng.choice(BASES)
        self.versions = Versions.usual(rng.choice(SIMULATED))
        self.tree = bases()[self.base].tree(".".join(map(str, self.versions.transformers)))
        self.paths = [path for path in self.tree.nodes if path]
        self.parts = sorted({part for path in self.paths for part in path.split(".")})
        linear = [path for path, node in self.tree.nodes.items() if node.kind in (Kind.LINEAR, Kind.GPT2_CONV1D)]
        self.linear = sorted({path.rpartition(".")[2] for path in linear} - {"0", "1", "2"}) or ["convolution"]
        self.tops = [path for path in self.paths if path.count(".") < 2 or self.tree.nodes[path].kind is Kind.EMBEDDING]
        owned = ((path, name) for path, node in self.tree.nodes.items() for name in node.parameters)
        self.parameters = [f"{path}.{name}" for path, name in owned]

    def fleet(self) -> Fleet:
        rng = self.rng
        count = rng.choice([1, 2, 2, 2, 3])
        names = list(PLAIN[:count])
        while rng.random() < 0.1 + self.odd:
            names[rng.randrange(count)] = rng.choice([*WORDS, *self.parts])
        if len(set(names)) < count:
            names = list(PLAIN[:count])
        configs = [self.config() for _ in names]
        if rng.random() < 0.7:
            for config in configs[1:]:
                config["peft_type"] = configs[0]["peft_type"]
        if rng.random() < 0.5:
            configs[-1] = {**configs[0], **dict(rng.sample(sorted(configs[-1].items()), k=2))}
        files = {name: (config, self.file(config)) for name, config in zip(names, configs, strict=True)}
        adapters = {n: load_adapter(folder(n or "x", "adapter_config.json", *both)) for n, both in files.items()}
        sets = [tuple(rng.sample(names, k=rng.randint(1, count))) for _ in range(rng.randint(0, 2))]
        told = json.dumps({"base": self.base, "versions": str(self.versions), "files": files, "sets": sets})
        return Fleet(self.tree, self.versions, {n: a for n, a in adapters.items() if a is not None}, sets, told)

    def entry(self) -> str:
        """The end of a path, a whole one, or a word."""
        rng = self.rng
        path = rng.choice(self.paths).split(".")
        if rng.random() < self.odd:
            return rng.choice([*WORDS, ".".join(path[-2:]), ".".join(path)])
        return path[-1]

    def entries(self) -> list[str]:
        return [self.entry() for _ in range(self.rng.choice([1, 1, 2, 2, 3]))]

    def config(self) -> dict[str, Any]:
        rng = self.rng
        method = rng.choice(METHODS)
        config: dict[str, Any] = {
            "peft_type": method,
            "task_type": rng.choice(TASKS[: 3 if rng.random() > 0.5 else None]),
            "r": rng.choice([1, 4, 4, 8]),
        }
        config["target_modules"] = [rng.choice(self.linear) for _ in range(rng.choice([1, 1, 2, 3]))]
        if rng.random() < 0.1 + self.odd:
            config["target_modules"] = rng.choice([rng.choice(REGEXES), self.entries()])
        if method == "TRAINABLE_TOKENS":
            config |= {"target_modules": rng.choice([None, "embed_tokens"]), "token_indices": [1, 2]}
        if method == "ADALORA":
            config["total_step"] = 10
        if method == "IA3":
            config["feedforward_modules"] = []
        if method == "PROMPT_TUNING":
            config["num_virtual_tokens"] = 4
        if method == "VERA":
            config["save_projection"] = rng.random() < 0.5
        odd = {
            "modules_to_save": lambda: rng.choice([self.entries(), self.heads(), self.heads(), rng.choice(self.parts)]),
            "trainable_token_indices": self.tokens,
            "target_parameters": self.wanted,
            "exclude_modules": lambda: rng.choice([self.entries(), rng.choice(REGEXES)]),
            "rank_pattern": lambda: {rng.choice([*REGEXES, self.entry()]): rng.choice([2, 4, 0])},
            "bias": lambda: rng.choice(["all", "lora_only"]),
            "use_dora": lambda: True,
            "layers_to_transform": lambda: rng.choice([[0], [1], 1, [0, 1]]),
            "layers_pattern": lambda: rng.choice([["layers"], "layer"]),
            "init_lora_weights": lambda: rng.choice([False, "pissa", "olora"]),
            "ensure_weight_tying": lambda: True,
            "layer_replication": lambda: [[0, 2], [1, 2]],
            "feedforward_modules": self.entries,
        }
        for key, value in odd.items():
            likely = key in ("modules_to_save", "trainable_token_indices", "target_parameters")
            if rng.random() < (0.25 if likely else self.odd / 4):
                config[key] = value()
        return config

    def heads(self) -> list[str]:
        return [self.rng.choice(self.tops).rpartition(".")[2] for _ in range(self.rng.choice([1, 1, 2]))]

    def tokens(self) -> Any:
        rows = [*self.rng.choice([[1], [1, 2], [5, 6, 7]])]
        given = {self.rng.choice(["embed_tokens", *self.heads(), self.entry()]): rows for _ in range(2)}
        return self.rng.choice([rows, rows, given, dict(list(given.items())[:1])])

    def wanted(self) -> list[str]:
        rng, parameters = self.rng, [path.split(".") for path in self.rng.choices(self.parameters, k=2)]
        ends = [".".join(path[-rng.choice([1, 2, 2, 3, len(path)]) :]) for path in parameters]
        return rng.choice([ends, ends[:1], ["weight"], [f"{self.entry()}.weight"]])

    def file(self, config: dict[str, Any]) -> dict[str, Any]:
        """Tensors that an adapter of this config has, more or less."""
        rng = self.rng
        tensors = self.saved(config)
        while rng.random() < 0.2 + self.odd:
            part = f".{rng.choice(['0', '1', '2', 'lora_B', *self.parts])}."
            if rng.random() < 0.5:
                tensors = {key: shape for key, shape in tensors.items() if part not in key}
            else:
                wrong = {key: (*shape[:-1], shape[-1] + 1) for key, shape in tensors.items() if part in key and shape}
                tensors |= dict(rng.sample(sorted(wrong.items()), k=rng.randint(0, len(wrong))))
        if rng.random() < self.odd:
            for key in rng.sample(self.parameters, k=2):
                tensors[f"base_model.model.{key}"] = (64, 16)
        return {key: ["F32", list(shape)] for key, shape in tensors.items()}

    def saved(self, config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        """What a file of it would have in this base, if PEFT loads it at all."""
        model, name = Model(self.tree, self.versions), "nobody"
        empty = load_adapter(folder("x", "adapter_config.json", config, {}))
        try:
            if empty is not None:
                load(model, empty, name)
        except UNDECIDABLE:
            pass
        try:
            return self.shapes(model, name)
        except (Refused, Undecided):
            return {}

    def shapes(self, model: Model, name: str) -> dict[str, tuple[int, ...]]:
        found = {file_key(key, name): param.shape for key, param in tuner_keys(model, name).items()}
        found |= {key: param.shape for key, param in model.prompts.get(name, {}).items()}
        for path, wrapper in auxiliaries(model.root):
            dot = f"base_model.model.{path}."
            if isinstance(wrapper, TokenWrapper) and wrapper.layer.tied is None:
                rows = wrapper.layer.deltas.get(name)
                found[f"{dot}token_adapter.trainable_tokens_delta"] = rows.shape if rows is not None else None
            elif isinstance(wrapper, Whole) and name in wrapper.copies:
                state = model.state()
                for key in state_names(wrapper.copies[name]):
                    param = state.get(f"{dot}modules_to_save.{name}.{key}")
                    found[dot + key] = param.shape if param is not None else None
        # A size of -1 stands for one that is not known, a smaller one for its multiples.
        return {key: tuple(map(abs, shape)) for key, shape in found.items() if shape is not None}
