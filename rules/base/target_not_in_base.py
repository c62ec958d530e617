"""BAS101."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, Footprint, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.base.tree import Kind
from adapterlint.lint.against_base import before_5, is_known, is_of_other_class, last, refusals
from adapterlint.lint.example import DROP
from adapterlint.peft.matching import MAX_TARGETS, Components, Targets, names_module
from adapterlint.peft.target_forms import form_of_entry, form_of_string
from adapterlint.words import suggestion

_GPT2 = {
    f"base_model.model.transformer.h.0.attn.c_attn.lora_{f}.weight": ("F32", s)
    for f, s in (("A", (8, 16)), ("B", (48, 8)))
}


@rule(
    "BAS101",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch({"target_modules": ["c_attn"]}, {"*": DROP, **_GPT2}, base={}),
        Patch({"target_modules": r".*\.c_attn"}, {"*": DROP, **_GPT2}, base={}),
    ),
    good=Patch(base={}),
    source="peft/tuners/tuners_utils.py, inject_adapter",
)
def target_not_in_base(
    config: Config, footprint: Footprint, base: ModuleTree, simulation: AdapterSimulation
) -> Iterator[Finding]:
    """No module of the base is a target.

    PEFT looks for modules of the base that `target_modules` names and that `exclude_modules`, `layers_to_transform` and
    `modules_to_save` leave. If there is none, loading ends in a `ValueError`, since 0.21 in its subclass
    `NoMatchingPeftModuleError`: `Target modules ... not found in the base model`. So it does where `target_modules` is
    missing and PEFT has no default for the type of the base (`Please specify target_modules in peft_config`).

    Mostly the adapter belongs to another base. If it is the right one, write the names that its modules have there.
    """
    if not is_known(base) or _is_told(config, footprint, base):
        return
    if is_of_other_class(config.get("task_type"), list(footprint.tuned), base):
        return
    for refusal in refusals(simulation, "no-targets"):
        reason, key, remedy = _reason(config, base)
        if key == "target_modules" and any(map(Targets(config).match, before_5(base).nodes)):
            reason, remedy = f"{reason} since transformers 5", f"Load it with transformers 4, or rename. {_has(base)}"
        yield Finding(
            f"{reason}: PEFT raises {refusal.errors}",
            at=config.at(key) if key in config else config.at("peft_type"),
            help=remedy,
            peft=refusal.peft,
        )


def _is_told(config: Config, footprint: Footprint, base: ModuleTree) -> bool:
    """Whether a rule about the form of the targets, or about the file, tells it as an error."""
    value, saved = config.get("target_modules"), config.strings("modules_to_save")
    if footprint.untargeted:
        rows = any(tokens.rows is not None for tokens in footprint.trainable_tokens.values())
        more = rows or footprint.modules_to_save or footprint.overwrites or footprint.biases or footprint.shared
        there = any(module in base.nodes for module in footprint.untargeted)
        return there and len(footprint.untargeted) == len(footprint.tuned) and not more
    if isinstance(value, str):
        return not footprint.tuned and (not value or form_of_string(value) is not None)
    if not isinstance(value, list) or config.get("target_parameters"):
        return False
    entries = config.strings("target_modules")[:MAX_TARGETS]
    components = Components(e for e in saved if e)
    if value and len(entries) == len(value) and all(e in saved or components.cover(e) for e in entries):
        return True
    return not footprint.tuned and all(form_of_entry(entry) is not None for entry in entries)


def _reason(config: Config, base: ModuleTree) -> tuple[str, str, str]:
    """What is wrong, the key that it is about, and the remedy."""
    value = config.get("target_modules")
    if value is None:
        reason = f"`target_modules` is missing, and PEFT has no default for the model type {shown(base.model_type)}"
        return reason, "target_modules", f"Name the modules that were tuned. {_has(base)}"
    targets = Targets(config)
    if isinstance(value, str):
        if value.lower() == "all-linear":
            return "`all-linear` finds no linear layer in the base", "target_modules", "Name the modules."
        named = []
        reason = f"No module of the base matches {shown(value)}"
    else:
        entries = config.strings("target_modules")[:MAX_TARGETS]
        named = [path for path in base.nodes if any(names_module(e, path) for e in entries)]
        reason = f"No module of the base is called {listed(entries, word='names').replace(' and ', ' or ')}"
    left_out = [key for path in named if (key := targets.why_not(path)) != "target_modules"]
    if left_out:
        key = left_out[0]
        return (
            f"`{key}` leaves out all modules of the base that `target_modules` names, such as {shown(named[0])}",
            key if key in config else "target_modules",
            f"Change `{key}`, or load the adapter into the base that it was trained on.",
        )
    return reason, "target_modules", f"{_meant(config, base)}{_has(base)}"


def _meant(config: Config, base: ModuleTree) -> str:
    entries = config.strings("target_modules")
    near = suggestion(last(entries[0]), _names(base)) if len(entries) == 1 else None
    return f"Is {shown(near)} meant? " if near else "Is this the base that the adapter was trained on? "


def _has(base: ModuleTree) -> str:
    return f"Its linear layers are called {listed(_names(base), word='names')}."


def _names(base: ModuleTree) -> list[str]:
    kinds = (Kind.LINEAR, Kind.GPT2_CONV1D)
    return list(dict.fromkeys(last(path) for path, node in base.nodes.items() if node.kind in kinds))
