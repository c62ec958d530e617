"""BAS103."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.base.tree import Kind
from adapterlint.lint.against_base import KINDS, is_known, is_sure, last, refusals
from adapterlint.lint.places import entry_at


@rule(
    "BAS103",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch({"target_modules": ["q_proj", "v_proj", "input_layernorm"]}, base={}),
        Patch({"target_modules": r".*(q_proj|v_proj|mlp)"}, base={}),
    ),
    good=Patch(base={}),
    source="peft/tuners/*/model.py, _create_new_module",
)
def target_unsupported(config: Config, base: ModuleTree, simulation: AdapterSimulation) -> Iterator[Finding]:
    """A target is a module of a kind that the method does not take.

    Each method takes some kinds of modules: LoRA linear layers, embeddings, convolutions and `nn.MultiheadAttention`,
    most others linear layers only, LN tuning norms. For any other, and for modules with others inside (`mlp`,
    `self_attn`), loading ends in `ValueError: Target module ... is not supported`, in some methods in a `TypeError` or
    an `AttributeError`. `out_proj` and `conv1d` of Mamba and its relatives are refused since 0.16.

    Name the modules inside that are to be tuned, or leave it out: with `exclude_modules`, or a narrower expression.
    """
    if not is_known(base):
        return
    for refusal in refusals(simulation, "target-unsupported"):
        error, node = refusal.error, base.nodes.get(refusal.error.module)
        if not is_sure(base, error.module) or (node is not None and node.kind is Kind.UNKNOWN):
            continue
        what = (
            f"takes {shown(error.module)}, {KINDS[node.kind]},"
            if node is not None and error.module
            else "takes a module"
        )
        yield Finding(
            f"`target_modules` {what} which {config.peft_type} does not support in this base: PEFT raises "
            f"{refusal.errors}",
            at=entry_at(config, "target_modules", error.module),
            help=_remedy(base, error.module),
            peft=refusal.peft,
        )


def _remedy(base: ModuleTree, module: str) -> str:
    inside = dict.fromkeys(
        last(path)
        for path, node in base.nodes.items()
        if node.kind in (Kind.LINEAR, Kind.GPT2_CONV1D) and path.startswith(f"{module}.")
    )
    if module and inside:
        return f"Name what is to be tuned inside of it: {listed(inside, word='modules')}."
    return "Take it out of the targets, or name it in `exclude_modules`."
