"""BAS110."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from adapterlint import AdapterSimulation, Config, Finding, ModuleTree, Severity, rule, shown
from adapterlint.lint.against_base import is_sure, refusals
from adapterlint.lint.example import with_tokens
from adapterlint.peft.fields import token_key


@rule(
    "BAS110",
    Severity.ERROR,
    since="0.1",
    bad=with_tokens(60, 64, base={}),
    good=with_tokens(60, 63, base={}),
    source="peft/tuners/trainable_tokens/layer.py, TrainableTokensLayer.update_layer",
    peft=">=0.15",
    types=("ADALORA", "LORA", "TRAINABLE_TOKENS"),
)
def token_out_of_range(config: Config, base: ModuleTree, simulation: AdapterSimulation) -> Iterator[Finding]:
    """A token index is beyond the rows of the base's embedding.

    PEFT takes the rows of the base that an adapter replaces when it adds the adapter, and finds none: `IndexError:
    index 32000 is out of bounds for dimension 0 with size 32000`. The vocabulary was larger in training: tokens were
    added, and the embeddings resized for them.

    Resize the embeddings of the base before the adapter is loaded, as it was done for the training.
    """
    key = token_key(config.peft_type)
    for refusal in refusals(simulation, "token-out-of-range"):
        node = base.nodes.get(refusal.error.module)
        weight = node.parameters.get("weight") if node is not None and is_sure(base, node.path) else None
        route, indices = _indices(config.get(key), key, refusal.error.module)
        if not weight or not indices:
            continue
        beyond = [i for i in indices if isinstance(i, int) and i >= weight[0]]
        if not beyond:
            continue
        more = f" and {len(beyond) - 1:,} more" if len(beyond) > 1 else ""
        yield Finding(
            f"The token index {shown(beyond[0])}{more} is beyond the {weight[0]:,} rows of "
            f"{shown(refusal.error.module)}: "
            f"PEFT raises {refusal.errors}",
            at=config.at(*route, indices.index(beyond[0])),
            help=f"Call `model.resize_token_embeddings({max(beyond) + 1})`, or with the tokenizer's length, before "
            "the adapter is loaded.",
            peft=refusal.peft,
        )


def _indices(value: Any, key: str, module: str) -> tuple[tuple[str, ...], Sequence[Any]]:
    if isinstance(value, list):
        return (key,), value
    for name, indices in value.items() if isinstance(value, dict) else ():
        if module.endswith(name) and isinstance(indices, list):
            return (key, name), indices
    return (key,), ()
