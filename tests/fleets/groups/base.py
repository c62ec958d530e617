"""What tiny bases are built from, and the sizes that many of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import transformers

VOCABULARY, HIDDEN = 64, 16
PADDING = 63  # never in a batch
TASKS = {
    "CausalLM": "CAUSAL_LM",
    "SequenceClassification": "SEQ_CLS",
    "TokenClassification": "TOKEN_CLS",
    "QuestionAnswering": "QUESTION_ANS",
    "Seq2SeqLM": "SEQ_2_SEQ_LM",
    "TextEncoding": "FEATURE_EXTRACTION",
    "ImageClassification": None,
    "MaskedLM": None,
    "SpeechSeq2Seq": "SEQ_2_SEQ_LM",
    "AudioClassification": None,
    "CTC": None,
    "ImageTextToText": "CAUSAL_LM",
    "Model": "FEATURE_EXTRACTION",
    "AudioFrameClassification": None,
    "ImageModel": None,
    "MaskedImageModeling": None,
    "SemanticSegmentation": None,
    "TimeSeriesModel": None,
}


@dataclass(frozen=True, slots=True)
class Base:
    """What a base is built from: the class of its config, what differs from `SIZES` (without `...`), the auto class."""

    config: str
    auto: str
    changes: Mapping[str, Any]

    @property
    def task(self) -> str | None:
        return TASKS[self.auto]


SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 80,
    "pad_token_id": PADDING,
    "bos_token_id": 1,
    "eos_token_id": 2,
    # Far from zero, so that whatever an adapter touches moves the output by more than rounding does.
    "initializer_range": 0.1,
}
ENCODER_DECODER = {
    "d_model": HIDDEN,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "init_std": 0.1,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
T5 = {"d_model": HIDDEN, "d_ff": 32, "d_kv": 8, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
MOE = {"moe_intermediate_size": 16, "num_experts": 2, "num_experts_per_tok": 2}
GPT = {"n_embd": HIDDEN, "n_layer": 2, "n_head": 2, "n_positions": 80}
LABELS = {"num_labels": 3}
UNTIED, TIED = {"tie_word_embeddings": False}, {"tie_word_embeddings": True}
VISION = {"hidden_size": HIDDEN, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
PICTURES = VISION | {"image_size": 8, "patch_size": 4}
TEXT = {"vocab_size": VOCABULARY, "num_key_value_heads": 2, "max_position_embeddings": 80} | VISION
SPEECH = {
    "conv_dim": [8, 8], "conv_stride": [2, 2], "conv_kernel": [3, 3], "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8,
}  # fmt: skip
DEEPSEEK = MOE | {
    "n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
    "kv_lora_rank": 8, "q_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8, "head_dim": 4,
}  # fmt: skip
WAV = SPEECH | {"num_feat_extract_layers": 2}
UNBOUND: dict[str, Any] = {"max_position_embeddings": ...}
BY_STAGE: dict[str, Any] = {"num_hidden_layers": ..., "num_attention_heads": ...}
HYBRID = {"mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 4, "mamba_n_groups": 1, "mamba_chunk_size": 8}
PATCHES = {"image_size": 8, "patch_size": 4, "num_channels": 3}
LLAMA, CLIP, SIGLIP = (
    {"model_type": "llama", **TEXT},
    {"model_type": "clip_vision_model", **PICTURES},
    {"model_type": "siglip_vision_model", **PICTURES},
)
QWEN_VISION = {
    "depth": 2,
    "hidden_size": HIDDEN,
    "num_heads": 2,
    "patch_size": 4,
    "intermediate_size": 32,
    "out_hidden_size": HIDDEN,
    "fullatt_block_indexes": [1],
}


def base(config: str, auto: str = "CausalLM", **changes: Any) -> Base:
    return Base(config, auto, changes)


def buildable(
    group: dict[str, Base], *, only_4: frozenset[str] = frozenset(), only_5: frozenset[str] = frozenset()
) -> dict[str, Base]:
    """Those that the installed transformers, 4.56 or 5.23, has and builds."""
    missing = only_5 if transformers.__version__.startswith("4.") else only_4
    return {name: one for name, one in group.items() if name not in missing}
