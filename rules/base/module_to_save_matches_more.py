"""BAS104."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.lint.against_base import is_known, outcomes
from adapterlint.lint.example import HIDDEN
from adapterlint.peft.matching import names_module, whole_modules
from adapterlint.peft.tasks import IMPLICIT

_NORM = ("F32", (HIDDEN,))
_NORMS = {
    f"base_model.model.model.{path}.weight": _NORM
    for path in ("norm", *(f"layers.{i}.{n}_layernorm" for i in (0, 1) for n in ("input", "post_attention")))
}


@rule(
    "BAS104",
    Severity.INFO,
    since="0.1",
    bad=Patch({"modules_to_save": ["norm"]}, _NORMS, base={}),
    good=(
        Patch({"modules_to_save": ["model.norm"]}, {"base_model.model.model.norm.weight": _NORM}, base={}),
        Patch({"modules_to_save": ["head"]}, {"base_model.model.lm_head.weight": ("F32", (64, HIDDEN))}, base={}),
    ),
    source="peft/utils/other.py, _set_trainable: str.endswith",
)
def module_to_save_matches_more(config: Config, base: ModuleTree, simulation: AdapterSimulation) -> Iterator[Finding]:
    """An entry of `modules_to_save` takes modules whose names only end like it.

    PEFT compares letter by letter, without regard to the dots: `norm` is the final norm of a Llama, and every
    `input_layernorm` too; `1.mlp` is in layer 1 and in layer 11. The adapter then has all of them, and works as it was
    trained. But only one adapter can have its own version of a module active, the file is larger, and in a base with
    more modules of such names it cannot be loaded.

    Write more of the path, `model.norm`, for the next training if the others were not meant. Leave this adapter as it
    is: its tensors have to be what its config says.
    """
    entries = [entry for entry in whole_modules(config) if entry not in IMPLICIT]
    if not entries or isinstance(config.get("modules_to_save"), str) or not is_known(base):
        return
    for whole, peft in outcomes(simulation, lambda lone: lone.whole or None):
        for entry in entries:
            meant = [path for path in whole if names_module(entry, path)]
            more = [path for path in whole if path.endswith(entry) and not names_module(entry, path)]
            if meant and more:
                yield Finding(
                    f"{shown(entry)} in `modules_to_save` means {listed(meant, word='modules')}, but also "
                    f"{listed(more, word='modules')}, whose names only end so",
                    at=config.at("modules_to_save", config.get("modules_to_save").index(entry)),
                    help=f"If only the first was meant, train with {shown(_longer(meant[0], more))}.",
                    peft=peft,
                )


def _longer(meant: str, more: list[str]) -> str:
    """As much of a path as tells it from other ones."""
    parts = meant.split(".")
    for count in range(1, len(parts)):
        end = ".".join(parts[-count:])
        if not any(path.endswith(end) for path in more):
            return end
    return meant
