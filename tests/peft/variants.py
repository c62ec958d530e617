"""Options of LoRA that ask for another kind of layer or of start, and the kinds of modules that they are asked of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIZE = 8  # features of a module, on each side
KINDS = ("linear", "gpt2-conv1d", "embedding", "conv1d", "conv2d", "conv3d", "multihead-attention")
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "alora": {"alora_invocation_tokens": [1, 2]},
    "arrow": {"arrow_config": {"top_k": 2}},
    "bdlora": {"use_bdlora": {"target_modules_bd_a": ["target"], "nblocks": 2, "match_strict": True}},
    "bias": {"lora_bias": True},
    "dora": {"use_dora": True},
    "kasa": {"kasa_config": {}},
    "mica": {"init_lora_weights": "mica"},
    "monteclora": {"monteclora_config": {}},
    "olora": {"init_lora_weights": "olora"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "pissa": {"init_lora_weights": "pissa"},
    "qalora": {"use_qalora": True},
    "rslora": {"use_rslora": True},
    "velora": {"velora_config": {}},
}
