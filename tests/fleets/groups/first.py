"""Well-known architectures and heads."""

from __future__ import annotations

from groups.base import ENCODER_DECODER, GPT, HIDDEN, LABELS, MOE, T5, TIED, UNTIED, Base, base

FIRST: dict[str, Base] = {
    "llama": base("Llama", num_hidden_layers=3, **UNTIED),
    "llama-tied": base("Llama", **TIED),
    "llama-cls": base("Llama", "SequenceClassification", **LABELS),
    "llama-tok": base("Llama", "TokenClassification", num_labels=4),
    "llama-qa": base("Llama", "QuestionAnswering"),
    "mistral": base("Mistral", num_hidden_layers=3, num_key_value_heads=1),
    "qwen2-tied": base("Qwen2", num_key_value_heads=1, **TIED),
    "qwen2": base("Qwen2", num_hidden_layers=3, **UNTIED),
    "qwen3": base("Qwen3", head_dim=8, **TIED),
    "gemma": base("Gemma", head_dim=8, num_key_value_heads=1),
    "gemma2": base("Gemma2", head_dim=8),
    "gemma3": base("Gemma3Text", head_dim=8, num_hidden_layers=3),
    "phi": base("Phi"),
    "phi3": base("Phi3"),
    "gpt-neox": base("GPTNeoX"),
    "gptj": base("GPTJ", rotary_dim=4, **GPT),
    "gpt2": base("GPT2", **GPT),
    "gpt2-cls": base("GPT2", "SequenceClassification", **GPT, **LABELS),
    "bloom": base("Bloom", n_layer=2, n_head=2),
    "falcon": base("Falcon"),
    "stablelm": base("StableLm", num_hidden_layers=3),
    "cohere": base("Cohere"),
    "olmo2": base("Olmo2"),
    "starcoder2": base("Starcoder2"),
    "opt": base("OPT", ffn_dim=32, word_embed_proj_dim=16, init_std=0.1),
    "opt-cls": base("OPT", "SequenceClassification", ffn_dim=32, word_embed_proj_dim=16, init_std=0.1, **LABELS),
    "mamba": base("Mamba", state_size=4, time_step_rank=2),
    "bart": base("Bart", "Seq2SeqLM", **ENCODER_DECODER),
    "mbart": base("MBart", "Seq2SeqLM", **ENCODER_DECODER),
    "marian": base("Marian", "Seq2SeqLM", **ENCODER_DECODER),
    "t5": base("T5", "Seq2SeqLM", **T5),
    "t5-encoder": base("T5", "TextEncoding", **T5),
    "mt5": base("MT5", "Seq2SeqLM", **T5),
    "bert-cls": base("Bert", "SequenceClassification", **LABELS),
    "bert-tok": base("Bert", "TokenClassification", num_labels=5),
    "bert-qa": base("Bert", "QuestionAnswering"),
    # Positions are counted from the padding index: room for virtual tokens.
    "roberta-cls": base("Roberta", "SequenceClassification", max_position_embeddings=96, **LABELS),
    "roberta-tok": base("Roberta", "TokenClassification", max_position_embeddings=96, num_labels=5),
    "distilbert-cls": base("DistilBert", "SequenceClassification", dim=HIDDEN, hidden_dim=32, n_layers=2, n_heads=2),
    "electra-cls": base("Electra", "SequenceClassification", embedding_size=HIDDEN, **LABELS),
    "deberta-cls": base(
        "DebertaV2", "SequenceClassification", relative_attention=True, pos_att_type=["p2c", "c2p"], **LABELS
    ),
    "albert-cls": base("Albert", "SequenceClassification", embedding_size=HIDDEN, **LABELS),
    "vit": base("ViT", "ImageClassification", image_size=8, patch_size=4, **LABELS),
    "mixtral": base("Mixtral", num_local_experts=2),
    "qwen2-moe": base("Qwen2Moe", shared_expert_intermediate_size=16, **MOE),
    "qwen3-moe": base("Qwen3Moe", head_dim=8, **MOE),
    "olmoe": base("Olmoe", num_experts=2, num_experts_per_tok=2),
}
