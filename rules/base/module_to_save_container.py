"""BAS106."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import AdapterSimulation, Config, Finding, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.lint.against_base import is_known, is_sure, last, refusals
from adapterlint.lint.example import DROP, HIDDEN, RANK, VOCABULARY
from adapterlint.lint.places import entry_at

_LORA = "base_model.model.lm_head.lora_"
_TENSORS: dict[str, Any] = {
    "*": DROP,
    f"{_LORA}A.weight": ("F32", (RANK, HIDDEN)),
    f"{_LORA}B.weight": ("F32", (VOCABULARY, RANK)),
    "base_model.model.model.layers.0.input_layernorm.weight": ("F32", (HIDDEN,)),
}


@rule(
    "BAS106",
    Severity.ERROR,
    since="0.1",
    bad=Patch({"modules_to_save": ["layers"], "target_modules": ["lm_head"]}, _TENSORS, base={}),
    good=Patch(base={}),
    source="peft/utils/other.py, AuxiliaryTrainingWrapper.check_module",
)
def module_to_save_container(config: Config, base: ModuleTree, simulation: AdapterSimulation) -> Iterator[Finding]:
    """An entry of `modules_to_save` names a list of modules.

    PEFT cannot put a wrapper around a `ModuleList` or a `ModuleDict`: loading ends in `TypeError: modules_to_save
    cannot be applied to modules of type <class 'torch.nn.modules.container.ModuleList'>`, in every release.

    Name the modules in the list: `layers.0`, `layers.1`.
    """
    if isinstance(config.get("modules_to_save"), str):
        return  # another rule tells it
    for refusal in refusals(simulation, "auxiliary-on-container"):
        module = refusal.error.module
        if not is_known(base) or not is_sure(base, module):
            continue
        inside = [path for path in base.nodes if path.rpartition(".")[0] == module]
        yield Finding(
            f"`modules_to_save` takes {shown(module)}, a list of modules, which PEFT cannot wrap: it raises "
            f"{refusal.errors}",
            at=entry_at(config, "modules_to_save", module),
            help=f"Name the modules in it: {listed((_short(p) for p in inside), word='modules')}." if inside else None,
            peft=refusal.peft,
        )


def _short(path: str) -> str:
    above, _, name = path.rpartition(".")
    return f"{last(above)}.{name}"
