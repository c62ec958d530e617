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
}


@dataclass(frozen=True, slots=True)
class Base:
    """What a base is built from: the class of its config, what differs from `SIZES`, the auto class that builds it."""

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


BASES: dict[str, Base] = {
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


def build(name: str) -> nn.Module:
    """The base ``name``, in evaluation mode; leaves torch's generator in a state that follows from the name."""
    base = BASES[name]
    config = getattr(transformers, f"{base.config}Config")(**(SIZES | dict(base.changes)))
    torch.manual_seed(zlib.crc32(name.encode()))
    auto = getattr(transformers, f"AutoModelFor{base.auto}")
    model: nn.Module = auto.from_config(config).eval()
    return model


def batch(name: str) -> dict[str, torch.Tensor]:
    """An input of two rows for the base ``name``: every index below `TOKENS`, and some above."""
    if BASES[name].auto == "ImageClassification":
        return {"pixel_values": torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8).sin()}
    ids = torch.tensor([[9, 3, 0, 5, 6, 7, 13, 8, 4, 10, 11, 12, 14, 15, 1, 2], [*range(32, 46), 20, 2]])
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if BASES[name].auto == "Seq2SeqLM":
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
