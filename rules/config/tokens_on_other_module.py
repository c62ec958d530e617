"""CFG141."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import Adapter, AdapterSimulation, Config, Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.peft.layout import Layout, layout
from adapterlint.peft.matching import Targets

_EMBEDDING = "base_model.model.model.embed_tokens"
_WRAPPED_TWICE = ".token_adapter.base_layer."
_ROWS: dict[str, Any] = {f"{_EMBEDDING}.token_adapter.trainable_tokens_delta": ("F32", (2, 16))}


@rule(
    "CFG141",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(
            config={"trainable_token_indices": {"embed_tokens": [60, 61]}, "modules_to_save": ["embed_tokens"]},
            tensors=_ROWS,
        ),
        Patch(config={"trainable_token_indices": [60, 61], "modules_to_save": ["embed_tokens"]}, tensors=_ROWS),
        Patch(
            config={"trainable_token_indices": [60, 61], "target_modules": ["q_proj", "v_proj", "embed_tokens"]},
            tensors=_ROWS,
        ),
    ),
    good=Patch(config={"trainable_token_indices": [60, 61]}, tensors=_ROWS),
    source="peft/utils/other.py, set_additional_trainable_modules",
    peft=">=0.15",
    types=("ADALORA", "LORA"),
)
def tokens_on_other_module(adapter: Adapter, simulation: AdapterSimulation | None) -> Iterator[Finding]:
    """Single token rows are trained of an embedding that the adapter also tunes or saves whole.

    If the module has the same name in `trainable_token_indices` and `modules_to_save`, loading ends in `ValueError:
    The embedding layer is already marked to be trained fully, ...`. Under another spelling, or with a list of
    indices, PEFT does not see it and ends in a `KeyError` for `...token_adapter.base_layer.weight`, or in every
    forward pass in `ValueError: TrainableTokensLayer wraps an unknown layer type`. If the embedding is one of the
    `target_modules`, loading ends in `TypeError: trainable_token_indices cannot be applied to modules of type ...`.
    A head that is saved whole while the embedding that it is tied to has token rows fails in every forward pass
    too; the file then has a tensor such as `lm_head.token_adapter.base_layer.weight`.

    Train an embedding in one way: rows, LoRA, or all of it.
    """
    config = adapter.config
    if config is None:
        return
    value = config.get("trainable_token_indices")
    saved = config.strings("modules_to_save")
    for name in value if isinstance(value, dict) else ():
        if name in saved:
            yield Finding(
                f"{shown(name)} is in `trainable_token_indices` and in `modules_to_save`: PEFT raises a `ValueError`",
                at=config.at("trainable_token_indices", name, key=True),
                help="Keep one: the token rows, or the whole module.",
            )
            return
    if not value or not isinstance(value, list | dict) or adapter.header is None or "target_modules" not in config:
        return
    if simulation is not None and all(lone.loads and lone.forward is None for lone in simulation.alone.values()):
        return  # encoders and decoders have their embeddings under other names than `shared`, which nothing calls
    found = layout(adapter.header.tensors, config.peft_type)
    for module in found.tokens:
        if (finding := _conflict(config, module, saved)) is not None:
            yield finding
            return
    if found.tokens and saved:
        yield from _tied(config, adapter.header, found, saved)


def _tied(config: Config, header: WeightsHeader, found: Layout, saved: tuple[str, ...]) -> Iterator[Finding]:
    """A module that is saved whole and tied to the embedding with the token rows: the names in the file tell it."""
    for (module, _), name in found.names.items():
        if _WRAPPED_TWICE in name and module.endswith(saved):
            rows = next(iter(found.tokens))
            yield Finding(
                f"{shown(module)} is saved whole and tied to {shown(rows)}, which has token rows: PEFT wraps it twice, "
                "and every forward pass raises a `ValueError`",
                at=header.at(name),
                help=f"Keep one: the token rows, or {shown(module)} whole. Training with `tie_word_embeddings=False` "
                "lets both stand.",
            )
            return


def _conflict(config: Config, module: str, saved: tuple[str, ...]) -> Finding | None:
    entry = next((e for e in saved if e and module.endswith(e)), None)
    if entry is not None and module.rpartition(".")[2] == "shared":
        return None  # it may work: see above
    if entry is not None:
        return Finding(
            f"{shown(module)} has token rows in the file and is saved whole, as {shown(entry)} in `modules_to_save`: "
            "PEFT wraps it twice and cannot load or run it",
            at=config.at("modules_to_save", config.get("modules_to_save").index(entry)),
            help="Keep one: the token rows, or the whole module.",
        )
    if Targets(config).match(module):
        return Finding(
            f"{shown(module)} has token rows in the file and is one of the targets: PEFT raises a `TypeError`",
            at=config.at("target_modules"),
            help="Take it out of `target_modules`, or out of `trainable_token_indices`.",
        )
    return None
