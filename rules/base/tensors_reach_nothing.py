"""BAS109."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapterlint import (
    AdapterSimulation,
    Config,
    Finding,
    Footprint,
    ModuleTree,
    Patch,
    Severity,
    WeightsHeader,
    counted,
    listed,
    rule,
    shown,
)
from adapterlint.lint.against_base import (
    before_5,
    dropped_by,
    is_known,
    is_of_other_class,
    is_sure,
    last,
    other_beginning,
    outcomes,
)
from adapterlint.peft.keys import PREFIX
from adapterlint.peft.replication import is_there
from adapterlint.peft.strays import strays


@rule(
    "BAS109",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch(base={"num_hidden_layers": 1}),
        Patch(rename=("base_model.model.model.", "base_model.model.model.language_model."), base={}),
        Patch(rename=("base_model.model.model.", "base_model.model."), base={}),
    ),
    good=Patch(base={}),
    source="torch's load_state_dict(strict=False), which peft/utils/save_and_load.py calls",
)
def tensors_reach_nothing(
    config: Config, footprint: Footprint, header: WeightsHeader, base: ModuleTree, simulation: AdapterSimulation
) -> Iterator[Finding]:
    """Tensors of the file are for modules that the base does not have.

    They are dropped without a word: PEFT reports missing tensors, and no superfluous ones. If none is left, the adapter
    loads and does nothing, which is an error. Paths change between releases of transformers (`language_model.model.`
    became `model.language_model.` in 4.52, experts became one module in 5), between the class with a head and the one
    without, and between bases: where one other beginning would give all tensors a module, the help names it.

    Load the adapter into the base that it was trained on, with the release of transformers of that time, or rename the
    tensors; `PeftModel.from_pretrained(..., key_mapping={...})` does so at load since 0.16.
    """
    if not is_known(base) or strays(header.tensors, config.peft_type):
        return
    for unexpected, peft in outcomes(simulation, lambda lone: dropped_by(lone) or None):
        names = set(unexpected)
        own = names & set(footprint.overwrites)  # weights of a base, which are of none that is at hand
        lost = {
            module: name
            for (module, _), name in footprint.names.items()
            if (name in names if module in footprint.tuned else name in own)
            and not is_there(module, base, config.get("layer_replication"))
            and is_sure(base, module)
        }
        modules = list(lost)
        if not modules or is_of_other_class(config.get("task_type"), list(footprint.tuned), base):
            continue
        reached = len(header.tensors) - len(names & header.tensors.keys())
        yield Finding(
            f"{counted(reached, 'tensor')} of {len(header.tensors):,} "
            f"{'reaches' if reached == 1 else 'reach'} a module; the base has no {listed(modules, word='modules')}",
            at=header.at(lost[modules[0]]),
            help=_remedy(modules, footprint, base),
            severity=None if reached else Severity.ERROR,
            peft=peft,
        )


def _remedy(modules: Sequence[str], footprint: Footprint, base: ModuleTree) -> str:
    change = other_beginning([*footprint.tuned, *footprint.modules_to_save], modules[0], base)
    if change is not None:
        old, new = (shown(f"{PREFIX}{part}") for part in change)
        return f"All tensors fit if their names begin with {new} instead of {old}."
    if not before_5(base).nodes.keys().isdisjoint(modules):
        return "They are called otherwise since transformers 5: load it with transformers 4."
    if any(last(module) == "experts" for module in modules):
        return "Before transformers 5 the experts of a layer were modules of their own: load it with transformers 5."
    return "Load the adapter into the base that it was trained on."
