"""BAS117."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, ModuleTree, Patch, Severity, listed, rule
from adapterlint.base.tree import Kind
from adapterlint.lint.against_base import is_sure, outcomes
from adapterlint.lint.example import HIDDEN

_ROWS = {"base_model.model.lm_head.token_adapter.trainable_tokens_delta": ("F32", (1, HIDDEN))}
_TOKENS = {"trainable_token_indices": {"lm_head": [1]}}
_PHI = {"model_type": "phi", "architectures": ["PhiForCausalLM"]}


@rule(
    "BAS117",
    Severity.WARNING,
    since="0.1",
    bad=Patch(_TOKENS, _ROWS, base=_PHI),
    good=Patch(_TOKENS, _ROWS, base={}),
    source="peft/tuners/trainable_tokens/layer.py, TrainableTokensLayer.forward: F.linear(input, weight)",
    peft=">=0.18",
    types=("ADALORA", "LORA", "TRAINABLE_TOKENS"),
)
def tokens_on_biased_linear(config: Config, base: ModuleTree, simulation: AdapterSimulation) -> Iterator[Finding]:
    """Token rows are trained of a linear layer that has a bias.

    With token rows PEFT computes the layer from its weight alone and leaves the bias out: the model gives something
    else than the base for every token, in training as well as afterwards, and merging gives the bias back, so that the
    merged model is another one. Heads of most models have no bias; those of Phi, GPT-J or BERT do.

    Leave the head out of `trainable_token_indices`, or save it whole with `modules_to_save`.
    """
    for modules, peft in outcomes(simulation, lambda lone: tuple(lone.tokens) or None):
        nodes = [base.nodes[m] for m in modules if m in base.nodes and is_sure(base, m)]
        biased = [node.path for node in nodes if node.kind is Kind.LINEAR and "bias" in node.parameters]
        if biased:
            key = "trainable_token_indices" if config.get("trainable_token_indices") else "token_indices"
            yield Finding(
                f"{listed(biased, word='modules')} {'has' if len(biased) == 1 else 'have'} a bias, which PEFT "
                "leaves out "
                "where there are token rows",
                at=config.at(key),
                help="Leave the layer out, or save it whole with `modules_to_save`.",
                peft=peft,
            )
