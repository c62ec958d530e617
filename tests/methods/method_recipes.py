"""What is made: for every config class of PEFT, the variants whose tensors, shapes or demands differ."""

from __future__ import annotations

from method_recipes_lora import CLS, LM, LORA, S2S, USUAL, Fields, Variants, on
from method_recipes_tuners import MATRICES, VECTORS

__all__ = ["EXPERTS", "OLD", "RECIPES", "USUAL", "Fields"]

PROMPTS: dict[str, Variants] = {
    "PromptTuning": {
        "plain": ("llama", {"num_virtual_tokens": 3} | LM),
        "classifier": ("llama-cls", {"num_virtual_tokens": 3} | CLS),
        "bert-tagger": ("bert-tok", {"num_virtual_tokens": 3, "task_type": "TOKEN_CLS"}),
        "bert-reader": ("bert-qa", {"num_virtual_tokens": 3, "task_type": "QUESTION_ANS"}),
        "t5": ("t5", {"num_virtual_tokens": 3} | S2S),
        "sample": ("llama", {"num_virtual_tokens": 3, "prompt_tuning_init": "SAMPLE_VOCAB"} | LM),
        "head": ("llama", {"num_virtual_tokens": 3, "modules_to_save": ["lm_head"]} | LM),
        "feature": ("gpt2", {"num_virtual_tokens": 3, "task_type": "FEATURE_EXTRACTION"}),
    },
    "PromptEncoder": {
        "mlp": ("llama", {"num_virtual_tokens": 3, "encoder_hidden_size": 12} | LM),
        "lstm": ("llama", {"num_virtual_tokens": 3, "encoder_hidden_size": 12, "encoder_num_layers": 1,
                           "encoder_reparameterization_type": "LSTM"} | LM),
        "t5": ("t5", {"num_virtual_tokens": 3} | S2S),
        "classifier": ("bert-cls", {"num_virtual_tokens": 3} | CLS),
    },
    "PrefixTuning": {
        "plain": ("llama-mha", {"num_virtual_tokens": 3} | LM),
        "grouped": ("llama", {"num_virtual_tokens": 3} | LM),
        "projection": ("llama-mha", {"num_virtual_tokens": 3, "prefix_projection": True,
                                     "encoder_hidden_size": 12} | LM),
        "zero": ("llama-mha", {"num_virtual_tokens": 3, "init_weights": "zero"} | LM),
        "t5": ("t5", {"num_virtual_tokens": 3} | S2S),
        "gpt2": ("gpt2", {"num_virtual_tokens": 2} | LM),
        "classifier": ("bert-cls", {"num_virtual_tokens": 3} | CLS),
    },
    "MultitaskPromptTuning": {
        "plain": ("llama", {"num_virtual_tokens": 3, "num_tasks": 2} | LM),
        "ranks": ("llama", {"num_virtual_tokens": 3, "num_tasks": 3, "num_ranks": 2} | LM),
        "t5": ("t5", {"num_virtual_tokens": 3, "num_tasks": 2} | S2S),
    },
    "CPT": {
        "plain": ("llama", {"cpt_token_ids": [1, 2, 3, 4], "cpt_mask": [1, 1, 1, 1],
                            "cpt_tokens_type_mask": [1, 2, 3, 4]} | LM),
        "decay": ("llama", {"cpt_token_ids": [1, 2], "cpt_mask": [1, 1], "cpt_tokens_type_mask": [1, 4],
                            "opt_weighted_loss_type": "decay", "opt_loss_decay_factor": 0.9} | LM),
    },
    "Cartridge": {
        "plain": ("llama-mha", {"num_virtual_tokens": 3} | LM),
        "grouped": ("llama", {"num_virtual_tokens": 4, "num_frozen_tokens": 2} | LM),
        "no-frozen": ("llama-mha", {"num_virtual_tokens": 3, "num_frozen_tokens": 0} | LM),
        "all-frozen": ("llama-mha", {"num_virtual_tokens": 2, "num_frozen_tokens": 2} | LM),
    },
    "AdaptionPrompt": {
        "plain": ("llama-mha", {"target_modules": None, "adapter_len": 2, "adapter_layers": 1} | LM),
        "all-layers": ("llama", {"target_modules": None, "adapter_len": 3, "adapter_layers": 2} | LM),
        "gpt2": ("gpt2", {"target_modules": None, "adapter_len": 2, "adapter_layers": 2} | LM),
    },
    "XLora": {
        "plain": ("llama-no-cache", {"hidden_size": 16, "xlora_depth": 1} | LM),
        "deep": ("llama-no-cache", {"hidden_size": 16, "xlora_depth": 3, "xlora_size": 6} | LM),
        "layerwise": ("llama-no-cache", {"hidden_size": 16, "xlora_depth": 2, "xlora_size": 6, "top_k_lora": 1,
                                         "layerwise_scalings": True, "enable_softmax_topk": True} | LM),
        "trainable": ("llama-no-cache", {"hidden_size": 16, "use_trainable_adapters": True} | LM),
    },
}  # fmt: skip

RECIPES: dict[str, Variants] = {"Lora": LORA, **MATRICES, **VECTORS, **PROMPTS}
EXPERTS = dict.fromkeys("01", "lora-plain@0.10.0")  # what X-LoRA and Arrow mix, a folder that every release reads

_BONE: Variants = {
    "plain": ("llama", {}),
    "bat": ("llama", {"init_weights": "bat"}),
    "uneven": ("llama", {"r": 6}),
}
_OFT: Variants = {
    "plain": ("llama", {}),
    "shared": ("llama", {"block_share": True, "coft": True}),
    "conv": ("layers", on("conv2", "lin0")),
}
OLD: dict[str, dict[str, Variants]] = {  # what older releases save otherwise
    "0.10.0": {
        "OFT": _OFT,
        **{
            k: {"plain": RECIPES[k]["plain"]}
            for k in ("Lora", "AdaLora", "LoHa", "LoKr", "IA3", "Poly", "PromptTuning")
        },
        "PromptEncoder": {"mlp": RECIPES["PromptEncoder"]["mlp"]},
        "PrefixTuning": {k: RECIPES["PrefixTuning"][k] for k in ("plain", "projection")},
        "MultitaskPromptTuning": {"plain": RECIPES["MultitaskPromptTuning"]["plain"]},
    },
    "0.13.2": {
        "OFT": _OFT,
        "Lora": {k: LORA[k] for k in ("plain", "dora", "patterns", "head", "classifier", "gpt2-embeddings")},
        "BOFT": RECIPES["BOFT"],
        "Vera": RECIPES["Vera"],
        "LNTuning": {"plain": RECIPES["LNTuning"]["plain"]},
        **{k: {"plain": RECIPES[k]["plain"]} for k in ("FourierFT", "HRA", "VBLoRA", "XLora")},
    },
    "0.15.2": {
        "Bone": _BONE,
        "OFT": _OFT,
        "CPT": RECIPES["CPT"],
        "Lora": {k: LORA[k] for k in ("lora-bias", "tokens", "eva", "attention")},
        "TrainableTokens": RECIPES["TrainableTokens"],
        **{k: {"plain": RECIPES[k]["plain"]} for k in ("AdaLora", "XLora")},
    },
    "0.17.1": {
        "Bone": _BONE,
        "OFT": {k: RECIPES["OFT"][k] for k in ("plain", "shared", "conv")},
        "Lora": {k: LORA[k] for k in ("plain", "qalora", "alora", "tokens-tied", "parameter")},
        **{k: {"plain": RECIPES[k]["plain"]} for k in ("RandLora", "C3A", "Shira", "Miss", "LoKr", "XLora")},
    },
}
