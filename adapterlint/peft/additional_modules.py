"""What an adapter brings besides its layers: whole modules, what is tied to them, and token rows.

Follows `set_additional_trainable_modules` (`peft/utils/other.py`; a method of `PeftModel` in 0.15) and
`TrainableTokensModel.inject_adapter`.
"""

from __future__ import annotations

from typing import Any

from adapterlint.peft.auxiliary import Wrapping
from adapterlint.peft.model import Model
from adapterlint.peft.modules import find, walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.wrappers import TokenLayer, TokenWrapper, Whole


def add_auxiliaries(model: Model, adapter: str, config: OpenedConfig, *, outside: bool = False) -> None:
    """`set_additional_trainable_modules`: whole modules first, then what is tied to them, then token rows.

    Args:
        outside: Whether PEFT looks at the whole `PeftModel`, as 0.15 does.
    """
    versions = model.versions
    prompts = config.prompt_learning
    prefix = model.prefix if outside else ""
    wrapping = Wrapping(model.root, prefix, adapter, activate=prompts or adapter in model.active, versions=versions)
    saved = config.get("modules_to_save")
    if saved is not None:
        model.saved.update(saved)
        wrapping.whole(saved)
    if config.get("modules_to_tie") is not None:
        embedding = model.embedding
        copy = embedding.copies.get(adapter) if isinstance(embedding, Whole) else None
        if copy is None:
            missing = adapter if isinstance(embedding, Whole) else "modules_to_save"
            raise Refused("AttributeError", f"'Embedding' object has no attribute '{missing}'", cause="tied")
        wrapping.whole(config["modules_to_tie"], tied=copy)
    if config.get("trainable_token_indices") is not None:
        _add_tokens(model, adapter, config, wrapping)
    model.broken = model.broken or wrapping.broken


def _add_tokens(model: Model, adapter: str, config: OpenedConfig, wrapping: Wrapping) -> None:
    given = config["trainable_token_indices"]
    layers = given if isinstance(given, dict) else {model.embedding_name or "embed_tokens": given}
    saved = model.saved if model.versions.peft < (0, 16) else set(config.get("modules_to_save") or ())
    for name in layers:
        if name in saved:
            text = 'The embedding layer is already marked to be trained fully, either specify `modules_to_save=[..., "'
            text += f"{name}\", ...]` or `trainable_tokens={{'{name}': x}}` but not both."
            raise Refused("ValueError", text, module=name, cause="tokens-and-whole")
    skipped, mismatch = _tied_layers(model, config, layers)
    for name, indices in layers.items():
        if name not in skipped:
            wrapping.tokens([name], indices)
    if not model.tied:
        return
    names, module = model.tied_modules(), model.embedding
    if model.refuses_embedding and (names or model.versions.peft >= (0, 19)):
        text = f"`get_input_embeddings` not auto\u2011handled for {model.tree.architecture};"
        raise Refused("NotImplementedError", f"{text} please override in the subclass.", cause="tied")
    if not isinstance(module, TokenWrapper) or mismatch or not names:
        return
    # Tied partners become active at once: `activate_adapter` is not handed on (utils/other.py).
    partner = Wrapping(model.root, wrapping.prefix, adapter, activate=True, versions=model.versions)
    if adapter not in module.layer.indices:
        raise Refused("KeyError", repr(adapter), cause="tied")
    partner.tokens(names, module.layer.indices[adapter], tied=module.layer)
    model.broken = model.broken or partner.broken


def _tied_layers(model: Model, config: OpenedConfig, layers: dict[str, Any]) -> tuple[set[str], bool]:
    """Which of several layers follow another one, and whether tied ones have different indices (since 0.19)."""
    if model.versions.peft < (0, 19) or len(layers) < 2 or not model.tied:
        return set(), False
    tied = set(model.tied_modules())
    embedding = model.tree.input_embeddings or ""
    keys = [
        name
        for name in layers
        if embedding.endswith(name) or any(m.endswith(name) or name in m.split(".") for m in tied)
    ]
    if len(keys) < 2:
        return set(), False
    mismatch = any(layers[key] != layers[keys[0]] for key in keys[1:])
    ensured = bool(config.get("ensure_weight_tying"))
    if mismatch and ensured:
        text = "Cannot ensure weight tying when different token indices are specified for tied layers."
        raise Refused("ValueError", text, cause="tied")
    return (set() if mismatch else set(keys) & tied), mismatch


def tie_token_layers(model: Model, adapter: str) -> None:
    """What `TrainableTokensModel.inject_adapter` does for a tied model."""
    module = model.embedding
    if not (model.tied and isinstance(module, TokenLayer)):
        return
    tied = tuple(model.tied_modules())
    for path, _ in walk(model.root, duplicates=True):
        if not path.endswith(tied):
            continue
        parent = find(model.root, path.rpartition(".")[0])
        target = find(model.root, path)
        if parent is None or target is None:
            raise Undecided
        if isinstance(target, TokenLayer):
            if model.versions.peft < (0, 19):
                continue
            target = target.base
        model.root.put(parent, path.rpartition(".")[2], TokenLayer(target, adapter, module))
