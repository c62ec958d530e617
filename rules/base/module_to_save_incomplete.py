"""BAS107."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import (
    AdapterSimulation,
    Config,
    Finding,
    Footprint,
    ModuleTree,
    Patch,
    Place,
    Severity,
    WeightsHeader,
    listed,
    rule,
    shown,
)
from adapterlint.lint.against_base import is_known, is_like_base, is_suggested, is_sure, refusals
from adapterlint.lint.example import HIDDEN
from adapterlint.peft.keys import PREFIX
from adapterlint.peft.matching import names_module, saved_as, whole_modules
from adapterlint.peft.strays import strays
from adapterlint.peft.tasks import IMPLICIT, IMPLICIT_HEADS

_NORM = {"base_model.model.model.norm.weight": ("F32", (HIDDEN,))}


@rule(
    "BAS107",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch({"modules_to_save": ["norm"]}, _NORM, base={}),
        Patch({"modules_to_save": ["lm_head"]}, base={}),
        Patch({"task_type": "SEQ_CLS"}, base={}),
    ),
    good=Patch({"modules_to_save": ["model.norm"]}, _NORM, base={}),
    source="peft/utils/save_and_load.py, set_peft_model_state_dict: each key of a wrapped module is looked up",
)
def module_to_save_incomplete(
    config: Config, footprint: Footprint, header: WeightsHeader, base: ModuleTree, simulation: AdapterSimulation
) -> Iterator[Finding]:
    """The base has a module that is saved whole, and the file lacks tensors of it.

    PEFT wraps every module of the base whose name ends in an entry of `modules_to_save`, and the head of the task
    (`score`, `classifier`, `qa_outputs`), and looks each of its parameters up in the file: `KeyError:
    'base_model.model.lm_head.weight'`, in `from_pretrained` and in `load_adapter`, which leaves the adapter registered
    without its tensors. The ends of names count, not their components: `norm` is `input_layernorm` too.

    Find the tensors, or load the adapter into the base it was trained on. An entry that takes more modules than were
    trained can be written longer (`model.norm`); one that was not trained can be taken out. It is a warning where the
    base's config names a class without the head, and only the task type asks for one that has it.
    """
    bare = is_like_base(footprint, base)
    if not (is_known(base) or bare):
        return
    for refusal in refusals(simulation, "module-not-in-file"):
        module = refusal.error.module
        there = is_sure(base, module) or (bare and module in base.nodes)
        if not there or _is_told(config, footprint, header, module):
            continue
        entry, saved = _entry(config, module), config.get("modules_to_save")
        lacking = _lacking(config, header, base) or [module]
        others = f" and {len(lacking) - 1:,} more" if len(lacking) > 1 else ""
        yield Finding(
            f"{_who(config, entry)} takes {shown(module)}{others} whole, but the file lacks "
            f"{shown(refusal.error.text.strip(chr(39)))}: PEFT raises {refusal.errors}",
            at=_place(config, entry, saved),
            help=_remedy(entry, lacking, footprint, base),
            severity=Severity.WARNING if entry in IMPLICIT and is_suggested(base) else None,
            peft=refusal.peft,
        )


def _entries(config: Config) -> tuple[str, ...]:
    return (*whole_modules(config), *IMPLICIT_HEADS.get(str(config.get("task_type")), ()))


def _entry(config: Config, module: str) -> str | None:
    found = [entry for entry in _entries(config) if module.endswith(entry)]
    return max(found, key=len) if found else None


def _who(config: Config, entry: str | None) -> str:
    if entry is None:
        return "`modules_to_save`"
    if entry not in whole_modules(config):
        return f"`task_type` {shown(config.get('task_type'))}"
    return f"{shown(entry)} in `modules_to_save`"


def _place(config: Config, entry: str | None, saved: object) -> Place:
    if isinstance(saved, list) and entry in saved:
        return config.at("modules_to_save", saved.index(entry))
    return config.at("modules_to_save" if saved else "task_type")


def _lacking(config: Config, header: WeightsHeader, base: ModuleTree) -> list[str]:
    """The modules that are saved whole and that the file does not have all tensors of."""
    tails = tuple(entry for entry in _entries(config) if entry)
    owners = [path for path in base.nodes if path and path.endswith(tails)]
    return [owner for owner in owners if any(name not in header.tensors for name in _names(owner, base))]


def _names(module: str, base: ModuleTree) -> Iterator[str]:
    """The tensors of a module, as the file has to have them."""
    for path, node in base.nodes.items():
        if path == module or path.startswith(f"{module}."):
            yield from (f"{PREFIX}{path}.{parameter}" for parameter in (*node.parameters, *node.buffers))


def _remedy(entry: str | None, lacking: list[str], footprint: Footprint, base: ModuleTree) -> str:
    only_ends = [path for path in lacking if entry is not None and not names_module(entry, path)]
    brought = [owner for owner in footprint.modules_to_save if entry is not None and owner.endswith(entry)]
    if entry is not None and only_ends == lacking and brought:
        return (
            f"Write {listed(brought, word='modules')} instead of {shown(entry)}, which {listed(only_ends)} ends in too."
        )
    if entry is not None and any(saved_as(path, [entry]) != path for path in base.nodes if path.endswith(entry)):
        return f"{shown(entry)} names a module and one inside of it; write the whole path of one of them."
    if entry in IMPLICIT:
        return "Save the adapter again with its head, or load it into the base that it was trained on."
    return "Take the entry out if the module was not trained; else the file has lost its tensors."


def _is_told(config: Config, footprint: Footprint, header: WeightsHeader, module: str) -> bool:
    """Whether a rule about the file or the config tells it as an error."""
    if isinstance(config.get("modules_to_save"), str) or strays(header.tensors, config.peft_type):
        return True
    entries = whole_modules(config)
    if len(entries) > 1 and any(_is_nested(path, entries) for path in footprint.plain):
        return True
    if entries and module in footprint.trainable_tokens and module.endswith(entries):
        return True
    return bool(footprint.foreign) or not header.tensors


def _is_nested(module: str, entries: tuple[str, ...]) -> bool:
    return module.endswith(entries) and saved_as(module, entries) != module
