"""What the default configs of transformers lack to build a model, by model type; and configs that have no default."""

from __future__ import annotations

import copy
from typing import Any

_ROPE = {"rope_type": "default"}
_MAMBA = ["mamba", "mamba", "attention", "mamba"]
_CONV = ["conv", "conv", "full_attention"]
_DECODER = {"is_decoder": True, "add_cross_attention": True}
_MUSIC = {"text_encoder": {"model_type": "t5"}, "audio_encoder": {"model_type": "encodec"}}

LACKING: dict[str, dict[str, Any]] = {
    "autoformer": {"prediction_length": 24},
    "aya_vision": {"vision_config": {"hidden_size": 1152, "num_attention_heads": 16}},
    "chameleon": {"vocabulary_map": {"<image>": 8711}},
    "dots1": {"n_routed_experts": 8, "n_shared_experts": 1},
    "emu3": {"vocabulary_map": {"<image>": 151851}, "image_token_id": 151851},
    "esm": {"vocab_size": 33, "pad_token_id": 1, "mask_token_id": 32},
    "granitemoehybrid": {"layer_types": _MAMBA * 8},
    "hunyuan_v1_dense": {"head_dim": 128},
    "hunyuan_v1_moe": {"head_dim": 128},
    "hunyuan_vl": {"text_config": {"head_dim": 128}},
    "hunyuan_vl_text": {"head_dim": 128},
    "idefics3": {"pad_token_id": 0, "text_config": {"pad_token_id": 0}},
    "informer": {"prediction_length": 24},
    "lfm2_moe": {"layer_types": (_CONV * 11)[:32]},
    "ministral": {"head_dim": 128},
    "mllama": {"text_config": {"rope_scaling": _ROPE}},
    "mllama_text_model": {"rope_scaling": _ROPE},
    "nemotron": {"num_key_value_heads": 8, "head_dim": 128},
    "reformer": {"is_decoder": True},
    "smolvlm": {"pad_token_id": 0, "text_config": {"pad_token_id": 0}},
    "time_series_transformer": {"prediction_length": 24},
    "wav2vec2-bert": {"vocab_size": 32},
    "wav2vec2-conformer": {"vocab_size": 32},
}
COMPOSED: dict[str, dict[str, Any]] = {
    "encoder-decoder": {"encoder": {"model_type": "bert"}, "decoder": {"model_type": "bert", **_DECODER}},
    "musicgen": {**_MUSIC, "decoder": {"model_type": "musicgen_decoder"}},
    "musicgen_melody": {**_MUSIC, "decoder": {"model_type": "musicgen_melody_decoder"}},
    "speech-encoder-decoder": {"encoder": {"model_type": "wav2vec2"}, "decoder": {"model_type": "bert", **_DECODER}},
    "vision-encoder-decoder": {"encoder": {"model_type": "vit"}, "decoder": {"model_type": "gpt2", **_DECODER}},
    "vision-text-dual-encoder": {
        "vision_config": {"model_type": "clip_vision_model"},
        "text_config": {"model_type": "bert"},
    },
}


def default_config(model_type: str) -> Any:
    """The config with the defaults of a model type, and what they lack."""
    from transformers import CONFIG_MAPPING

    cls = CONFIG_MAPPING[model_type]
    try:
        config = cls()
    except Exception:
        if model_type not in COMPOSED:
            raise
        return cls.from_dict(copy.deepcopy(COMPOSED[model_type]))
    lacking = copy.deepcopy(LACKING.get(model_type, {})) | {
        name: cls.sub_configs[name]().to_dict() for name in optional_parts(model_type)
    }
    return cls.from_dict(_filled(config.to_dict(), lacking)) if lacking else config


def optional_parts(model_type: str) -> list[str]:
    """The configs of models inside a model that a default config leaves out, and those of checkpoints have."""
    from transformers import CONFIG_MAPPING, AutoConfig

    cls = CONFIG_MAPPING[model_type]
    try:
        default = cls()
    except Exception:
        return []
    inner = getattr(cls, "sub_configs", {})
    return [n for n, c in inner.items() if c is not AutoConfig and getattr(default, n, None) is None]


def _filled(values: dict[str, Any], lacking: dict[str, Any]) -> dict[str, Any]:
    for key, value in lacking.items():
        inner = values.get(key)
        values[key] = _filled(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return values
