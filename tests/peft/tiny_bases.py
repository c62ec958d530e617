"""Tiny random bases for the scripts here that record real PEFT; needs torch and transformers, of any release."""

from __future__ import annotations

import torch
import transformers
from torch import nn

VOCABULARY, HIDDEN = 64, 16
NAMES = (
    *("llama", "llama-tied", "llama-cls", "mixtral", "gpt2", "bert-cls", "bert-tok", "bert-qa"),
    *("custom", "convolutions"),
)


class Custom(nn.Module):
    """A base with what language models do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(VOCABULARY, HIDDEN)
        self.attn = nn.MultiheadAttention(HIDDEN, 2, batch_first=True)
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.lin0 = nn.Linear(HIDDEN, HIDDEN)
        self.lin1 = nn.Linear(HIDDEN, 8)

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor]:
        x = self.emb(input_ids)
        x = x + self.attn(x, x, x)[0]
        x = x + self.conv(x[:, None]).mean(1)
        return (self.lin1(self.lin0(x)),)


class Convolutions(nn.Module):
    """A base of convolutions in one, two and three dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.emb = nn.Embedding(VOCABULARY, HIDDEN)
        self.one = nn.Conv1d(HIDDEN, HIDDEN, 3, padding=1)
        self.grouped = nn.Conv1d(HIDDEN, HIDDEN, 3, padding=1, groups=4)
        self.two = nn.Conv2d(1, 8, 3, padding=1)
        self.three = nn.Conv3d(1, 8, 3, padding=1)

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor]:
        x = self.emb(input_ids)
        x = x + self.grouped(self.one(x.transpose(1, 2))).transpose(1, 2)
        x = x + self.two(x[:, None]).mean(1)
        return (x + self.three(x[:, None, None]).mean((1, 2)),)


def base(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name in ("custom", "convolutions"):
        return (Custom if name == "custom" else Convolutions)().eval()
    sizes = {"vocab_size": VOCABULARY, "num_hidden_layers": 2, "num_attention_heads": 2, "pad_token_id": 0}
    blocks = sizes | {"hidden_size": HIDDEN, "intermediate_size": 32}
    llama = blocks | {"num_key_value_heads": 2}
    gpt2 = {"vocab_size": VOCABULARY, "n_embd": HIDDEN, "n_layer": 2, "n_head": 2}
    kind, config = {
        "llama": ("CausalLM", transformers.LlamaConfig(**llama)),
        "llama-tied": ("CausalLM", transformers.LlamaConfig(**llama, tie_word_embeddings=True)),
        "llama-cls": ("SequenceClassification", transformers.LlamaConfig(**llama, num_labels=3)),
        "mixtral": ("CausalLM", transformers.MixtralConfig(**llama, num_local_experts=2)),
        "gpt2": ("CausalLM", transformers.GPT2Config(**gpt2)),
        "bert-cls": ("SequenceClassification", transformers.BertConfig(**blocks, num_labels=3)),
        "bert-tok": ("TokenClassification", transformers.BertConfig(**blocks, num_labels=3)),
        "bert-qa": ("QuestionAnswering", transformers.BertConfig(**blocks)),
    }[name]
    return getattr(transformers, f"AutoModelFor{kind}").from_config(config).eval()


def output(model: nn.Module) -> torch.Tensor:
    ids = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8]])
    with torch.no_grad():
        result = model(input_ids=ids)
    return result.logits if hasattr(result, "logits") else result[0]
