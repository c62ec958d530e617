"""FIT103."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from adapterlint import AdapterSimulation, Config, Finding, Footprint, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.lint.against_base import has_no_targets, is_known
from adapterlint.lint.default_modules import not_by_default, resized_by_targets
from adapterlint.lint.example import DROP, HIDDEN
from adapterlint.peft.fields import wrong_type
from adapterlint.peft.matching import Targets
from adapterlint.peft.replication import is_there
from adapterlint.peft.target_forms import form_of_entry
from adapterlint.words import MAX_LISTED

_K: dict[str, Any] = {
    f"base_model.model.model.layers.0.self_attn.k_proj.lora_{half}.weight": ("F32", shape)
    for half, shape in (("A", (8, HIDDEN)), ("B", (HIDDEN, 8)))
}


@rule(
    "FIT103",
    Severity.WARNING,
    since="0.1",
    bad=(
        {"target_modules": ["q_proj"]},
        {"target_modules": r".*\.q_proj"},
        {"layers_to_transform": [0]},
        {"exclude_modules": ["v_proj"]},
        {"target_modules": ["o_proj"]},
        {"target_modules": "q_proj|v_proj"},
        Patch({"target_modules": DROP}, _K, base={}),
        Patch({"target_modules": DROP}, rename=("_proj", "_projection")),
    ),
    good=({"target_modules": "all-linear"}, {"target_modules": r".*\.(q|v)_proj"}, {"target_modules": None}),
    source="peft/tuners/tuners_utils.py, check_target_module_exists; load_state_dict(strict=False) drops the rest",
)
def untargeted_tensors(
    config: Config, footprint: Footprint, base: ModuleTree | None, simulation: AdapterSimulation | None
) -> Iterator[Finding]:
    """The file has tensors for modules that the config does not target.

    PEFT builds layers only for the modules that `target_modules` names, less those that `exclude_modules`,
    `layers_to_transform` and `modules_to_save` take out. Tensors for any other module are dropped without a word: not
    even `PeftModel.from_pretrained` warns. If no tensor is left, PEFT either raises (`NoMatchingPeftModuleError: Target
    modules ... not found in the base model`, before 0.21 a `ValueError`), or the adapter loads and does nothing.

    A list is compared with the whole name of a module or its last components, a string is a regular expression that has
    to match the whole name. Where there is none, PEFT takes what it has for the type of the base; for another type, or
    a model that has no config, it raises `ValueError: Please specify target_modules in peft_config`. Of token rows
    (`TRAINABLE_TOKENS`) it takes the input embeddings. Name the modules of the file again, or take the tensors out if
    they are left over.
    """
    untargeted, known = list(footprint.untargeted), base is not None and is_known(base)
    if base is not None and known:
        layers = config.get("layer_replication")
        untargeted = [m for m in untargeted if is_there(m, base, layers)]  # another rule tells the others
    lone = [one for one in simulation.alone.values() if one.loads] if simulation is not None else []
    if lone:  # what is tied to a target is one too
        untargeted = [module for module in untargeted if not all(module in one.tuned for one in lone)]
    if base is not None and config.get("ensure_weight_tying") is True:
        own = footprint.tuned.keys() - footprint.untargeted
        tied = [{parameter.rpartition(".")[0] for parameter in group} for group in base.tied]
        untargeted = [m for m in untargeted if not any(m in ends and ends & own for ends in tied)]
    if not footprint.untargeted and config.get("target_modules") is None:
        yield from _by_default(config, footprint, base, simulation)
        return
    nothing = len(footprint.untargeted) == len(footprint.tuned) and not _anything_else(footprint)
    if not untargeted or (known and not nothing and has_no_targets(simulation)):
        return
    resized = resized_by_targets(config, footprint, simulation)
    targets = Targets(config)
    causes: dict[str, list[str]] = {}
    for module in untargeted:
        causes.setdefault(targets.why_not(module), []).append(module)
    for key, modules in causes.items():
        if key in config and wrong_type(config.peft_type, key, config.get(key)) is not None:
            continue  # that is told as such
        where = listed(modules, word="modules")
        every = len(modules) == len(footprint.tuned)
        consequence = (
            " (all that the file has), so that PEFT raises if nothing else matches, or drops the tensors in the file"
            if every
            else ", so that the tensors in the file are dropped"
        )
        if resized:
            consequence = ", and PEFT makes what all targets share for the others alone: it raises `RuntimeError`"
        yield Finding(
            f"{_WHY[key]} {where}{consequence}",
            at=config.at(key if key in config else "task_type"),
            help=_remedy(config, key, modules),
            severity=Severity.ERROR if nothing or resized else None,
            peft=_SINCE.get(key),
        )


def _by_default(
    config: Config, footprint: Footprint, base: ModuleTree | None, simulation: AdapterSimulation | None
) -> Iterator[Finding]:
    """The modules that PEFT does not take by default; where the base is not known, or has no config, in no base."""
    known = base is not None and (is_known(base) or not footprint.tuned)  # of token rows the base alone tells
    modules = not_by_default(config, footprint, base, simulation)
    if not modules:
        return
    bare = base is not None and not base.config and not base.partial
    nothing = len(modules) == len(footprint.tuned) and not _anything_else(footprint)
    lone = simulation.alone.values() if known and simulation is not None else ()
    refused = next((one.error.type for one in lone if one.error is not None), None)
    where = listed(modules, word="modules")
    told = f"what PEFT takes instead leaves out {where}" if known else f"PEFT takes {where} by default in no base"
    raised = "it raises `ValueError`, or drops the tensors in the file"
    if known:
        raised = f"it raises {shown(refused)}" if refused else "the tensors in the file are dropped"
    yield Finding(
        f"`target_modules` is missing, and {told}: {raised}",
        at=config.at("target_modules" if "target_modules" in config else "peft_type"),
        help="Set `target_modules` to the modules that the file has tensors for.",
        severity=Severity.ERROR if bare or nothing or refused else None,
    )


_WHY = {
    "target_modules": "`target_modules` does not match",
    "exclude_modules": "`exclude_modules` takes out",
    "layers_to_transform": "`layers_to_transform` leaves out",
    "modules_to_save": "The modules that are saved whole take out",
}

_SINCE = {"exclude_modules": ">=0.14", "modules_to_save": ">=0.16"}


def _anything_else(footprint: Footprint) -> bool:
    rows = any(tokens.rows is not None for tokens in footprint.trainable_tokens.values())
    return bool(rows or footprint.modules_to_save or footprint.overwrites or footprint.biases or footprint.shared)


def _remedy(config: Config, key: str, modules: Sequence[str]) -> str:
    names = list(dict.fromkeys(_last(module) for module in modules))
    if key != "target_modules":
        return f"Change `{key}`, or take the tensors out." if key in config else "Take the tensors out."
    if len(names) > MAX_LISTED:
        return "Set `target_modules` to the modules that the file has tensors for."
    value = config.get("target_modules")
    if isinstance(value, str):
        return f"PEFT matches {shown(value)} with whole names; write a list ({listed(names)}) or a wider pattern."
    forms = ((entry, form_of_entry(entry)) for entry in config.strings("target_modules")[:MAX_LISTED])
    for entry, form in forms:
        if form is not None:
            return f"{shown(entry)} {form.reason}. {form.remedy}"
    return f"Add {listed(names)} to `target_modules`."


def _last(module: str) -> str:
    """The last component of a path, with the one before it if it is a number (`to_out.0`)."""
    parts = module.split(".")
    return ".".join(parts[-2:] if parts[-1].isdecimal() else parts[-1:])
