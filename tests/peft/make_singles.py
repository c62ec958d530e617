"""Write `singles.jsonl.gz`: single adapters, saved by real PEFT and then damaged, and what PEFT does with each alone.

Run from this folder where torch, transformers and PEFT are installed (recorded with 2.13.0, 5.23.0, 0.21.2):

    python make_singles.py singles.jsonl.gz

One JSON line an adapter: `name`, `base`, `damage` (null: as PEFT saved it), `config`, `tensors` (name -> `[dtype,
shape]`) and `truth`: `error` (null, or `Class: text` of what `PeftModel.from_pretrained` raised on a fresh base); if it
loads, `effective` (the output differs from the base's; null if the forward pass raises), `tuned`, `modules_to_save`
and `trainable_tokens` as they then are in the model, `unexpected` (names in the file that reached nothing).
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from peft.tuners.adaption_prompt.layer import AdaptedAttention
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import ModulesToSaveWrapper, TrainableTokensWrapper
from peft.utils.save_and_load import load_peft_weights, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from tiny_bases import HIDDEN, VOCABULARY, base, output

import peft

TEXT = 60  # characters of an error's text
DTYPES = {torch.float32: "F32", torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8"}
Config = dict[str, Any]
Tensors = dict[str, torch.Tensor]


QV = ["q_proj", "v_proj"]
LORA = {"r": 4, "target_modules": QV}
# (base, class of the config, what differs from LORA)
HEALTHY: dict[str, tuple[str, str, Config]] = {
    "plain": ("llama", "Lora", {"task_type": "CAUSAL_LM"}),
    "all-linear": ("llama", "Lora", {"target_modules": "all-linear", "exclude_modules": ["o_proj"]}),
    "regex": ("llama", "Lora", {"target_modules": r".*\.(q_proj|down_proj)"}),
    "full-names": ("llama", "Lora", {"target_modules": ["model.layers.0.self_attn.q_proj", "lm_head"]}),
    "layers": ("llama", "Lora", {"target_modules": [*QV, "lm_head"], "layers_to_transform": [1]}),
    "layers-pattern": ("llama", "Lora", {"layers_to_transform": 1, "layers_pattern": ["h", "layers"]}),
    "exclude-regex": ("llama", "Lora", {"exclude_modules": r".*\.0\..*"}),
    "patterns": ("llama", "Lora", {"rank_pattern": {"q_proj": 2, "layers.1.self_attn.v_proj": 6}}),
    "dora": ("llama", "Lora", {"use_dora": True}),
    "bias-all": ("bert-cls", "Lora", {"target_modules": ["query"], "bias": "all", "task_type": "SEQ_CLS"}),
    "bias-only": ("bert-cls", "Lora", {"target_modules": ["query"], "bias": "lora_only"}),
    "lora-bias": ("bert-cls", "Lora", {"target_modules": ["query", "value"], "lora_bias": True}),
    "head": ("llama", "Lora", {"modules_to_save": ["lm_head"]}),
    "suffix": ("llama", "Lora", {"modules_to_save": ["norm"]}),
    "container": ("llama", "Lora", {"modules_to_save": ["mlp"]}),
    "tokens": ("llama", "Lora", {"trainable_token_indices": [1, 2, 3]}),
    "tokens-two": ("llama", "Lora", {"trainable_token_indices": {"embed_tokens": [1, 2, 3], "lm_head": [4]}}),
    "tokens-tied": ("llama-tied", "Lora", {"trainable_token_indices": [1, 2, 3]}),
    "tokens-and-head": ("llama-tied", "Lora", {"trainable_token_indices": [1], "modules_to_save": ["lm_head"]}),
    "tied-embedding": ("llama-tied", "Lora", {"target_modules": ["embed_tokens"], "ensure_weight_tying": True}),
    "tied-whole": ("llama-tied", "Lora", {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}),
    "embeddings": ("llama", "Lora", {"target_modules": ["q_proj", "embed_tokens", "lm_head"]}),
    "classifier": ("llama-cls", "Lora", {"task_type": "SEQ_CLS"}),
    "tagger": ("bert-tok", "Lora", {"target_modules": ["query"], "task_type": "TOKEN_CLS"}),
    "reader": ("bert-qa", "Lora", {"target_modules": ["query"], "task_type": "QUESTION_ANS"}),
    "gpt2": ("gpt2", "Lora", {"target_modules": ["attn.c_attn", "mlp.c_proj"]}),
    "experts": ("mixtral", "Lora", {"target_parameters": ["experts.gate_up_proj", "experts.down_proj"]}),
    "experts-only": ("mixtral", "Lora", {"target_modules": [], "target_parameters": ["mlp.experts.down_proj"]}),
    "attention": ("custom", "Lora", {"target_modules": ["attn", "lin0"], "rank_pattern": {"attn": 2}}),
    "convolution": ("custom", "Lora", {"target_modules": ["conv", "emb"], "modules_to_save": ["lin1"]}),
    "adalora": ("llama", "AdaLora", {"r": 8, "init_r": 4, "target_r": 2, "total_step": 10}),
    "ia3": ("llama", "IA3", {"target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]}),
    "loha": ("llama", "LoHa", {"rank_pattern": {"q_proj": 2}}),
    "lokr": ("llama", "LoKr", {"r": 2, "target_modules": ["q_proj", "down_proj"]}),
    "vera": ("llama", "Vera", {"target_modules": ["q_proj"]}),
    "hra": ("llama", "HRA", {}),
    "delora": ("llama", "Delora", {}),
    "miss": ("llama", "Miss", {}),
    "oft": ("llama", "OFT", {"r": 0, "oft_block_size": 4}),
    "fourier": ("llama", "FourierFT", {"n_frequency": 10}),
    "layer-norms": ("llama", "LNTuning", {"target_modules": ["input_layernorm"]}),
    "adaption": ("llama", "AdaptionPrompt", {"target_modules": None, "adapter_len": 2, "adapter_layers": 1}),
    "rows": ("llama", "TrainableTokens", {"target_modules": None, "token_indices": [1, 2]}),
    "rows-tied": ("llama-tied", "TrainableTokens", {"target_modules": None, "token_indices": [1, 2]}),
    "prompt": ("llama-cls", "PromptTuning", {"num_virtual_tokens": 3, "task_type": "SEQ_CLS"}),
    "prefix": ("llama", "PrefixTuning", {"num_virtual_tokens": 3, "task_type": "CAUSAL_LM"}),
}


def healthy(kind: str, changes: Config) -> peft.PeftConfig:
    made = getattr(peft, f"{kind}Config")
    fields = made.__dataclass_fields__
    return made(**{key: value for key, value in (LORA | changes).items() if key in fields})


def damages(config: Config, tensors: Tensors) -> Iterator[tuple[str, Config, Tensors]]:
    """The adapter with one thing wrong, for everything that can be wrong with it."""
    targets, rank = config.get("target_modules"), "init_r" if "init_r" in config else "r"
    tokens = "token_indices" if "token_indices" in config else "trainable_token_indices"
    if config.get(rank):
        yield "rank", config | {rank: config[rank] + 1}, tensors
        yield "rank-missing", {key: value for key, value in config.items() if key != rank}, tensors
    if isinstance(targets, list) and targets:
        yield "narrow-targets", config | {"target_modules": targets[1:]}, tensors
        yield "other-targets", config | {"target_modules": ["o_proj"]}, tensors
        yield "no-targets", config | {"target_modules": ["nothing"]}, tensors
        yield "string-targets", config | {"target_modules": "|".join(targets)}, tensors
        if "layers_to_transform" in config:
            yield "layers", config | {"layers_to_transform": [0], "layers_pattern": None}, tensors
        if "exclude_modules" in config:
            yield "excluded", config | {"exclude_modules": targets[:1]}, tensors
    if "use_dora" in config:
        yield "dora-flag", config | {"use_dora": not config["use_dora"]}, tensors
        yield "lora-bias-flag", config | {"lora_bias": not config["lora_bias"]}, tensors
    if isinstance(config.get(tokens), list):
        yield "index-more", config | {tokens: [*config[tokens], 13]}, tensors
        yield "no-indices", config | {tokens: None}, tensors
        yield "no-rows", config, {key: value for key, value in tensors.items() if "trainable_tokens" not in key}
    elif tokens in config and config[tokens] is None:
        yield "new-indices", config | {tokens: [1, 2]}, tensors
    if "modules_to_save" in config:
        yield (
            "whole-without-tensors",
            config | {"modules_to_save": [*(config["modules_to_save"] or []), "norm"]},
            tensors,
        )
        if config["modules_to_save"]:
            yield "whole-unlisted", config | {"modules_to_save": None}, tensors
    plain = {"base_model.model.model.norm.weight": (HIDDEN,), "base_model.model.lm_head.weight": (VOCABULARY, HIDDEN)}
    for name, shape in plain.items():
        if name not in tensors:
            yield f"base-{name.split('.')[-2]}", config, tensors | {name: torch.full(shape, 0.5)}
    heads = [name for name in tensors if set(name.split(".")) & {"score", "classifier", "qa_outputs"}]
    if heads:
        yield "no-head", config, {key: value for key, value in tensors.items() if key not in heads}
    for key in ("n_frequency", "num_virtual_tokens"):
        if key in config:
            yield "size", config | {key: config[key] + 1}, tensors


def said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:TEXT]}"


def state(model: Any, folder: Path) -> Config:
    found: Config = {"tuned": [], "modules_to_save": [], "trainable_tokens": {}, "unexpected": []}
    for path, module in model.get_base_model().named_modules(remove_duplicate=False):
        if isinstance(module, ModulesToSaveWrapper):
            found["modules_to_save"].append(path)
        elif isinstance(module, TrainableTokensWrapper):
            found["trainable_tokens"][path] = list(module.token_adapter.token_indices["default"])
        elif type(module).__name__ == "TrainableTokensLayer" and not path.endswith("token_adapter"):
            found["trainable_tokens"][path] = list(module.token_indices["default"])
        elif isinstance(module, BaseTunerLayer | AdaptedAttention) and not path.endswith("token_adapter"):
            found["tuned"].append(path)
    if not model.peft_config["default"].is_prompt_learning:
        loaded = set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))
        names = (key.replace(".default.", ".").removesuffix(".default") for key in loaded.unexpected_keys)
        found["unexpected"] = sorted({name.replace("magnitude_vector.weight", "magnitude_vector") for name in names})
    return found


def judge(name: str, folder: Path) -> Config:
    try:
        model = peft.PeftModel.from_pretrained(base(name), folder).eval()
    except Exception as error:
        return {"error": said(error)}
    try:
        effective = not torch.allclose(output(model), output(base(name)), atol=1e-6)
    except Exception:
        effective = None
    return {"error": None, "effective": effective} | state(model, folder)


def record(name: str) -> Iterator[Config]:
    which, kind, changes = HEALTHY[name]
    torch.manual_seed(1)
    model = peft.get_peft_model(base(which), healthy(kind, changes))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.is_floating_point():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        model.save_pretrained(folder)
        config = json.loads((folder / "adapter_config.json").read_text())
        tensors = load_file(folder / "adapter_model.safetensors")
        for damage, values, contents in [(None, config, tensors), *damages(config, tensors)]:
            (folder / "adapter_config.json").write_text(json.dumps(values, sort_keys=True))
            save_file(contents, folder / "adapter_model.safetensors", metadata={"format": "pt"})
            header = {key: [DTYPES[t.dtype], list(t.shape)] for key, t in sorted(contents.items())}
            brief = {key: value for key, value in values.items() if value is not None and value is not False}
            line = {"name": name, "base": which, "damage": damage, "config": brief, "tensors": header}
            yield line | {"truth": judge(which, folder)}


def main(target: str) -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    with gzip.GzipFile(target, "wb", mtime=0) as packed:
        for name in HEALTHY:
            for line in record(name):
                packed.write(json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
