"""Write `recorded.jsonl.gz`: tiny models, saved by one release of transformers and loaded by each.

With the environment of each release in turn, then with any of them:

    python tests/base/make_recorded.py save OUT
    python tests/base/make_recorded.py load OUT       # after every release has saved
    python tests/base/make_recorded.py pack OUT

A line is one loading: the config and the header as they were saved (`by` a release), and what `from_pretrained` of
another (`in`) made of them: `[path, class, {parameter: shape}]` as `named_modules(remove_duplicate=False)` has them,
groups of tied parameters, modules under a second path, embeddings.
"""

from __future__ import annotations

import gzip
import json
import struct
import sys
from pathlib import Path
from typing import Any

SMALL = {"vocab_size": 64, "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 3}
DECODER = {**SMALL, "intermediate_size": 32, "num_key_value_heads": 1, "max_position_embeddings": 64}
VISION = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
IMAGES = {"image_size": 16, "patch_size": 8}
SEQ2SEQ = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 2,
           "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}  # fmt: skip
T5 = {"vocab_size": 64, "d_model": 16, "d_ff": 32, "d_kv": 8, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 2}
DEBERTA = {**SMALL, "intermediate_size": 32, "relative_attention": True}

SPEECH = {
    **SMALL,
    "intermediate_size": 32,
    "conv_dim": [8, 8],
    "conv_stride": [2, 2],
    "conv_kernel": [3, 3],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}

# Name -> model type, config, class that is saved, classes that are loaded (that one if there is none).
MODELS: dict[str, tuple[str, dict[str, Any], str, list[str]]] = {
    "llama": (
        "llama",
        {**DECODER, "tie_word_embeddings": False},
        "LlamaForCausalLM",
        ["LlamaForCausalLM", "LlamaForSequenceClassification", "LlamaModel", "LlamaForTokenClassification"],
    ),
    "llama-tied": ("llama", {**DECODER, "tie_word_embeddings": True, "attention_bias": True}, "LlamaForCausalLM", []),
    "llama-base": ("llama", DECODER, "LlamaModel", ["LlamaForCausalLM", "LlamaForQuestionAnswering"]),
    "qwen2": ("qwen2", {**DECODER, "tie_word_embeddings": True}, "Qwen2ForCausalLM", []),
    "qwen3-moe": (
        "qwen3_moe",
        {
            **DECODER,
            "moe_intermediate_size": 8,
            "num_experts": 3,
            "num_experts_per_tok": 2,
            "head_dim": 8,
            "mlp_only_layers": [1],
        },
        "Qwen3MoeForCausalLM",
        [],
    ),
    "mixtral": ("mixtral", {**DECODER, "num_local_experts": 3}, "MixtralForCausalLM", []),
    "deepseek-v3": (
        "deepseek_v3",
        {
            **DECODER,
            "num_key_value_heads": 2,
            "moe_intermediate_size": 8,
            "n_routed_experts": 4,
            "first_k_dense_replace": 1,
            "q_lora_rank": None,
            "kv_lora_rank": 8,
            "n_group": 2,
            "topk_group": 1,
            "num_experts_per_tok": 2,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 4,
            "v_head_dim": 4,
            "qk_head_dim": 8,
        },
        "DeepseekV3ForCausalLM",
        [],
    ),
    "gemma2": ("gemma2", {**DECODER, "head_dim": 8}, "Gemma2ForCausalLM", []),
    "gpt2": (
        "gpt2",
        {"vocab_size": 64, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 32},
        "GPT2LMHeadModel",
        ["GPT2LMHeadModel", "GPT2ForSequenceClassification"],
    ),
    "gpt-neox": ("gpt_neox", {**SMALL, "intermediate_size": 32}, "GPTNeoXForCausalLM", []),
    "opt": (
        "opt",
        {**SMALL, "ffn_dim": 32, "word_embed_proj_dim": 8, "max_position_embeddings": 32},
        "OPTForCausalLM",
        [],
    ),
    "bloom": ("bloom", {"vocab_size": 64, "hidden_size": 16, "n_layer": 3, "n_head": 2}, "BloomForCausalLM", []),
    "falcon": ("falcon", SMALL, "FalconForCausalLM", []),
    "mpt": (
        "mpt",
        {"vocab_size": 64, "d_model": 16, "n_heads": 2, "n_layers": 3, "max_seq_len": 32},
        "MptForCausalLM",
        [],
    ),
    "mamba": (
        "mamba",
        {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 3, "state_size": 4},
        "MambaForCausalLM",
        [],
    ),
    "t5": (
        "t5",
        {**T5, "decoder_start_token_id": 0},
        "T5ForConditionalGeneration",
        ["T5ForConditionalGeneration", "T5ForTokenClassification", "T5EncoderModel"],
    ),
    "flan-t5": (
        "t5",
        {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        "T5ForConditionalGeneration",
        [],
    ),
    "bart": (
        "bart",
        {**SEQ2SEQ, "vocab_size": 64, "max_position_embeddings": 32},
        "BartForConditionalGeneration",
        ["BartForConditionalGeneration", "BartForSequenceClassification"],
    ),
    "whisper": (
        "whisper",
        {
            **SEQ2SEQ,
            "vocab_size": 64,
            "num_mel_bins": 8,
            "max_source_positions": 16,
            "max_target_positions": 16,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        },
        "WhisperForConditionalGeneration",
        [],
    ),
    "bert": (
        "bert",
        {**SMALL, "intermediate_size": 32, "num_labels": 5},
        "BertForMaskedLM",
        ["BertForMaskedLM", "BertForTokenClassification", "BertForQuestionAnswering"],
    ),
    "roberta": ("roberta", {**SMALL, "intermediate_size": 32, "num_labels": 3}, "RobertaForSequenceClassification", []),
    "distilbert": (
        "distilbert",
        {"vocab_size": 64, "dim": 16, "hidden_dim": 32, "n_layers": 3, "n_heads": 2},
        "DistilBertForSequenceClassification",
        [],
    ),
    "albert": ("albert", {**SMALL, "intermediate_size": 32, "embedding_size": 8}, "AlbertForMaskedLM", []),
    "electra": (
        "electra",
        {**SMALL, "intermediate_size": 32, "embedding_size": 8},
        "ElectraForSequenceClassification",
        [],
    ),
    "deberta-v2": (
        "deberta-v2",
        {
            **SMALL,
            "intermediate_size": 32,
            "relative_attention": True,
            "conv_kernel_size": 3,
            "pos_att_type": ["c2p", "p2c"],
        },
        "DebertaV2ForSequenceClassification",
        [],
    ),
    # As in version 3 of DeBERTa.
    "deberta-v2-shared": (
        "deberta-v2",
        {
            **DEBERTA,
            "pos_att_type": ["p2c", "c2p"],
            "share_att_key": True,
            "position_buckets": 4,
            "norm_rel_ebd": "layer_norm",
            "position_biased_input": False,
        },
        "DebertaV2ForMaskedLM",
        ["DebertaV2ForMaskedLM", "DebertaV2ForTokenClassification"],
    ),
    "deberta-v2-c2p": (
        "deberta-v2",
        {**DEBERTA, "pos_att_type": ["c2p"], "embedding_size": 8, "type_vocab_size": 2, "max_relative_positions": 12},
        "DebertaV2ForQuestionAnswering",
        [],
    ),
    "deberta-v2-absolute": (
        "deberta-v2",
        {**DEBERTA, "relative_attention": False, "pos_att_type": ["c2p", "p2c"]},
        "DebertaV2Model",
        [],
    ),
    "deberta": ("deberta", {**DEBERTA, "pos_att_type": ["c2p", "p2c"]}, "DebertaForSequenceClassification", []),
    "deberta-p2c": (
        "deberta",
        {**DEBERTA, "pos_att_type": ["p2c"], "talking_head": True},
        "DebertaForTokenClassification",
        [],
    ),
    "mt5": (
        "mt5",
        {**T5, "decoder_start_token_id": 0},
        "MT5ForConditionalGeneration",
        ["MT5ForConditionalGeneration", "MT5ForSequenceClassification"],
    ),
    "mt5-tied": ("mt5", {**T5, "tie_word_embeddings": True}, "MT5ForConditionalGeneration", []),
    "marian": (
        "marian",
        {**SEQ2SEQ, "vocab_size": 64, "max_position_embeddings": 32, "pad_token_id": 63},
        "MarianMTModel",
        [],
    ),
    "marian-apart": (
        "marian",
        {
            **SEQ2SEQ,
            "vocab_size": 64,
            "decoder_vocab_size": 48,
            "share_encoder_decoder_embeddings": False,
            "tie_word_embeddings": False,
            "max_position_embeddings": 32,
            "pad_token_id": 47,
        },
        "MarianMTModel",
        [],
    ),
    "t5gemma": (
        "t5gemma",
        {"encoder": {**DECODER, "head_dim": 8}, "decoder": {**DECODER, "head_dim": 8, "num_hidden_layers": 2}},
        "T5GemmaForConditionalGeneration",
        [],
    ),
    "qwen2-head-dim": ("qwen2", {**DECODER, "head_dim": 12}, "Qwen2ForCausalLM", []),
    "gemma3n-text": (
        "gemma3n_text",
        {
            **DECODER,
            "head_dim": 8,
            "num_hidden_layers": 4,
            "intermediate_size": 32,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "num_kv_shared_layers": 2,
            "activation_sparsity_pattern": [0.0] * 4,
            "hidden_size_per_layer_input": 4,
            "vocab_size_per_layer_input": 64,
            "laurel_rank": 4,
            "altup_num_inputs": 2,
        },
        "Gemma3nForCausalLM",
        [],
    ),
    "gpt-oss": (
        "gpt_oss",
        {**DECODER, "head_dim": 8, "num_local_experts": 3, "num_experts_per_tok": 2},
        "GptOssForCausalLM",
        [],
    ),
    "siglip": (
        "siglip",
        {
            "text_config": {**VISION, "vocab_size": 64, "max_position_embeddings": 16},
            "vision_config": {**VISION, **IMAGES},
        },
        "SiglipModel",
        [],
    ),
    "vit": ("vit", {**VISION, **IMAGES, "num_labels": 4}, "ViTForImageClassification", []),
    "clip": (
        "clip",
        {"text_config": {**VISION, "vocab_size": 64}, "vision_config": {**VISION, **IMAGES}, "projection_dim": 8},
        "CLIPModel",
        [],
    ),
    "llava-mistral": (
        "llava",
        {
            "text_config": {**DECODER, "model_type": "mistral"},
            "image_token_index": 3,
            "vision_config": {**VISION, **IMAGES, "model_type": "clip_vision_model"},
        },
        "LlavaForConditionalGeneration",
        [],
    ),
    "qwen2-vl": (
        "qwen2_vl",
        {
            "text_config": {**DECODER, "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}},
            "vision_config": {"depth": 2, "embed_dim": 16, "hidden_size": 16, "num_heads": 2},
        },
        "Qwen2VLForConditionalGeneration",
        [],
    ),
    "gemma3": (
        "gemma3",
        {"text_config": {**DECODER, "head_dim": 8}, "vision_config": {**VISION, **IMAGES}, "mm_tokens_per_image": 4},
        "Gemma3ForConditionalGeneration",
        [],
    ),
    "wav2vec2": (
        "wav2vec2",
        SPEECH,
        "Wav2Vec2ForCTC",
        [],
    ),
    "wav2vec2-stable": (
        "wav2vec2",
        {
            **SPEECH,
            "feat_extract_norm": "layer",
            "do_stable_layer_norm": True,
            "conv_bias": True,
            "add_adapter": True,
            "num_adapter_layers": 1,
        },
        "Wav2Vec2Model",
        [],
    ),
}


def save(out: Path) -> None:
    import transformers as tf

    for name, (model_type, values, cls, _) in MODELS.items():
        values = json.loads(json.dumps(values))
        num_labels = values.pop("num_labels", None)
        config = tf.CONFIG_MAPPING[model_type].from_dict(
            {**values, **({"num_labels": num_labels} if num_labels else {})}
        )
        getattr(tf, cls)(config).save_pretrained(out / f"{name}@{tf.__version__}")


def load(out: Path) -> None:
    import torch
    import transformers as tf

    torch.set_num_threads(1)
    lines = []
    for folder in sorted(p for p in out.iterdir() if p.is_dir()):
        name, _, by = folder.name.partition("@")
        for cls in MODELS[name][3] or [MODELS[name][2]]:
            try:
                model = getattr(tf, cls).from_pretrained(folder)
            except Exception as error:
                print(f"{folder.name} {cls}: {error!r:.300}")
                continue
            lines.append({"name": name, "by": by, "in": tf.__version__, "class": cls, **seen(model)})
    (out / f"{tf.__version__}.json").write_text(json.dumps(lines))


def seen(model: Any) -> dict[str, Any]:
    first: dict[int, str] = {}
    aliases = {}
    nodes = []
    for path, module in model.named_modules(remove_duplicate=False):
        if first.setdefault(id(module), path) != path:
            aliases[path] = first[id(module)]
        own = {n: list(p.shape) for n, p in module._parameters.items() if p is not None}
        nodes.append([path, type(module).__name__, own])
    groups: dict[int, list[str]] = {}
    for path, parameter in model.named_parameters(remove_duplicate=False):
        groups.setdefault(id(parameter), []).append(path)
    return {
        "nodes": nodes,
        "tied": [g for g in groups.values() if len(g) > 1],
        "aliases": aliases,
        "input": embeddings(model, "get_input_embeddings", first),
        "output": embeddings(model, "get_output_embeddings", first),
    }


def embeddings(model: Any, method: str, first: dict[int, str]) -> str | None:
    try:
        return first.get(id(getattr(model, method)()))
    except (AttributeError, NotImplementedError):
        return None


def header(file: Path) -> dict[str, list[int]]:
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        read = json.loads(stream.read(length))
    return {name: entry["shape"] for name, entry in read.items() if name != "__metadata__"}


def pack(out: Path) -> None:
    lines = []
    for file in sorted(out.glob("*.json")):
        for line in json.loads(file.read_text()):
            folder = out / f"{line['name']}@{line['by']}"
            line["config"] = json.loads((folder / "config.json").read_text())
            line["tensors"] = header(folder / "model.safetensors")
            lines.append(json.dumps(line, separators=(",", ":")))
    lines.sort()
    target = Path(__file__).parent / "recorded.jsonl.gz"
    with (
        target.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9, mtime=0, filename="") as stream,
    ):
        stream.write("\n".join(lines).encode())


if __name__ == "__main__":
    {"save": save, "load": load, "pack": pack}[sys.argv[1]](Path(sys.argv[2]))
