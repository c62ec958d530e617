"""Variants of LoRA, and the words that all recipes are written in.

A variant is `(base, fields)`; fields that a class has and a variant does not give come from `USUAL`.
"""

from __future__ import annotations

from typing import Any

Fields = dict[str, Any]
Variants = dict[str, tuple[str, Fields]]

USUAL: Fields = {"r": 4, "target_modules": ["v_proj", "down_proj"]}
LAYERS = ("emb", "conv1", "conv2", "grouped", "point", "conv3", "lin0")
GPT2 = {"target_modules": ["c_attn", "mlp.c_proj"]}
CLS, LM = {"task_type": "SEQ_CLS"}, {"task_type": "CAUSAL_LM"}
S2S = {"task_type": "SEQ_2_SEQ_LM"}
MIRROR = {"target_modules": None, "shadow_num_hidden_layers": 1} | LM


def on(*targets: str, **fields: Any) -> Fields:
    return {"target_modules": list(targets), **fields}


LORA: Variants = {
    "plain": ("llama", LM),
    "no-task": ("llama", {}),
    "qwen2": ("qwen2", on("q_proj", "k_proj", "o_proj", lora_alpha=32)),
    "rslora": ("llama", {"use_rslora": True}),
    "default-targets": ("llama", {"target_modules": None}),
    "all-linear": ("llama", {"target_modules": "all-linear", "exclude_modules": ["o_proj"]}),
    "regex": ("llama", {"target_modules": r".*\.(k_proj|up_proj)"}),
    "patterns": ("llama", {"rank_pattern": {"v_proj": 2, r".*\.1\.mlp\.down_proj": 6}, "alpha_pattern": {"v_proj": 3}}),
    "layers": ("llama", {"layers_to_transform": [1], "layers_pattern": "layers"}),
    "replication": ("llama", {"layer_replication": [[0, 2], [1, 2]]}),
    "dora": ("llama", {"use_dora": True}),
    "lora-bias": ("llama", {"lora_bias": True}),
    "bias-all": ("llama-bias", {"bias": "all"}),
    "bias-lora-only": ("llama-bias", {"bias": "lora_only"}),
    "opt-bias": ("opt", on("q_proj", "fc1", bias="lora_only")),
    "head": ("llama", {"modules_to_save": ["lm_head"]}),
    "norm-and-mlp": ("llama", on("v_proj", modules_to_save=["norm", "mlp"])),
    "tokens": ("llama", {"trainable_token_indices": [5, 2, 9]}),
    "tokens-two": ("llama", {"trainable_token_indices": {"embed_tokens": [1, 2, 3], "lm_head": [4]}}),
    "tokens-tied": ("llama-tied", {"trainable_token_indices": [1, 2, 3]}),
    "tied-target": ("llama-tied", on("embed_tokens", ensure_weight_tying=True)),
    "tied-whole": ("llama-tied", {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}),
    "embeddings": ("llama", on("v_proj", "embed_tokens", "lm_head")),
    "embedding-dora": ("llama", on("embed_tokens", use_dora=True)),
    "gpt2": ("gpt2", GPT2 | {"fan_in_fan_out": True}),
    "gpt2-dora": ("gpt2", GPT2 | {"fan_in_fan_out": True, "use_dora": True}),
    "gpt2-embeddings": ("gpt2", on("wte", "wpe")),
    "opt": ("opt", on("k_proj", "out_proj", "fc2")),
    "t5": ("t5", on("q", "wi", "wo") | S2S),
    "whisper": ("whisper", on("q_proj", "fc1", "out_proj")),
    "whisper-convolution": ("whisper", on("q_proj", "conv1")),
    "wav2vec2": ("wav2vec2", on("conv", "k_proj", modules_to_save=["classifier"])),
    "vit": ("vit", on("query", "projection", "dense")),
    "siglip": ("siglip", on("patch_embedding", "attention", "position_embedding")),
    "classifier": ("llama-cls", CLS),
    "bert-classifier": ("bert-cls", on("query", "dense") | CLS),
    "tagger": ("bert-tok", on("value") | {"task_type": "TOKEN_CLS"}),
    "reader": ("bert-qa", on("value") | {"task_type": "QUESTION_ANS"}),
    "feature": ("llama", {"task_type": "FEATURE_EXTRACTION"}),
    "layers-all": ("layers", on(*LAYERS)),
    "layers-dora": ("layers", on("conv1", "conv2", "conv3", "lin0", use_dora=True)),
    "layers-bias": ("layers", on("conv1", "conv2", "conv3", "lin0", lora_bias=True)),
    "layers-ranks": ("layers", on("conv2", "grouped", "emb", rank_pattern={"conv2": 2, "grouped": 8})),
    "attention": ("layers", on("attn", "lin0")),
    "attention-rank": ("layers", on("attn", rank_pattern={"attn": 2}, modules_to_save=["lin1"])),
    "stack": ("stack", on("fc", layers_to_transform=[0, 2], layers_pattern="layers")),
    "experts": ("mixtral", {"target_modules": [], "target_parameters": ["experts.gate_up_proj", "experts.down_proj"]}),
    "experts-one": ("mixtral", {"target_modules": [], "target_parameters": ["mlp.experts.down_proj"]}),
    "experts-and-modules": ("qwen3-moe", on("q_proj") | {"target_parameters": ["experts.gate_up_proj"]}),
    "experts-ranks": (
        "mixtral",
        on(target_parameters=["experts.gate_up_proj", "experts.down_proj"], rank_pattern={"experts.down_proj": 2}),
    ),
    "parameter": ("llama", {"target_modules": [], "target_parameters": ["v_proj.weight"]}),
    "gaussian": ("llama", {"init_lora_weights": "gaussian"}),
    "no-init": ("llama", {"init_lora_weights": False}),
    "orthogonal": ("llama", {"init_lora_weights": "orthogonal"}),
    "olora": ("llama", {"init_lora_weights": "olora"}),
    "pissa": ("llama", {"init_lora_weights": "pissa"}),
    "pissa-niter": ("llama", {"init_lora_weights": "pissa_niter_2"}),
    "mica": ("llama", {"init_lora_weights": "mica"}),
    "mica-embedding": ("llama", on("embed_tokens", init_lora_weights="mica")),
    "eva": ("llama", {"init_lora_weights": "eva", "eva_config": {"rho": 1.5, "tau": 0.9}}),
    "corda": ("llama", {"init_lora_weights": "corda", "corda_config": {"corda_method": "kpm"}}),
    "corda-ipm": ("llama", {"init_lora_weights": "corda"}),
    "lora-ga": ("llama", {"init_lora_weights": "lora_ga", "lora_ga_config": {"direction": "ArBr"}}),
    "qalora": ("llama", {"use_qalora": True, "qalora_group_size": 8}),
    "bdlora-row": ("llama", {"use_bdlora": {"target_modules_bd_a": ["v_proj", "down_proj"], "nblocks": 2}}),
    "bdlora-column": (
        "llama",
        {"use_bdlora": {"target_modules_bd_b": ["v_proj"], "nblocks": 4, "match_strict": False}},
    ),
    "bdlora-both": (
        "llama",
        {"use_bdlora": {"target_modules_bd_a": ["down_proj"], "target_modules_bd_b": ["v_proj"], "nblocks": 2}},
    ),
    "alora": ("llama", LM | {"alora_invocation_tokens": [4, 10]}),
    "arrow": ("llama", {"arrow_config": {"top_k": 1, "router_temperature": 2.0}}),
    "monteclora": ("llama", {"monteclora_config": {"num_samples": 3}}),
    "monteclora-entropy": ("llama", {"monteclora_config": {"num_samples": 2, "use_entropy": True, "buffer_size": 9}}),
    "velora": ("llama", {"velora_config": {"num_groups": 4, "scale": 0.5}}),
    "velora-random": ("llama", {"velora_config": {"num_groups": 8, "init_type": "random"}}),
    "kasa": ("llama", {"kasa_config": {"beta": 0.001}}),
}
