"""What rules about an adapter in its base share: outcomes by release, and which of them rest on what is known."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from adapterlint.adapter import WeightsHeader
from adapterlint.base import Base, Evidence
from adapterlint.base.tree import Kind, ModuleTree
from adapterlint.lint.simulated import AdapterSimulation
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.keys import PREFIX
from adapterlint.peft.refused import Refused
from adapterlint.peft.releases import spanned
from adapterlint.peft.simulate import Alone
from adapterlint.peft.tasks import HEADED

K = TypeVar("K", bound=Hashable)

KINDS = {
    Kind.LINEAR: "a linear layer",
    Kind.EMBEDDING: "an embedding",
    Kind.GPT2_CONV1D: "a `Conv1D` of transformers",
    Kind.CONV1D: "a convolution",
    Kind.CONV2D: "a convolution",
    Kind.CONV3D: "a convolution",
    Kind.ATTENTION: "a `MultiheadAttention`",
    Kind.NORM: "a norm",
    Kind.CONTAINER: "a module with others inside",
    Kind.LIST: "a list of modules",
    Kind.OTHER: "a module of another kind",
}
"""Kind of a module -> what follows its name in a sentence."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why PEFT does not load an adapter into its base, in some releases.

    Args:
        errors: The classes of the exception, as a message shows them: they may differ by release.
        error: What the newest of these releases raises.
        peft: The releases, as a specifier; `None` for all that are asked for.
    """

    errors: str
    error: Refused
    peft: str | None


def refusals(simulation: AdapterSimulation, *causes: str) -> Iterator[Refusal]:
    """The refusals of some causes; the same one of several releases is one."""
    groups: dict[tuple[str, str], list[tuple[str, Refused]]] = {}
    for release, lone in simulation.alone.items():
        if lone.error is not None and lone.error.cause in causes:
            key = (lone.error.cause, lone.error.module)
            groups.setdefault(key, []).append((release, lone.error))
    for found in groups.values():
        types = dict.fromkeys(error.type for _, error in reversed(found))
        releases = [release for release, _ in found]
        yield Refusal(" or ".join(f"`{t}`" for t in types), found[-1][1], specifier(simulation, releases))


def outcomes(simulation: AdapterSimulation, key: Callable[[Alone], K | None]) -> Iterator[tuple[K, str | None]]:
    """What a function finds in the adapter alone, and the releases in which it does; `None` is nothing."""
    groups: dict[K, list[str]] = {}
    for release, lone in simulation.alone.items():
        found = key(lone)
        if found is not None:
            groups.setdefault(found, []).append(release)
    for outcome, releases in groups.items():
        yield outcome, specifier(simulation, releases)


def specifier(simulation: AdapterSimulation, releases: Sequence[str]) -> str | None:
    """Some of the releases that are asked for; `None` for all of them."""
    return None if len(releases) == len(simulation.alone) else spanned(releases)


def is_known(base: ModuleTree) -> bool:
    """Whether a module that is not among those of the base is surely not there.

    A class that only the task type of the adapter suggests is none that the adapter is surely loaded into; but a task
    with a head of its own needs the class that has it.
    """
    headed = (base.architecture or "").endswith(HEADED)
    return base.complete and not base.partial and (headed or not is_suggested(base))


def has_all_weights(base: ModuleTree) -> bool:
    """Whether every module with parameters is known: of a checkpoint without a config these are all there are."""
    return is_known(base) or not (base.config or base.partial)


def is_like_base(touched: Footprint, base: ModuleTree) -> bool:
    """Whether all tuned modules stand in a checkpoint without a config, so that its paths are those of the model."""
    bare = not (base.config or base.partial)
    return bare and bool(touched.tuned) and all(module in base.nodes for module in touched.tuned)


def is_suggested(base: ModuleTree) -> bool:
    """Whether the base's config names another class than the one that adapters are taken to be loaded into."""
    own = base.config.get("architectures")
    return isinstance(own, list) and bool(own) and base.architecture not in own


def is_of_other_class(task_type: Any, modules: Sequence[str], base: ModuleTree) -> bool:
    """Whether an adapter without a task type fits the base's model without its head, or with one, instead.

    Nothing says which class such an adapter is loaded into.
    """
    lost = next((path for path in modules if path not in base.nodes), None)
    change = other_beginning(modules, lost, base) if task_type is None and lost is not None else None
    return change is not None and "" in change


MAX_BEGINNINGS = 16


def other_beginning(every: Sequence[str], lost: str, base: ModuleTree) -> tuple[str, str] | None:
    """Two beginnings of paths of which the second instead of the first gives every module a place in the base.

    Args:
        every: The modules that the file has tensors for.
        lost: One of them that the base does not have.
    """
    parts = lost.split(".")
    for start in range(len(parts)):
        rest, old = ".".join(parts[start:]), "".join(f"{part}." for part in parts[:start])
        found = [path for path in base.nodes if path == rest or path.endswith(f".{rest}")]
        if found:
            beginnings = [path.removesuffix(rest) for path in found[:MAX_BEGINNINGS]]
            fitting = [new for new in beginnings if _all_fit(every, old, new, base)]
            return (old, fitting[0]) if len(fitting) == 1 else None
    return None


def _all_fit(every: Sequence[str], old: str, new: str, base: ModuleTree) -> bool:
    return all(path.startswith(old) and new + path[len(old) :] in base.nodes for path in every)


def is_sure(base: ModuleTree, path: str) -> bool:
    """Whether a module, or that there is none, is no guess."""
    node = base.nodes.get(path)
    return is_known(base) if node is None else node.certain


def unfilled(lone: Alone, touched: Footprint, base: ModuleTree) -> tuple[str, ...]:
    """The modules for which PEFT builds layers whose tensors the file lacks, all of them.

    Those of which it has some of that name under paths that the base does not have are another matter.
    """
    if not lone.loads or lone.loaded is None or not lone.loaded.missing:
        return ()
    # A parameter that is a target has the module's name before `base_layer`.
    lacking = lone.loaded.missing
    elsewhere = {last(module) for module in touched.tuned if module not in base.nodes}
    # So has the projection of a `MultiheadAttention` inside its path.
    tuned = [m for m in lone.tuned if m.replace(".base_layer.", ".") not in touched.tuned]
    tuned = [m for m in tuned if last(m) not in (*elsewhere, "base_layer")]
    return tuple(m for m in tuned if any(key.startswith(f"{PREFIX}{m}.") for key in lacking))


def brought_whole(lone: Alone, touched: Footprint) -> frozenset[str]:
    """The targets of which the file has the weights of the base instead of what the method has there."""
    return frozenset(m for m in lone.tuned if "weight" in touched.plain.get(m, ()) and m not in touched.tuned)


def dropped_by(lone: Alone) -> tuple[str, ...]:
    """The tensors that reach nothing when the adapter is loaded."""
    return lone.loaded.unexpected if lone.loaded is not None else ()


def reached_in_base(simulation: AdapterSimulation | None, header: WeightsHeader) -> frozenset[str]:
    """The tensors that reach a parameter of the base in every release; none where there is no base."""
    lone = list(simulation.alone.values()) if simulation is not None else []
    if not lone or any(not one.loads or one.loaded is None for one in lone):
        return frozenset()
    return frozenset(header.tensors).difference(*map(dropped_by, lone))


def has_no_targets(simulation: AdapterSimulation | None) -> bool:
    """Whether PEFT refuses the adapter in some release because no module of its base is a target."""
    lone = simulation.alone.values() if simulation is not None else ()
    return any(one.error is not None and one.error.cause == "no-targets" for one in lone)


def before_5(base: ModuleTree) -> ModuleTree:
    """The modules as transformers 4 called them, as far as the config tells."""
    return Base(base.name, Evidence(base.config, None)).tree("4", architecture=base.architecture)


def rows(base: ModuleTree) -> int | None:
    """How many rows the input embeddings have."""
    node = base.nodes.get(base.input_embeddings or "")
    weight = node.parameters.get("weight") if node is not None and base.input_embeddings is not None else None
    return weight[0] if weight else None


def last(path: str) -> str:
    """The last component of a path."""
    return path.rpartition(".")[2]
