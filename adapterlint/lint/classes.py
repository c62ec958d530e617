"""Into which class of a base adapters are loaded: transformers builds one base with and without heads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from adapterlint.adapter import Config
from adapterlint.base import Base, ModuleTree, table
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.tasks import IMPLICIT_HEADS

Loaded = tuple[Config, Footprint]
"""What one adapter says of the class that it is for."""

_WITHOUT_TASK = ("FEATURE_EXTRACTION", "CAUSAL_LM", "SEQ_2_SEQ_LM")


def tree_for(base: Base, adapters: Iterable[Loaded], transformers: str, *, by_task: bool = True) -> ModuleTree:
    """The base in the class that adapters are loaded into.

    That is the class that the base's config names. Another one, that of the task of an adapter or the one it was
    trained on, is taken where more of the adapters' modules are in it, or if it has the head that a task needs and the
    base's own class has none.

    Args:
        adapters: All that are loaded into one model; at least one.
        transformers: Its release.
        by_task: Whether a head counts that only a task asks for, and no file has.
    """
    loaded = list(adapters)
    named = base.tree(transformers)
    own = named if base.architecture is not None else _first(base, loaded, transformers) or named
    wanted = sum(len(modules_of(touched)) + (by_task and heads_of(config) != ()) for config, touched in loaded)
    best, found = own, _fit(own, loaded, by_task)
    if found == wanted:
        return own
    for tree in _others(base, loaded, transformers):
        fit = _fit(tree, loaded, by_task) if tree.complete else 0
        if fit > found:
            best, found = tree, fit
    return best


def modules_of(touched: Footprint) -> list[str]:
    """The modules that an adapter has tensors for; a config alone may name an embedding by a part of its path."""
    rows = (module for module, tokens in touched.trainable_tokens.items() if tokens.tensor is not None)
    return [*touched.tuned, *touched.modules_to_save, *rows]


def heads_of(config: Config) -> tuple[str, ...]:
    """What the head of its task may be called."""
    return IMPLICIT_HEADS.get(str(config.get("task_type")), ())


def _first(base: Base, loaded: Sequence[Loaded], transformers: str) -> ModuleTree | None:
    task = next((task for config, _ in loaded if isinstance(task := config.get("task_type"), str)), None)
    return base.tree(transformers, task_type=task) if task is not None else None


def _others(base: Base, loaded: Sequence[Loaded], transformers: str) -> Iterator[ModuleTree]:
    """The classes that the adapters may be for, each once."""
    tasks = dict.fromkeys(config.get("task_type") for config, _ in loaded if _is_text(config.get("task_type")))
    yield from (base.tree(transformers, task_type=task) for task in tasks)
    free = [config for config, _ in loaded if config.get("task_type") is None]
    trained = dict.fromkeys(config.mapping("auto_mapping").get("base_model_class") for config in free)
    family = table.family(base.model_type) if base.model_type else None
    names = (name for name in trained if isinstance(name, str) and name)
    yield from (base.tree(transformers, architecture=n) for n in names if family is None or n in family.classes)
    if free:
        yield from (base.tree(transformers, task_type=task) for task in _WITHOUT_TASK)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _fit(tree: ModuleTree, loaded: Sequence[Loaded], by_task: bool) -> int:
    """How many of the adapters' modules, and of the heads of their tasks, are in a class."""
    nodes, count = tree.nodes, 0
    for config, touched in loaded:
        heads = heads_of(config)
        count += sum(module in nodes for module in modules_of(touched))
        count += by_task and bool(heads) and any(path.endswith(heads) for path in nodes)
    return count
