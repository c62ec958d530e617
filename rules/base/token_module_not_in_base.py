"""BAS111."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, ModuleTree, Patch, Severity, rule, shown
from adapterlint.lint.against_base import is_known, refusals
from adapterlint.lint.example import HIDDEN

_ROWS = {"base_model.model.transformer.wte.token_adapter.trainable_tokens_delta": ("F32", (2, HIDDEN))}


@rule(
    "BAS111",
    Severity.ERROR,
    since="0.1",
    bad=Patch({"trainable_token_indices": {"wte": [60, 61]}}, _ROWS, base={}),
    good=Patch(
        {"trainable_token_indices": {"embed_tokens": [60, 61]}},
        {"base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta": ("F32", (2, HIDDEN))},
        base={},
    ),
    source="peft/utils/other.py, set_additional_trainable_modules: strict_module_check",
    peft=">=0.15",
    types=("ADALORA", "LORA"),
)
def token_module_not_in_base(config: Config, base: ModuleTree, simulation: AdapterSimulation) -> Iterator[Finding]:
    """`trainable_token_indices` names an embedding that the base does not have.

    Unlike for `modules_to_save`, PEFT insists that there is one: `ValueError: Target modules {...} not found in the
    base model`.

    Name the embedding as the base has it, or give the bare list of indices, which means the input embeddings whatever
    they are called.
    """
    value = config.get("trainable_token_indices")
    if not is_known(base):
        return
    for refusal in refusals(simulation, "tokens-match-nothing"):
        names = [n for n in value if not any(p.endswith(n) for p in base.nodes)] if isinstance(value, dict) else []
        where = base.input_embeddings
        yield Finding(
            f"`trainable_token_indices` names {shown(names[0] if names else 'embed_tokens')}, which the base does not "
            f"have: PEFT raises {refusal.errors}",
            at=config.at("trainable_token_indices", names[0], key=True)
            if names
            else config.at("trainable_token_indices"),
            help=f"The input embeddings of this base are {shown(where)}." if where else None,
            peft=refusal.peft,
        )
