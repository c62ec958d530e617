"""FLT105."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, FleetSimulation, Patch, Severity, listed, rule
from adapterlint.lint.causes import modules_of, sides, together, worst
from adapterlint.lint.fleet import paths, they

_HEAD = "base_model.model.lm_head"
_TUNED = Patch(
    config={"target_modules": ["q_proj", "v_proj", "lm_head"]},
    tensors={f"{_HEAD}.lora_A.weight": ("F32", (8, 16)), f"{_HEAD}.lora_B.weight": ("F32", (64, 8))},
)
_WHOLE = Patch(config={"modules_to_save": ["lm_head"]}, tensors={f"{_HEAD}.weight": ("F32", (64, 16))})
_ROWS = Patch(
    config={"trainable_token_indices": {"lm_head": [60]}},
    tensors={f"{_HEAD}.token_adapter.trainable_tokens_delta": ("F32", (1, 16))},
)


@rule(
    "FLT105",
    Severity.WARNING,
    since="0.1",
    bad=(FleetPatch({"tuned": _TUNED, "whole": _WHOLE}), FleetPatch({"tuned": _TUNED, "rows": _ROWS})),
    good=FleetPatch({"tuned": _TUNED, "plain": {}}),
    source="peft/utils/other.py, _set_trainable; peft/tuners/lora/model.py, LoraModel._create_new_module",
)
def auxiliary_against_tuner(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """One adapter tunes a module, another one brings it whole or replaces token rows of it.

    Each wraps the module, and PEFT does not wrap a wrapper, so the second one cannot be loaded, whatever the order.
    The tuned module first: `TypeError: modules_to_save cannot be applied to modules of type ...` (for token rows
    `trainable_token_indices cannot be applied ...`). The other one first: `ValueError: Target module
    ModulesToSaveWrapper(...) is not supported` (for token rows `TrainableTokensWrapper(...)`).

    Load them into models of their own, or train them with the module in the same form.
    """
    for causes in together(simulation.about("auxiliary-against-tuner"), "tuned"):
        tuned, others = sides(causes, "tuned")
        modules = modules_of(causes)
        is_whole = any("whole" in cause.roles for cause in causes)
        what = listed(modules, word="modules")
        brought = f"{they(others, 'brings', 'bring')} {what} whole" if is_whole else (
            f"{they(others, 'replaces', 'replace')} token rows of {what}"
        )  # fmt: skip
        pronoun = "it" if len(modules) == 1 else "them"
        key = "modules_to_save" if is_whole else "trainable_token_indices"
        wrapper = "ModulesToSaveWrapper" if is_whole else "TrainableTokensWrapper"
        yield Finding(
            f"{brought}, and {they(tuned, 'tunes', 'tune')} {pronoun}: whichever comes second cannot be loaded "
            f"(`TypeError: {key} cannot be applied to modules of type ...`, or `ValueError: Target module "
            f"{wrapper}(...) is not supported`)",
            at=others[0].at_whole(modules[0]) if is_whole else others[0].at_tokens(modules[0]),
            help="Load them into models of their own, or train them with the module in the same form.",
            severity=worst(causes),
            adapters=paths((*others, *tuned)),
            peft=causes[0].peft,
        )
