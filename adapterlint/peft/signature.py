"""The interaction signature of an adapter: what decides how it gets on with others in one model.

Adapters of one signature behave alike beside each other, so a fleet costs as much as it has signatures.
"""

from __future__ import annotations

import json
from collections.abc import Hashable

from adapterlint.adapter import Config
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.inits import changes_base_on_loading

# Keys that say nothing of a loaded adapter, or nothing to other adapters.
_SILENT = frozenset(
    "auto_mapping base_model_name_or_path inference_mode lora_dropout peft_version revision".split()  # noqa: SIM905
)
# What LoRA alone needs: its own rank and scaling do not concern others.
_OWN = frozenset("alpha_pattern lora_alpha r rank_pattern use_dora use_rslora".split())  # noqa: SIM905
_TOKENS = ("token_indices", "trainable_token_indices")


def signature(config: Config, footprint: Footprint) -> Hashable:
    """The interaction signature of an adapter; equal ones are interchangeable in a fleet."""
    skipped = _SILENT | _OWN if config.peft_type == "LORA" else _SILENT
    values = {k: v for k, v in config.values.items() if k not in skipped and k not in _TOKENS}
    shapes = tuple((module, tuple((n, t.shape) for n, t in below.items())) for module, below in footprint.plain.items())
    tokens = tuple((module, t.rows.shape if t.rows else None) for module, t in footprint.trainable_tokens.items())
    own = footprint.shapes if config.peft_type != "LORA" else {}
    said = json.dumps(values, sort_keys=True, default=str)
    return (said, tuple(footprint.tuned), shapes, tokens, tuple((k, tuple(sorted(v))) for k, v in own.items()))


def is_inert(config: Config, footprint: Footprint) -> bool:
    """Whether an adapter leaves everything but its own layers alone, so that two of the kind never meet."""
    return (
        config.peft_type == "LORA"
        and not footprint.modules_to_save
        and not footprint.trainable_tokens
        and not footprint.overwrites
        and not footprint.biases
        and config.get("bias", "none") == "none"
        and config.get("task_type") in (None, "CAUSAL_LM", "SEQ_2_SEQ_LM", "FEATURE_EXTRACTION")
        and not config.get("modules_to_save")
        and not any(config.get(key) for key in ("target_parameters", "layer_replication", "kasa_config", *_TOKENS))
        and not changes_base_on_loading(config.get("init_lora_weights"))
    )
