"""FLT104."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Cause, Finding, Fleet, FleetPatch, FleetSimulation, Patch, Severity, listed, rule
from adapterlint.lint.against_base import last
from adapterlint.lint.causes import modules_of, sides, together, worst
from adapterlint.lint.example import with_tokens
from adapterlint.lint.fleet import paths, they

_EMBEDDING = "base_model.model.model.embed_tokens"
_WHOLE = Patch(config={"modules_to_save": ["embed_tokens"]}, tensors={f"{_EMBEDDING}.weight": ("F32", (64, 16))})
_TOKENS = with_tokens(60, 61)


@rule(
    "FLT104",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"whole": _WHOLE, "rows": _TOKENS}),
    good=(FleetPatch({"whole": _WHOLE, "plain": {}}), FleetPatch({"plain": {}, "rows": _TOKENS}, ordered=True)),
    source="peft/utils/other.py, ModulesToSaveWrapper.update and TrainableTokensWrapper.adapter_state_dict_load_map",
)
def module_against_tokens(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """One adapter brings a module whole, another one replaces token rows of it.

    The two cannot be used in one model, whatever their order. The whole module first: the other adapter loads with a
    `UserWarning: Unsupported layer type`, and every forward pass with it active raises `ValueError:
    TrainableTokensLayer wraps an unknown layer type`; on T5, whose `shared` embedding is called under another name, the
    rows are silently not used. The token rows first: loading the other adapter raises `KeyError:
    '...token_adapter.base_layer.weight'`.

    Give both adapters the module in the same form, or keep them in models of their own.
    """
    about = (c for c in simulation.about("module-against-tokens") if not (simulation.partial and _may_be_unused(c)))
    for causes in together(about, "whole"):
        whole, rows = sides(causes, "whole")
        modules = modules_of(causes)
        yield Finding(
            f"{they(whole, 'brings', 'bring')} {listed(modules, word='modules')} whole, and "
            f"{they(rows, 'replaces', 'replace')} token rows there: {', '.join(dict.fromkeys(map(_said, causes)))}",
            at=whole[0].at_whole(modules[0]),
            help="Load them into models of their own, or train them with the module in the same form.",
            severity=worst(causes),
            adapters=paths((*whole, *rows)),
            peft=causes[0].peft,
        )


def _may_be_unused(cause: Cause) -> bool:
    """Whether no forward pass may reach the module: encoders and decoders have `shared` under names of their own."""
    return cause.kind == "forward-fails" and all(last(module) == "shared" for module in cause.modules)


def _said(cause: Cause) -> str:
    if cause.kind == "unfaithful":
        who = "latter is" if cause.roles[1] == "rows" else "former is"
        return f"loaded second, the {who} silently not used as alone"
    if cause.kind == "forward-fails":
        text = "`ValueError: TrainableTokensLayer wraps an unknown layer type`"
        return f"loaded second, the latter fails in the forward pass ({text})"
    error = cause.error.type if cause.error else "error"
    return f"loaded second, the {'former' if cause.roles[1] == 'whole' else 'latter'} raises `{error}`"
