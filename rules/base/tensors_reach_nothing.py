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
from adapterlint.lint.against_base import is_known, is_sure, outcomes
from adapterlint.peft.keys import PREFIX
from adapterlint.peft.simulate import Alone
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
    known = {*footprint.unexpected, *footprint.foreign}
    for unexpected, peft in outcomes(simulation, _unexpected):
        names = set(unexpected)
        modules = [
            module
            for module, parameters in footprint.tuned.items()
            if module not in footprint.untargeted
            and is_sure(base, module)
            and module not in base.nodes
            and any(footprint.names[module, p] in names for p in parameters)
        ]
        whole = {m: p for m, p in footprint.plain.items() if is_sure(base, m) and m not in base.nodes}
        modules += [m for m, p in whole.items() if not _is_of_entry(m, config) and _lost(m, p, footprint, names - known)]
        if not modules:
            continue
        reached = len(header.tensors) - len(names & header.tensors.keys())
        yield Finding(
            f"{counted(reached, 'tensor')} of {len(header.tensors):,} "
            f"{'reaches' if reached == 1 else 'reach'} a module; the base has no {listed(modules, word='modules')}",
            at=header.at(next(n for m in modules for n in _of(m, footprint) if n in names)),
            help=_remedy(modules, footprint, base),
            severity=None if reached else Severity.ERROR,
            peft=peft,
        )


def _unexpected(lone: Alone) -> tuple[str, ...] | None:
    return lone.loaded.unexpected if lone.loaded is not None and lone.loaded.unexpected else None


def _lost(module: str, parameters: Sequence[str] | object, footprint: Footprint, names: set[str]) -> bool:
    return any(name in names for name in _of(module, footprint))


def _of(module: str, footprint: Footprint) -> Iterator[str]:
    for parameters in (footprint.tuned.get(module, {}), footprint.plain.get(module, {})):
        yield from (footprint.names[module, parameter] for parameter in parameters)


def _is_of_entry(module: str, config: Config) -> bool:
    """Whether `modules_to_save` names it, which another rule tells."""
    return any(entry and entry in module for entry in config.strings("modules_to_save"))


def _remedy(modules: Sequence[str], footprint: Footprint, base: ModuleTree) -> str:
    change = other_beginning([*footprint.tuned, *footprint.plain], modules[0], base)
    if change is not None:
        old, new = (shown(f"{PREFIX}{part}") for part in change)
        return f"All tensors fit if their names begin with {new} instead of {old}."
    if any(".experts." in f".{module}." for module in modules):
        return "transformers 5 keeps the experts of a layer in one module: load it with transformers 4."
    return "Load the adapter into the base that it was trained on."


MAX_BEGINNINGS = 16


def other_beginning(every: Sequence[str], lost: str, base: ModuleTree) -> tuple[str, str] | None:
    """Two beginnings of paths of which the second instead of the first gives every module a place in the base."""
    parts = lost.split(".")
    for start in range(len(parts)):
        rest, old = ".".join(parts[start:]), "".join(f"{part}." for part in parts[:start])
        found = [path for path in base.nodes if path == rest or path.endswith(f".{rest}")]
        if not found:
            continue
        fitting = []
        for path in found[:MAX_BEGINNINGS]:
            new = path.removesuffix(rest)
            if all(module.startswith(old) and new + module[len(old) :] in base.nodes for module in every):
                fitting.append((old, new))
        return fitting[0] if len(fitting) == 1 else None
    return None
