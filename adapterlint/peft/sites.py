"""What the modules of common architectures are called, as far as rules have to know without a base model."""

from __future__ import annotations

from collections.abc import Mapping

COMMON_TARGETS = frozenset(
    " ".join(
        (
            "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj",  # Llama, Mistral, Qwen, Gemma
            "qkv_proj gate_up_proj",  # Phi-3
            "dense fc1 fc2 out_proj fc_in fc_out",  # Phi, OPT, BART, Whisper, CLIP, GPT-J
            "kv_a_proj_with_mqa kv_b_proj q_a_proj q_b_proj",  # DeepSeek
            "w1 w2 w3 gate wqkv wo W_pack",  # Mixtral, InternLM2, Baichuan
            "c_attn c_proj c_fc",  # GPT-2
            "query_key_value dense_h_to_4h dense_4h_to_h",  # GPT-NeoX, BLOOM, Falcon, ChatGLM
            "Wqkv in_proj x_proj dt_proj conv1d",  # MPT, Mamba
            "in_proj_qkv in_proj_z in_proj_a in_proj_b in_proj_qkvz in_proj_ba",  # Qwen3-Next
            "query key value query_proj key_proj value_proj",  # BERT, RoBERTa, ViT, DeBERTa
            "q_lin k_lin v_lin out_lin lin1 lin2",  # DistilBERT
            "q k v o wi wi_0 wi_1",  # T5
            "to_q to_k to_v to_out.0 proj_in proj_out add_q_proj add_k_proj add_v_proj to_add_out",  # diffusion models
            "qkv proj linear_qkv linear_proj",  # vision towers
        )
    ).split()
)
"""What lists of targets name that are meant for every architecture."""

SIBLINGS: Mapping[str, tuple[frozenset[str], ...]] = {
    name: tuple(frozenset(others.split()) for others in groups)
    for name, groups in {
        "k_proj": ("q_proj v_proj",),
        "q_proj": ("k_proj v_proj",),
        "o_proj": ("q_proj gate_proj", "v_proj gate_proj", "q_proj up_proj", "q_proj down_proj"),
        "up_proj": ("gate_proj",),
        "down_proj": ("gate_proj", "up_proj"),
        "key": ("query value",),
        "query": ("key value",),
        "value": ("query key",),
        "k_lin": ("q_lin v_lin",),
        "q_lin": ("k_lin v_lin",),
        "v_lin": ("q_lin k_lin",),
        "k": ("q v",),
        "q": ("k v",),
        "v": ("q k",),
        "wo": ("wi", "wi_0", "wi_1"),
        "fc1": ("fc2",),
        "fc2": ("fc1",),
        "to_k": ("to_q to_v",),
        "to_q": ("to_k to_v",),
        "to_v": ("to_q to_k",),
        "dense_h_to_4h": ("dense_4h_to_h",),
        "dense_4h_to_h": ("dense_h_to_4h",),
    }.items()
}
"""A module -> sets of modules of which each shows that a base has it too."""

INPUT_EMBEDDINGS = frozenset({"embed_tokens", "wte", "word_embeddings", "shared", "embed_in", "tok_embeddings"})
"""Last components of what `get_input_embeddings` gives."""

OUTPUT_EMBEDDINGS = frozenset({"lm_head", "embed_out", "output_layer", "output", "proj_out", "decoder"})
"""Last components of what `get_output_embeddings` gives; the last ones may be other modules too."""
