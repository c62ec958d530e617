"""CFG131."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import Adapter, AdapterSimulation, Finding, Patch, Severity, rule, shown
from adapterlint.peft.fields import fields_of
from adapterlint.peft.layout import layout
from adapterlint.peft.matching import saved_as, whole_modules
from adapterlint.peft.methods import METHODS
from adapterlint.peft.tasks import IMPLICIT_HEADS

_MLP: dict[str, Any] = {
    f"base_model.model.model.layers.{layer}.mlp.{module}.weight": (
        "F32",
        (16, 32) if module == "down_proj" else (32, 16),
    )
    for layer in (0, 1)
    for module in ("gate_proj", "up_proj", "down_proj")
}


@rule(
    "CFG131",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(config={"modules_to_save": ["mlp", "mlp.down_proj"]}, tensors=_MLP),
        Patch(config={"modules_to_save": ["down_proj", "mlp"]}, tensors=_MLP),
    ),
    good=(Patch(config={"modules_to_save": ["mlp"]}, tensors=_MLP),),
    source="peft/utils/other.py, ModulesToSaveWrapper.adapter_state_dict_load_map",
)
def modules_to_save_nested(adapter: Adapter, simulation: AdapterSimulation | None) -> Iterator[Finding]:
    """A module in `modules_to_save` lies inside another one.

    PEFT wraps both, trains and saves the adapter without a word, and cannot load it again: it looks for the tensors
    of the inner module twice and ends in `KeyError: 'base_model.model. ... .weight'`. Of a whole layer since 0.19 it
    does not, which a base shows.

    Keep the outer module, whose tensors include the inner one's, and remove the inner name. The file itself need
    not change if it has one tensor for each parameter of the outer module.
    """
    config, header = adapter.config, adapter.header
    if config is None or header is None or "modules_to_save" not in fields_of(config.peft_type):
        return
    if simulation is not None and all(lone.loads for lone in simulation.alone.values()):
        return
    entries = whole_modules(config) if isinstance(config.get("modules_to_save"), list) else ()
    if len(entries) < 2 or METHODS[config.peft_type].prompt_learning:
        return
    tails = (*entries, *IMPLICIT_HEADS.get(str(config.get("task_type")), ()))
    for module in layout(header.tensors, config.peft_type).plain:
        inner = next((e for e in entries if module.endswith(e)), None)
        outer = module if inner is None else saved_as(module, tails)
        if outer == module:
            continue
        yield Finding(
            f"{shown(inner)} in `modules_to_save` means {shown(module)}, which lies inside {shown(outer)} that is "
            "saved too: loading raises a `KeyError`",
            at=config.at("modules_to_save", config.get("modules_to_save").index(inner)),
            help=f"Remove {shown(inner)}: the tensors of {shown(outer)} include it.",
        )
        return
