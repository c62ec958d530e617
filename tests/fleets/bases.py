"""Tiny base models of many architectures, built in memory with weights that follow from their names.

Nothing is downloaded. Where an adapter may reach into a base is read off the built model, not written down: the same
table serves every transformers release.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import transformers
from torch import nn
from transformers.pytorch_utils import Conv1D

VOCABULARY, HIDDEN = 64, 16
PADDING = 63  # never in a batch
TOKENS = 16  # the indices below are all in the batch
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


@dataclass(frozen=True, slots=True)
class Sites:
    """Last components of the module paths that an adapter may name, and the numbers of layers."""

    linears: tuple[str, ...]
    heads: tuple[str, ...]
    embeddings: tuple[str, ...]
    positions: tuple[str, ...]
    norms: tuple[str, ...]
    containers: tuple[str, ...]
    lists: tuple[str, ...]
    experts: tuple[str, ...]  # 3-D parameters
    paths: tuple[str, ...]


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


def _base(config: str, auto: str = "CausalLM", **changes: Any) -> Base:
    return Base(config, auto, changes)


FIRST: dict[str, Base] = {
    "llama": _base("Llama", num_hidden_layers=3, **UNTIED),
    "llama-tied": _base("Llama", **TIED),
    "llama-cls": _base("Llama", "SequenceClassification", **LABELS),
    "llama-tok": _base("Llama", "TokenClassification", num_labels=4),
    "llama-qa": _base("Llama", "QuestionAnswering"),
    "mistral": _base("Mistral", num_hidden_layers=3, num_key_value_heads=1),
    "qwen2-tied": _base("Qwen2", num_key_value_heads=1, **TIED),
    "qwen2": _base("Qwen2", num_hidden_layers=3, **UNTIED),
    "qwen3": _base("Qwen3", head_dim=8, **TIED),
    "gemma": _base("Gemma", head_dim=8, num_key_value_heads=1),
    "gemma2": _base("Gemma2", head_dim=8),
    "gemma3": _base("Gemma3Text", head_dim=8, num_hidden_layers=3),
    "phi": _base("Phi"),
    "phi3": _base("Phi3"),
    "gpt-neox": _base("GPTNeoX"),
    "gptj": _base("GPTJ", rotary_dim=4, **GPT),
    "gpt2": _base("GPT2", **GPT),
    "gpt2-cls": _base("GPT2", "SequenceClassification", **GPT, **LABELS),
    "bloom": _base("Bloom", n_layer=2, n_head=2),
    "falcon": _base("Falcon"),
    "stablelm": _base("StableLm", num_hidden_layers=3),
    "cohere": _base("Cohere"),
    "olmo2": _base("Olmo2"),
    "starcoder2": _base("Starcoder2"),
    "opt": _base("OPT", ffn_dim=32, word_embed_proj_dim=16, init_std=0.1),
    "opt-cls": _base("OPT", "SequenceClassification", ffn_dim=32, word_embed_proj_dim=16, init_std=0.1, **LABELS),
    "mamba": _base("Mamba", state_size=4, time_step_rank=2),
    "bart": _base("Bart", "Seq2SeqLM", **ENCODER_DECODER),
    "mbart": _base("MBart", "Seq2SeqLM", **ENCODER_DECODER),
    "marian": _base("Marian", "Seq2SeqLM", **ENCODER_DECODER),
    "t5": _base("T5", "Seq2SeqLM", **T5),
    "t5-encoder": _base("T5", "TextEncoding", **T5),
    "mt5": _base("MT5", "Seq2SeqLM", **T5),
    "bert-cls": _base("Bert", "SequenceClassification", **LABELS),
    "bert-tok": _base("Bert", "TokenClassification", num_labels=5),
    "bert-qa": _base("Bert", "QuestionAnswering"),
    # Positions are counted from the padding index: room for virtual tokens.
    "roberta-cls": _base("Roberta", "SequenceClassification", max_position_embeddings=96, **LABELS),
    "roberta-tok": _base("Roberta", "TokenClassification", max_position_embeddings=96, num_labels=5),
    "distilbert-cls": _base("DistilBert", "SequenceClassification", dim=HIDDEN, hidden_dim=32, n_layers=2, n_heads=2),
    "electra-cls": _base("Electra", "SequenceClassification", embedding_size=HIDDEN, **LABELS),
    "deberta-cls": _base(
        "DebertaV2", "SequenceClassification", relative_attention=True, pos_att_type=["p2c", "c2p"], **LABELS
    ),
    "albert-cls": _base("Albert", "SequenceClassification", embedding_size=HIDDEN, **LABELS),
    "vit": _base("ViT", "ImageClassification", image_size=8, patch_size=4, **LABELS),
    "mixtral": _base("Mixtral", num_local_experts=2),
    "qwen2-moe": _base("Qwen2Moe", shared_expert_intermediate_size=16, **MOE),
    "qwen3-moe": _base("Qwen3Moe", head_dim=8, **MOE),
    "olmoe": _base("Olmoe", num_experts=2, num_experts_per_tok=2),
}

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

SECOND: dict[str, Base] = {
    "mpt": _base("Mpt", d_model=HIDDEN, n_layers=2, n_heads=2, max_seq_len=80),
    "gpt-bigcode": _base("GPTBigCode", **GPT),
    "codegen": _base("CodeGen", rotary_dim=4, n_embd=32, n_head=4, n_layer=2, n_positions=80),
    "gpt-neo": _base("GPTNeo", num_layers=2, num_heads=2, attention_types=[[["global"], 2]]),
    "persimmon": _base("Persimmon"),
    "glm": _base("Glm", head_dim=8),
    "glm4": _base("Glm4", head_dim=8),
    "granite": _base("Granite", num_hidden_layers=3, **TIED),
    "granitemoe": _base("GraniteMoe", num_local_experts=2, num_experts_per_tok=2),
    "deepseek-v3": _base("DeepseekV3", **DEEPSEEK),
    "phimoe": _base("Phimoe", num_local_experts=2, sliding_window=None),
    "nemotron": _base("Nemotron"),
    "olmo": _base("Olmo"),
    "cohere2": _base("Cohere2", num_hidden_layers=3),
    "smollm3": _base("SmolLM3", num_hidden_layers=3, pad_token_id=PADDING),
    "gpt-oss": _base("GptOss", head_dim=8, num_local_experts=4, num_experts_per_tok=2),
    "qwen3-cls": _base("Qwen3", "SequenceClassification", head_dim=8, **LABELS),
    "mixtral-cls": _base("Mixtral", "SequenceClassification", num_local_experts=2, **LABELS),
    "phi3-tok": _base("Phi3", "TokenClassification", num_labels=4),
    "llama-model": _base("Llama", "Model", num_hidden_layers=4),
    "mamba2": _base("Mamba2", state_size=4, num_heads=4, head_dim=8, n_groups=1, chunk_size=8),
    "jamba": _base("Jamba", num_experts=2, mamba_d_state=4, mamba_dt_rank=2, use_mamba_kernels=False,
                   attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2, expert_layer_offset=1),
    "xglm": _base("XGLM", d_model=HIDDEN, ffn_dim=32, num_layers=2, attention_heads=2, init_std=0.1),
    "biogpt": _base("BioGpt"),
    "ctrl": _base("CTRL", dff=32, **GPT),
    "bert-lm": _base("Bert", "MaskedLM"),
    "bert-decoder": _base("Bert", is_decoder=True),
    "bert-model": _base("Bert", "Model"),
    "xlm-roberta": _base("XLMRoberta", "SequenceClassification", max_position_embeddings=96, **LABELS),
    "roberta-lm": _base("Roberta", "MaskedLM", max_position_embeddings=96),
    "modernbert": _base("ModernBert", "SequenceClassification", num_hidden_layers=2, cls_token_id=1, sep_token_id=2,
                        **LABELS),
    "deberta-v1": _base("Deberta", "TokenClassification", num_labels=5),
    "mpnet": _base("MPNet", "SequenceClassification", max_position_embeddings=96, **LABELS),
    "camembert-tok": _base("Camembert", "TokenClassification", max_position_embeddings=96, num_labels=5),
    "electra-tok": _base("Electra", "TokenClassification", embedding_size=8, num_labels=4),
    "albert-qa": _base("Albert", "QuestionAnswering", embedding_size=8),
    "distilbert-qa": _base("DistilBert", "QuestionAnswering", dim=HIDDEN, hidden_dim=32, n_layers=2, n_heads=2),
    "convbert": _base("ConvBert", "SequenceClassification", embedding_size=HIDDEN, num_attention_heads=4, **LABELS),
    "squeezebert": _base("SqueezeBert", "SequenceClassification", embedding_size=HIDDEN, **LABELS),
    "pegasus": _base("Pegasus", "Seq2SeqLM", **ENCODER_DECODER),
    "m2m": _base("M2M100", "Seq2SeqLM", **ENCODER_DECODER),
    "blenderbot": _base("Blenderbot", "Seq2SeqLM", **ENCODER_DECODER),
    "bart-cls": _base("Bart", "SequenceClassification", **ENCODER_DECODER, **LABELS),
    "umt5": _base("UMT5", "Seq2SeqLM", **T5),
    "t5-cls": _base("T5", "SequenceClassification", **T5, **LABELS),
    "t5-gated": _base("T5", "Seq2SeqLM", feed_forward_proj="gated-gelu", **UNTIED, **T5),
    "whisper": _base("Whisper", "SpeechSeq2Seq", num_mel_bins=8, max_source_positions=8, max_target_positions=80,
                     suppress_tokens=None, begin_suppress_tokens=None, **ENCODER_DECODER),
    "wav2vec2": _base("Wav2Vec2", "AudioClassification", **SPEECH, **LABELS),
    "clip-text": _base("CLIPText", "TextEncoding", projection_dim=HIDDEN),
    "dinov2": _base("Dinov2", "ImageClassification", image_size=8, patch_size=4, **LABELS),
    "beit": _base("Beit", "ImageClassification", image_size=8, patch_size=4, **LABELS),
    "resnet": _base("ResNet", "ImageClassification", embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], **LABELS),
    "convnext": _base("ConvNext", "ImageClassification", hidden_sizes=[8, 16], depths=[1, 1], num_stages=2,
                      patch_size=2, **LABELS),
    "llava": _base("Llava", "ImageTextToText", vision_config={"model_type": "clip_vision_model", **PICTURES},
                   text_config={"model_type": "llama", **TEXT}, image_token_index=62),
    "qwen2-vl": _base(
        "Qwen2VL", "ImageTextToText", image_token_id=60, video_token_id=61, vision_start_token_id=58,
        text_config={**TEXT, "rope_scaling": {"type": "default", "mrope_section": [1, 1, 2]}},
        vision_config={"depth": 2, "embed_dim": HIDDEN, "hidden_size": HIDDEN, "num_heads": 2, "patch_size": 4},
    ),
    "gemma3-vl": _base("Gemma3", "ImageTextToText", text_config={**TEXT, "head_dim": 8},
                       vision_config={"model_type": "siglip_vision_model", **PICTURES}, mm_tokens_per_image=4),
}  # fmt: skip
"""Other architectures and heads than `FIRST`; a fleet on `codegen` cannot be judged, whose forward pass fails."""

SEQ2SEQ = ENCODER_DECODER
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

THIRD: dict[str, Base] = {
    "lfm2": _base("Lfm2", layer_types=["conv", "full_attention"], block_ff_dim=32),
    "lfm2-three": _base("Lfm2", num_hidden_layers=3, layer_types=["conv", "conv", "full_attention"], **UNTIED),
    "granite-hybrid": _base("GraniteMoeHybrid", layer_types=["mamba", "attention"], num_local_experts=2,
                            num_experts_per_tok=2, shared_intermediate_size=16, **HYBRID),
    "granite-hybrid-dense": _base("GraniteMoeHybrid", layer_types=["attention", "mamba"], num_local_experts=0,
                                  num_experts_per_tok=0, shared_intermediate_size=16, **HYBRID),
    "granite-shared": _base("GraniteMoeShared", num_local_experts=2, num_experts_per_tok=2,
                            shared_intermediate_size=16),
    "bamba": _base("Bamba", attn_layer_indices=[1], **HYBRID),
    "arcee": _base("Arcee", head_dim=8),
    "apertus": _base("Apertus"),
    "exaone4": _base("Exaone4", num_hidden_layers=4, sliding_window=8, layer_types=["sliding_attention"] * 3
                     + ["full_attention"]),
    "ernie4-5": _base("Ernie4_5", head_dim=8, **TIED),
    "ernie4-5-moe": _base("Ernie4_5_Moe", moe_num_experts=4, moe_k=2, moe_intermediate_size=16,
                          moe_num_shared_experts=1, moe_layer_start_index=1),
    "helium": _base("Helium", head_dim=8),
    "seed-oss": _base("SeedOss", head_dim=8, **UNTIED),
    "falcon-h1": _base("FalconH1", mamba_d_ssm=32, **HYBRID),
    "falcon-mamba": _base("FalconMamba", state_size=4, time_step_rank=2),
    "zamba2": _base("Zamba2", mamba_d_state=4, mamba_headdim=8, mamba_ngroups=1, n_mamba_heads=4, chunk_size=8,
                    num_mem_blocks=1, adapter_rank=4, use_mem_rope=False, attention_head_dim=16,
                    num_hidden_layers=3, layers_block_type=["mamba", "hybrid", "mamba"], hybrid_layer_ids=[1]),
    "deepseek-v2": _base("DeepseekV2", **(DEEPSEEK | {"num_experts": ...})),
    "dots1": _base("Dots1", **DEEPSEEK),
    "glm4-moe": _base("Glm4Moe", **DEEPSEEK),
    "hunyuan": _base("HunYuanDenseV1", head_dim=8),
    "hunyuan-moe": _base("HunYuanMoEV1", head_dim=8, num_experts=2, moe_topk=[1, 1]),
    "jetmoe": _base("JetMoe", num_local_experts=2, num_experts_per_tok=2, kv_channels=8, num_key_value_heads=1),
    "minimax": _base("MiniMax", head_dim=8, num_local_experts=2, block_size=8,
                     layer_types=["linear_attention", "full_attention"]),
    "bitnet": _base("BitNet"),
    "diffllama": _base("DiffLlama"),
    "doge": _base("Doge"),
    "modernbert-decoder": _base("ModernBertDecoder"),
    "recurrent-gemma": _base("RecurrentGemma", num_hidden_layers=3, lru_width=HIDDEN, attention_window_size=16),
    "gemma3n": _base("Gemma3nText", head_dim=8, vocab_size_per_layer_input=VOCABULARY, hidden_size_per_layer_input=8,
                     laurel_rank=4, altup_num_inputs=2, num_kv_shared_layers=0, activation_sparsity_pattern=None,
                     layer_types=["sliding_attention", "full_attention"], intermediate_size=32),
    "openai-gpt": _base("OpenAIGPT", **GPT),
    "gpt-neox-japanese": _base("GPTNeoXJapanese", intermediate_multiple_size=2),
    "xlnet": _base("XLNet", **UNBOUND, d_model=HIDDEN, n_layer=2, n_head=2, d_inner=32),
    "xlm": _base("XLM", emb_dim=HIDDEN, n_layers=2, n_heads=2, n_words=VOCABULARY, pad_index=PADDING),
    "rwkv": _base("Rwkv", attention_hidden_size=HIDDEN, context_length=80),
    "megatron-bert": _base("MegatronBert"),
    "bert-generation": _base("BertGeneration", is_decoder=True),
    "bart-lm": _base("Bart", **SEQ2SEQ),
    "qwen2-cls": _base("Qwen2", "SequenceClassification", **LABELS),
    "gemma2-tok": _base("Gemma2", "TokenClassification", head_dim=8, num_labels=4),
    "falcon-qa": _base("Falcon", "QuestionAnswering"),
    "big-bird": _base("BigBird", "SequenceClassification", attention_type="original_full", **LABELS),
    "rembert": _base("RemBert", "SequenceClassification", input_embedding_size=8, output_embedding_size=8, **LABELS),
    "roformer": _base("RoFormer", "TokenClassification", embedding_size=HIDDEN, num_labels=4),
    "nystromformer": _base("Nystromformer", "SequenceClassification", num_landmarks=4, segment_means_seq_len=16,
                           **LABELS),
    "ibert": _base("IBert", "SequenceClassification", max_position_embeddings=96, **LABELS),
    "mra": _base("Mra", "SequenceClassification", max_position_embeddings=96, **LABELS),
    "yoso": _base("Yoso", "SequenceClassification", max_position_embeddings=96, use_expectation=True, **LABELS),
    "mobilebert": _base("MobileBert", "SequenceClassification", embedding_size=HIDDEN, intra_bottleneck_size=8,
                        true_hidden_size=8, **LABELS),
    "layoutlm": _base("LayoutLM", "TokenClassification", num_labels=4),
    "esm": _base("Esm", "SequenceClassification", max_position_embeddings=96, mask_token_id=61, **LABELS),
    "funnel": _base("Funnel", "SequenceClassification", **BY_STAGE, d_model=HIDDEN, n_head=2, d_head=8, d_inner=32,
                    block_sizes=[1, 1], **LABELS),
    "longformer": _base("Longformer", "SequenceClassification", max_position_embeddings=96, attention_window=4,
                        **LABELS),
    "luke": _base("Luke", "SequenceClassification", max_position_embeddings=96, entity_vocab_size=8,
                  entity_emb_size=8, **LABELS),
    "roberta-prenorm": _base("RobertaPreLayerNorm", "SequenceClassification", max_position_embeddings=96, **LABELS),
    "xmod": _base("Xmod", "SequenceClassification", max_position_embeddings=96, default_language="en_XX",
                  languages=["en_XX", "de_DE"], **LABELS),
    "xlm-roberta-xl": _base("XLMRobertaXL", "TokenClassification", max_position_embeddings=96, num_labels=4),
    "data2vec-text": _base("Data2VecText", "SequenceClassification", max_position_embeddings=96, **LABELS),
    "ernie": _base("Ernie", "QuestionAnswering"),
    "ernie-lm": _base("Ernie", "MaskedLM"),
    "flaubert": _base("Flaubert", "SequenceClassification", emb_dim=HIDDEN, n_layers=2, n_heads=2,
                      n_words=VOCABULARY, pad_index=PADDING, **LABELS),
    "xlnet-cls": _base("XLNet", "SequenceClassification", **UNBOUND, d_model=HIDDEN, n_layer=2, n_head=2, d_inner=32,
                       **LABELS),
    "modernbert-lm": _base("ModernBert", "MaskedLM", num_hidden_layers=2, cls_token_id=1, sep_token_id=2),
    "xlm-roberta-tok": _base("XLMRoberta", "TokenClassification", max_position_embeddings=96, num_labels=5),
    "deberta-lm": _base("DebertaV2", "MaskedLM", relative_attention=True, pos_att_type=["p2c", "c2p"],
                        position_buckets=8),
    "led": _base("LED", "Seq2SeqLM", attention_window=4, max_encoder_position_embeddings=80,
                 max_decoder_position_embeddings=80, **SEQ2SEQ),
    "longt5": _base("LongT5", "Seq2SeqLM", local_radius=4, global_block_size=4, **T5),
    "plbart": _base("PLBart", "Seq2SeqLM", **SEQ2SEQ),
    "mvp": _base("Mvp", "Seq2SeqLM", **SEQ2SEQ),
    "blenderbot-small": _base("BlenderbotSmall", "Seq2SeqLM", **SEQ2SEQ),
    "prophetnet": _base("ProphetNet", "Seq2SeqLM", num_hidden_layers=..., num_encoder_layers=2, num_decoder_layers=2,
                        num_encoder_attention_heads=2, num_decoder_attention_heads=2, encoder_ffn_dim=32,
                        decoder_ffn_dim=32, init_std=0.1, decoder_start_token_id=2),
    "pegasus-x": _base("PegasusX", "Seq2SeqLM", block_size=4, num_global_tokens=4, **SEQ2SEQ),
    "switch": _base("SwitchTransformers", "Seq2SeqLM", num_experts=2, num_sparse_encoder_layers=1,
                    num_sparse_decoder_layers=1, expert_capacity=64, **T5),
    "nllb-moe": _base("NllbMoe", "Seq2SeqLM", num_experts=2, expert_capacity=64, encoder_sparse_step=2,
                      decoder_sparse_step=2, **SEQ2SEQ),
    "t5gemma": _base("T5Gemma", "Seq2SeqLM", encoder={**TEXT, "head_dim": 8}, decoder={**TEXT, "head_dim": 8}),
    "mt5-cls": _base("MT5", "SequenceClassification", **T5, **LABELS),
    "deit": _base("DeiT", "ImageClassification", architectures=["DeiTForImageClassification"], **PATCHES, **LABELS),
    "vit-msn": _base("ViTMSN", "ImageClassification", **PATCHES, **LABELS),
    "dinov2-registers": _base("Dinov2WithRegisters", "ImageClassification", num_register_tokens=2, **PATCHES,
                              **LABELS),
    "ijepa": _base("IJepa", "ImageClassification", **PATCHES, **LABELS),
    "data2vec-vision": _base("Data2VecVision", "ImageClassification", **PATCHES, **LABELS),
    "swin": _base("Swin", "ImageClassification", **BY_STAGE, image_size=8, patch_size=2, embed_dim=8, depths=[1, 1],
                  num_heads=[1, 2], window_size=2, **LABELS),
    "swinv2": _base("Swinv2", "ImageClassification", **BY_STAGE, image_size=8, patch_size=2, embed_dim=8, depths=[1, 1],
                    num_heads=[1, 2], window_size=2, **LABELS),
    "segformer": _base("Segformer", "ImageClassification", num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1],
                       hidden_sizes=[8, 16], patch_sizes=[3, 3], strides=[2, 2], num_attention_heads=[1, 2],
                       mlp_ratios=[2, 2], decoder_hidden_size=8, **LABELS),
    "siglip": _base("Siglip", "ImageClassification", vision_config=PICTURES, text_config=TEXT, **LABELS),
    "clip": _base("CLIP", "ImageClassification", vision_config=PICTURES, text_config=TEXT, projection_dim=8,
                  **LABELS),
    "convnextv2": _base("ConvNextV2", "ImageClassification", hidden_sizes=[8, 16], depths=[1, 1], num_stages=2,
                        patch_size=2, **LABELS),
    "pvt-v2": _base("PvtV2", "ImageClassification", image_size=8, num_encoder_blocks=2, depths=[1, 1],
                    sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[3, 3], strides=[2, 2],
                    num_attention_heads=[1, 2], mlp_ratios=[2, 2], **LABELS),
    "poolformer": _base("PoolFormer", "ImageClassification", depths=[1, 1], hidden_sizes=[8, 16],
                        patch_sizes=[3, 3], strides=[2, 2], padding=[1, 1], num_encoder_blocks=2, **LABELS),
    "hubert": _base("Hubert", "AudioClassification", **WAV, **LABELS),
    "wavlm": _base("WavLM", "AudioClassification", num_buckets=8, max_bucket_distance=16, **WAV, **LABELS),
    "wav2vec2-ctc": _base("Wav2Vec2", "CTC", **WAV),
    "hubert-ctc": _base("Hubert", "CTC", **WAV),
    "data2vec-audio": _base("Data2VecAudio", "AudioClassification", conv_pos_kernel_size=3, **WAV, **LABELS),
    "sew": _base("SEW", "AudioClassification", squeeze_factor=1, **WAV, **LABELS),
    "unispeech-sat": _base("UniSpeechSat", "AudioClassification", **WAV, **LABELS),
    "wav2vec2-conformer": _base("Wav2Vec2Conformer", "AudioClassification", conv_depthwise_kernel_size=3, **WAV,
                                **LABELS),
    "paligemma": _base("PaliGemma", "ImageTextToText", text_config={"model_type": "gemma", **TEXT, "head_dim": 8},
                       vision_config={**SIGLIP, "projection_dim": HIDDEN}, image_token_index=62,
                       projection_dim=HIDDEN),
    "idefics3": _base("Idefics3", "ImageTextToText", text_config=LLAMA, vision_config=PICTURES, image_token_id=62,
                      scale_factor=2),
    "smolvlm": _base("SmolVLM", "ImageTextToText", text_config=LLAMA, vision_config=PICTURES, image_token_id=62,
                     scale_factor=2),
    "llava-next": _base("LlavaNext", "ImageTextToText", vision_config=CLIP, text_config=LLAMA, image_token_index=62,
                        image_grid_pinpoints=[[8, 8]]),
    "llava-onevision": _base("LlavaOnevision", "ImageTextToText", vision_config=SIGLIP, image_token_index=62,
                             video_token_index=61, text_config={"model_type": "qwen2", **TEXT}),
    "mistral3": _base("Mistral3", "ImageTextToText", text_config={"model_type": "mistral", **TEXT, "head_dim": 8},
                      vision_config={"model_type": "pixtral", **PICTURES, "head_dim": 8}, image_token_index=62),
    "qwen2-5-vl": _base("Qwen2_5_VL", "ImageTextToText", image_token_id=60, video_token_id=61,
                        vision_start_token_id=58, vision_config=QWEN_VISION,
                        text_config={**TEXT, "rope_scaling": {"type": "default", "mrope_section": [1, 1, 2]}}),
    "vipllava": _base("VipLlava", "ImageTextToText", vision_config={**CLIP, "num_hidden_layers": 3},
                      text_config=LLAMA, image_token_index=62, vision_feature_layers=[-1, -2]),
    "internvl": _base("InternVL", "ImageTextToText", text_config={"model_type": "qwen2", **TEXT}, image_token_id=62,
                      vision_config={**VISION, "image_size": [8, 8], "patch_size": [4, 4]}),
}  # fmt: skip
"""Architectures and heads that are in neither of the two: the measure of what is said of a base never seen before."""


UNCACHED = {"use_cache": False}
SPECIAL: dict[str, Base] = {
    "llama-uncached": _base("Llama", num_hidden_layers=3, **UNTIED, **UNCACHED),
    "llama-cls-uncached": _base("Llama", "SequenceClassification", **LABELS, **UNCACHED),
    "mistral-uncached": _base("Mistral", num_hidden_layers=3, num_key_value_heads=1, **UNCACHED),
    "mistral-cls": _base("Mistral", "SequenceClassification", **LABELS),
    "qwen2-uncached": _base("Qwen2", num_key_value_heads=1, **TIED, **UNCACHED),
    "gemma-uncached": _base("Gemma", head_dim=8, num_key_value_heads=1, **UNCACHED),
    "gpt2-uncached": _base("GPT2", **GPT, **UNCACHED),
    "gpt2-tok": _base("GPT2", "TokenClassification", **GPT, num_labels=4),
    "opt-uncached": _base("OPT", ffn_dim=32, word_embed_proj_dim=16, init_std=0.1, **UNCACHED),
    "phi3-uncached": _base("Phi3", **UNCACHED),
    "bert-uncached": _base("Bert", "SequenceClassification", **LABELS, **UNCACHED),
}
"""For X-LoRA, which refuses bases that cache keys and values, and for adaption prompts, which three families take."""


BASES = FIRST | SECOND | THIRD | SPECIAL
GROUPS = {"first": FIRST, "second": SECOND, "third": THIRD, "special": SPECIAL}


def build(name: str) -> nn.Module:
    """The base ``name``, in evaluation mode; leaves torch's generator in a state that follows from the name."""
    base = BASES[name]
    sizes = {key: value for key, value in (SIZES | dict(base.changes)).items() if value is not ...}
    config = getattr(transformers, f"{base.config}Config")(**sizes)
    torch.manual_seed(zlib.crc32(name.encode()))
    auto = getattr(transformers, "AutoModel" if base.auto == "Model" else f"AutoModelFor{base.auto}")
    model: nn.Module = auto.from_config(config).eval()
    return model


def batch(name: str) -> dict[str, torch.Tensor]:
    """An input of two rows for the base ``name``: every index below `TOKENS`, and some above."""
    auto = BASES[name].auto
    if auto == "ImageClassification":
        return {"pixel_values": torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8).sin()}
    if auto in ("AudioClassification", "CTC"):
        return {"input_values": torch.linspace(-9, 9, 2 * 200).reshape(2, 200).sin()}
    ids = torch.tensor([[9, 3, 0, 5, 6, 7, 13, 8, 4, 10, 11, 12, 14, 15, 1, 2], [*range(32, 46), 20, 2]])
    if auto == "SpeechSeq2Seq":
        return {"input_features": torch.linspace(-9, 9, 2 * 8 * 16).reshape(2, 8, 16).sin(), "decoder_input_ids": ids}
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if auto == "Seq2SeqLM":
        given["decoder_input_ids"] = ids[:, :8].clone()
    return given


@cache
def sites(name: str) -> Sites:
    """Where adapters may reach into the base ``name``."""
    model = build(name)
    found: dict[str, set[str]] = {kind: set() for kind in Sites.__dataclass_fields__}
    for path, module in model.named_modules():
        last, kind = path.rpartition(".")[2], _kind(module, path)
        if last.isdigit() or not path:
            continue
        found["paths"].add(path)
        if "." not in path and path not in (model.base_model_prefix, "encoder", "decoder", "shared"):
            kind = "heads"
        if kind:
            found[kind].add(last)
    for path, parameter in model.named_parameters():
        if parameter.ndim == 3 and "expert" in path:
            found["experts"].add(".".join(path.split(".")[-2:]))
    return Sites(**{kind: tuple(sorted(names)) for kind, names in found.items()})


def _kind(module: nn.Module, path: str) -> str | None:
    if isinstance(module, nn.Linear | Conv1D):
        return "linears"
    if isinstance(module, nn.Embedding):
        tokens = module.num_embeddings == VOCABULARY and "position" not in path
        return "embeddings" if tokens else "positions"
    if isinstance(module, nn.ModuleList):
        return "lists"
    if any(True for _ in module.children()):
        return "containers"
    return "norms" if any(True for _ in module.parameters()) and "orm" in type(module).__name__ else None
