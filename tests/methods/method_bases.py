"""Tiny base models on which adapters of every method are made, and an input for each.

Nothing is downloaded: models of transformers are built from the configs below, the others are the classes below. Sizes
differ wherever they may, so that a transposed tensor shows: `v_proj` of the Llama is 16 -> 8, `down_proj` 32 -> 16.
"""

from __future__ import annotations

import zlib
from typing import Any

import torch
import transformers
from torch import nn

VOCABULARY, HIDDEN = 64, 16
Config = dict[str, Any]


class Layers(nn.Module):
    """One layer of each kind that language models lack."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(VOCABULARY, HIDDEN)
        self.attn = nn.MultiheadAttention(HIDDEN, 2, batch_first=True)
        self.conv1 = nn.Conv1d(HIDDEN, HIDDEN, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 4, 3, padding=1, groups=2)
        self.point = nn.Conv2d(4, 4, 1)
        self.conv3 = nn.Conv3d(2, 4, 3, padding=1)
        self.norm = nn.LayerNorm(HIDDEN)
        self.lin0 = nn.Linear(HIDDEN, 24)
        self.lin1 = nn.Linear(24, 8, bias=False)

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor]:
        x = self.emb(input_ids)
        x = x + self.attn(x, x, x)[0]
        x = x + self.conv1(x.transpose(1, 2)).transpose(1, 2)
        rows, length, _ = x.shape
        flat = self.point(self.grouped(self.conv2(x.reshape(rows, length, 4, 4).transpose(1, 2))))
        x = x + flat.transpose(1, 2).reshape(rows, length, HIDDEN)
        deep = self.conv3(x.reshape(rows, 2, length, 2, 4))
        x = x + deep.mean(1).mean(-1).mean(-1)[..., None]
        return (self.lin1(self.lin0(self.norm(x))),)


class Stack(nn.Module):
    """Three equal linear layers in a list, and no config."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(nn.ModuleDict({"fc": nn.Linear(HIDDEN, HIDDEN)}) for _ in range(3))
        self.head = nn.Linear(HIDDEN, 8)

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor]:
        x = self.emb(input_ids)
        for layer in self.layers:
            x = x + layer["fc"](x).relu()  # type: ignore[index]
        return (self.head(x),)


CLASSES: dict[str, type[nn.Module]] = {"layers": Layers, "stack": Stack}
SIZES: Config = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 80,
    "pad_token_id": 63,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.1,  # far from zero, so that what an adapter does shows in the output
}
GROUPED = {"num_key_value_heads": 1}
UNTIED, TIED = GROUPED | {"tie_word_embeddings": False}, GROUPED | {"tie_word_embeddings": True}
GPT = {"n_embd": HIDDEN, "n_layer": 2, "n_head": 2, "n_positions": 80}
T5 = {"d_model": HIDDEN, "d_ff": 32, "d_kv": 4, "num_layers": 2, "num_heads": 2, "decoder_start_token_id": 0}
MOE = {"moe_intermediate_size": 12, "num_experts": 2, "num_experts_per_tok": 2, "head_dim": 8}
SPEECH = {
    "conv_dim": [8, 8], "conv_stride": [2, 2], "conv_kernel": [3, 3], "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8, "num_feat_extract_layers": 2,
}  # fmt: skip
OPT = {"ffn_dim": 32, "word_embed_proj_dim": 16, "init_std": 0.1}
WHISPER = {
    "d_model": HIDDEN, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "init_std": 0.1,
    "decoder_start_token_id": 2, "forced_eos_token_id": None, "num_mel_bins": 8, "max_source_positions": 8,
    "max_target_positions": 80, "suppress_tokens": None, "begin_suppress_tokens": None,
}  # fmt: skip
CONFIGS: dict[str, tuple[str, str, Config]] = {  # auto class, class of the config, what differs from SIZES
    "llama": ("CausalLM", "Llama", UNTIED),
    "llama-tied": ("CausalLM", "Llama", TIED),
    "llama-bias": ("CausalLM", "Llama", UNTIED | {"attention_bias": True, "mlp_bias": True}),
    "llama-no-cache": ("CausalLM", "Llama", UNTIED | {"use_cache": False}),
    "llama-cls": ("SequenceClassification", "Llama", GROUPED | {"num_labels": 3}),
    "llama-mha": ("CausalLM", "Llama", UNTIED | {"num_key_value_heads": 2}),
    "qwen2": ("CausalLM", "Qwen2", UNTIED),
    "gpt2": ("CausalLM", "GPT2", GPT),
    "opt": ("CausalLM", "OPT", OPT),
    "mixtral": ("CausalLM", "Mixtral", GROUPED | {"num_local_experts": 3, "intermediate_size": 12}),
    "qwen3-moe": ("CausalLM", "Qwen3Moe", GROUPED | MOE),
    "t5": ("Seq2SeqLM", "T5", T5),
    "bert-cls": ("SequenceClassification", "Bert", {"num_labels": 3}),
    "bert-tok": ("TokenClassification", "Bert", {"num_labels": 5}),
    "bert-qa": ("QuestionAnswering", "Bert", {}),
    "vit": ("ImageClassification", "ViT", {"image_size": 8, "patch_size": 4, "num_labels": 3}),
    "wav2vec2": ("AudioClassification", "Wav2Vec2", SPEECH | {"num_labels": 3}),
    "whisper": ("SpeechSeq2Seq", "Whisper", WHISPER),
    "siglip": ("", "SiglipVision", {"image_size": 8, "patch_size": 4}),
}


def build(name: str) -> nn.Module:
    """The base ``name``, in evaluation mode."""
    torch.manual_seed(zlib.crc32(name.encode()))
    if name in CLASSES:
        return CLASSES[name]().eval()
    auto, kind, changes = CONFIGS[name]
    config = getattr(transformers, f"{kind}Config")(**(SIZES | changes))
    made = getattr(transformers, f"AutoModel{'For' if auto else ''}{auto}")
    model: nn.Module = made.from_config(config).eval()
    return model


def batch(name: str) -> dict[str, torch.Tensor]:
    """An input of two rows for the base ``name``."""
    kind = CONFIGS[name][1] if name in CONFIGS else ""
    if kind in ("ViT", "SiglipVision"):
        return {"pixel_values": torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8).sin()}
    if kind == "Wav2Vec2":
        return {"input_values": torch.linspace(-9, 9, 2 * 200).reshape(2, 200).sin()}
    ids = torch.tensor([[9, 3, 0, 5, 6, 7, 13, 8, 4, 10, 11, 12, 14, 15, 1, 2], [*range(32, 46), 20, 2]])
    if kind == "Whisper":
        return {"input_features": torch.linspace(-9, 9, 2 * 8 * 16).reshape(2, 8, 16).sin(), "decoder_input_ids": ids}
    if name in CLASSES:
        return {"input_ids": ids}
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return given | ({"labels": ids[:, :8].clone()} if kind == "T5" else {})
