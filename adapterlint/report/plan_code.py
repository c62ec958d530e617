"""The Python lines that load and activate adapters as a plan says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft.tasks import TASKS
from adapterlint.planning import ActiveSet, Plan

# How the names of model classes end -> the auto class that builds them.
_AUTO_CLASSES = {ending: task.auto_class for task in TASKS.values() for ending in task.models} | {
    "ForConditionalGeneration": "AutoModelForSeq2SeqLM",
    "ForMaskedLM": "AutoModelForMaskedLM",
}


def code(plan: Plan, adapters: Mapping[str, Adapter], tree: ModuleTree, base: str | None) -> str:
    """The lines; nothing if no adapter loads."""
    if not plan.order:
        return ""
    return "\n".join(_lines(plan, adapters, tree, base)) + "\n"


def _lines(plan: Plan, adapters: Mapping[str, Adapter], tree: ModuleTree, base: str | None) -> Iterator[str]:
    auto = model_class(tree, [adapters[name] for name in plan.order])
    first, *others = plan.order
    config = adapters[first].config
    where = base or (config.base_model if config is not None else None) or "BASE MODEL"
    yield "from peft import PeftModel"
    yield f"from transformers import {auto}"
    yield ""
    yield f"base = {auto}.from_pretrained({quoted(where)})"
    yield f"model = PeftModel.from_pretrained(base, {quoted(adapters[first].path)}, adapter_name={quoted(first)})"
    for name in others:
        yield f"model.load_adapter({quoted(adapters[name].path)}, adapter_name={quoted(name)})"
    yield ""
    early = any(event.kind == "auxiliary-active-early" for step in plan.simulated.steps for event in step.events)
    why = "needed after the last load, even for the first adapter" if early else "one at a time"
    yield f"model.set_adapter({quoted(first)})  # {why}"
    for one in plan.together[:1]:
        alike = any(len(slot) > 1 for slot in one.slots)
        note = "several at once" + (", one of those that exclude each other" if alike else "")
        yield f"model.base_model.set_adapter([{_names(one)}])  # {note}"
    others = list(_others(plan, adapters))
    if others:
        yield from ("", *(f"# {line}" for line in others))


def _others(plan: Plan, adapters: Mapping[str, Adapter]) -> Iterator[str]:
    """What else can be done, a line for each operation."""
    for one in plan.operations:
        if one.name == "merge" and plan.together and plan.together[0] in one.sets:
            yield "merged = model.merge_and_unload()  # the base with what is active"
        elif one.name == "swap" and one.sets:
            loaded, takers = one.sets[0].slots
            other = next(name for name in takers if name != loaded[0])
            yield "from peft.utils.hotswap import hotswap_adapter"
            call = f"hotswap_adapter(model, {quoted(adapters[other].path)}, adapter_name={quoted(loaded[0])})"
            yield f"{call}  # while no other is loaded"
        elif one.name == "weigh" and one.sets:
            name = next(name for name in ("sum", "weighted", "weighted_sum") if name not in adapters)
            weights = ", ".join(["1.0"] * len(one.sets[0].slots))
            kind = ', combination_type="cat"' if one.others else ""
            yield f"model.add_weighted_adapter([{_names(one.sets[0])}], [{weights}], {quoted(name)}{kind})"
        elif one.name == "mix" and one.sets:
            yield f"model(**inputs, adapter_names=[{_names(one.sets[0])}])  # an adapter for each row"


def _names(one: ActiveSet) -> str:
    return ", ".join(map(quoted, one.names))


def model_class(tree: ModuleTree, adapters: list[Adapter]) -> str:
    """The auto class of the base: by its architecture if that is known, else by the adapters' task."""
    if not tree.partial and tree.architecture:
        for end, auto in _AUTO_CLASSES.items():
            if tree.architecture.endswith(end):
                return _by_generation(auto, adapters)
    tasks = [adapter.config.get("task_type") for adapter in adapters if adapter.config is not None]
    found = (TASKS[task] for task in tasks if isinstance(task, str) and task in TASKS)
    return next((task.auto_class for task in found if task.has_class), "AutoModel")


def _by_generation(auto: str, adapters: list[Adapter]) -> str:
    """Classes for conditional generation are of models with an encoder, or see pictures."""
    tasks = {adapter.config.get("task_type") for adapter in adapters if adapter.config is not None}
    pictures = auto == "AutoModelForSeq2SeqLM" and "CAUSAL_LM" in tasks and "SEQ_2_SEQ_LM" not in tasks
    return "AutoModelForImageTextToText" if pictures else auto


def quoted(text: str) -> str:
    """A string of Python, in double quotes where that changes nothing."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in text and "\\'" not in plain else plain
