"""For X-LoRA, which refuses bases that cache keys and values, and for adaption prompts, which three families take."""

from __future__ import annotations

from groups.base import GPT, LABELS, TIED, UNTIED, Base, base

UNCACHED = {"use_cache": False}
SPECIAL: dict[str, Base] = {
    "llama-uncached": base("Llama", num_hidden_layers=3, **UNTIED, **UNCACHED),
    "llama-cls-uncached": base("Llama", "SequenceClassification", **LABELS, **UNCACHED),
    "mistral-uncached": base("Mistral", num_hidden_layers=3, num_key_value_heads=1, **UNCACHED),
    "mistral-cls": base("Mistral", "SequenceClassification", **LABELS),
    "qwen2-uncached": base("Qwen2", num_key_value_heads=1, **TIED, **UNCACHED),
    "gemma-uncached": base("Gemma", head_dim=8, num_key_value_heads=1, **UNCACHED),
    "gpt2-uncached": base("GPT2", **GPT, **UNCACHED),
    "gpt2-tok": base("GPT2", "TokenClassification", **GPT, num_labels=4),
    "opt-uncached": base("OPT", ffn_dim=32, word_embed_proj_dim=16, init_std=0.1, **UNCACHED),
    "phi3-uncached": base("Phi3", **UNCACHED),
    "bert-uncached": base("Bert", "SequenceClassification", **LABELS, **UNCACHED),
}
