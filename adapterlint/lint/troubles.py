"""What goes wrong in one simulation of adapters that are loaded one after the other, and of sets that are activated."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapterlint.adapter import Adapter
from adapterlint.lint.fleet import Member
from adapterlint.peft.events import Event
from adapterlint.peft.fields import reads
from adapterlint.peft.inits import changes_base_on_loading
from adapterlint.peft.refused import Refused
from adapterlint.peft.simulate import Alone, Simulated, Step

STALE = "auxiliary-stale"
# What an adapter does to the base when it is loaded, to itself and to all others.
_CHANGES = ("base-weights-overwritten", "base-biases-overwritten", "base-decomposed", "layers-replicated")
_ADVICE = ("tensors-unexpected", "parameters-missing", "tied-embeddings-split")  # nothing by itself


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong in one step of one simulation; the fields are those of a cause."""

    kind: str
    do: str
    module: str
    first: tuple[Member, ...]
    later: tuple[Member, ...]
    error: Refused | None = None
    declared: bool = False
    hopeless: bool = False
    roles: tuple[str, str] = ("", "")


@dataclass(slots=True, eq=False)
class Group:
    """Members of one interaction signature, of which one is simulated.

    Args:
        condensed: That one, without layers that are like others.
        lone: That one in a fresh base.
        inert: Whether they leave everything but their own layers alone.
        partial: Whether no more of the base is known than what adapters name.
    """

    members: list[Member]
    condensed: Adapter
    lone: Alone
    inert: bool
    partial: bool
    _named: dict[str, Alone] = field(default_factory=dict, init=False)

    def alone_as(self, name: str) -> Alone:
        """It alone under another name, which the values of its tensors have in them."""
        found = self._named.get(name)
        if found is None:
            expression = tuple(_renamed(self.lone.expression, name))
            found = self._named[name] = replace(self.lone, expression=expression)
        return found

    @property
    def adapter(self) -> Member:
        """The one that is simulated."""
        return self.members[0]

    def role(self, module: str) -> str:
        """What it does to a module."""
        lone, below = self.lone, f"{module}."
        if module in lone.tokens:
            return "rows"
        if module in lone.whole:
            return "whole"
        if module in lone.tuned:
            return "tuned"
        return "inside" if any(path.startswith(below) for path in (*lone.whole, *lone.tuned)) else ""


ALONE = "adapterlint"
"""The name under which adapters are simulated alone."""


def _renamed(value: Iterable[Hashable], name: str) -> Iterator[Any]:
    for item in value:
        if isinstance(item, tuple):
            yield tuple(_renamed(item, name))
        else:
            yield name if item == ALONE else item


Behind = Mapping[str, tuple[Group, tuple[Member, ...]]]
"""Name in a simulation -> the signature, and the members that it stands for."""
Blame = Callable[[str, Iterable[Group], Group], tuple[list[Group], bool]]
"""Kind, earlier ones, later one -> who of the earlier ones is to blame, and whether the opposite order fails too."""


def loading(found: Simulated, behind: Behind, blame: Blame | None = None) -> Iterator[Trouble]:
    """What goes wrong between adapters while they are loaded, and what their outputs are afterwards.

    Args:
        blame: Finds out who is to blame where more than two were loaded.
    """
    yield from _Loading(found, behind, blame).troubles()


def _changes(group: Group) -> Iterator[Event]:
    """How a load changes the base; in a partial one, as far as the file and the config tell."""
    if not group.partial:
        yield from (event for event in group.lone.events if event.kind in _CHANGES)
        return
    touched, config = group.adapter.footprint, group.adapter.config
    names = dict.fromkeys((*touched.biases, *(name for name in touched.overwrites if ".base_layer." not in name)))
    for (module, _), name in touched.names.items() if names else ():
        if name in names:
            yield Event("base-biases-overwritten" if name in touched.biases else "base-weights-overwritten", module)
    if changes_base_on_loading(config.get("init_lora_weights")) and reads(config.peft_type, "init_lora_weights"):
        yield Event("base-decomposed")
    if config.get("layer_replication"):
        yield Event("layers-replicated")


class _Loading:
    def __init__(self, found: Simulated, behind: Behind, blame: Blame | None) -> None:
        self.found = found
        self.behind = behind
        self.blame = blame
        self.refused: set[str] = set()
        self.loaded: list[str] = []
        self.explained: set[str] = set()  # whose output is known to be wrong for a reason

    def troubles(self) -> Iterator[Trouble]:
        for step in self.found.steps:
            if step.do == "load" and step.verdict != "unknown":
                yield from self._refused(step) if step.error is not None else self._silent(step)
        yield from self._changed()
        yield from self._outputs()

    def _refused(self, step: Step) -> Iterator[Trouble]:
        (name,) = step.adapters
        event = next(iter(step.events), Event("refused"))
        left = {n for n in event.adapters if n in self.refused}
        self.refused.add(name)
        if left and left >= set(event.adapters) - {name}:
            return  # it meets what another one left behind that was refused itself
        yield self._between(event.kind, event.module, self._others(event, name), name, step.error)

    def _silent(self, step: Step) -> Iterator[Trouble]:
        (name,) = step.adapters
        for event in step.events:
            if event.kind not in (*_CHANGES, *_ADVICE) and not self._happens_alone(name, event):
                self.explained.add(name)
                yield self._between(event.kind, event.module, self._others(event, name), name, None)
        self.loaded.append(name)

    def _others(self, event: Event, name: str) -> list[str]:
        owners = [n for n in event.adapters if n != name and n in self.behind and n not in self.refused]
        return owners or self.loaded

    def _happens_alone(self, name: str, event: Event) -> bool:
        return any(e.kind == event.kind and e.module == event.module for e in self.behind[name][0].lone.events)

    def _changed(self) -> Iterator[Trouble]:
        """Adapters that change the base, with those whose output is not what it was."""
        for name in self.loaded:
            group, members = self.behind[name]
            events = list(_changes(group))
            # What a partial base computes says nothing about weights that it does not have.
            unknown = group.partial
            wrong = [n for n in self.loaded if n != name and (unknown or self.found.faithful.get(n) == "no")]
            if events:
                self.explained.update(wrong)
            for event in events:
                # Weights that are saved along with a tuned embedding are mostly those that the base has anyway.
                if wrong and not (event.kind == "base-weights-overwritten" and event.module.endswith(".base_layer")):
                    yield Trouble(event.kind, "load", event.module, self._members(wrong), members)

    def _outputs(self) -> Iterator[Trouble]:
        """Outputs that are wrong, or not to be had, and that nothing else tells of."""
        if self.refused:
            return
        for name, faithful in self.found.faithful.items():
            lone = self.behind[name][0].lone
            others = [n for n in self.loaded if n != name]
            if faithful not in (None, "yes", "no") and lone.forward is None:
                yield from self._on(lone, "forward-fails", others, name, Refused(faithful, ""))
            elif faithful == "no" and name not in self.explained:
                yield from self._on(lone, "unfaithful", others, name, None)
        if self.found.base == "no" and not self.explained and not self._alone_changes():
            every = self._members(self.loaded)
            yield Trouble("base-changed", "load", "", (), every)

    def _alone_changes(self) -> bool:
        return any(True for name in self.loaded for _ in _changes(self.behind[name][0]))

    def _on(self, lone: Alone, kind: str, others: list[str], name: str, error: Refused | None) -> Iterator[Trouble]:
        """A wrong output, with the module that the adapter has rows of and another one brings, if there is one."""
        for module in lone.tokens:
            owners = [n for n in others if self.behind[n][0].role(module) == "whole"]
            if owners:
                yield self._between(kind, module, owners, name, error)
                return
        yield self._between(kind, "", others, name, error)

    def _between(self, kind: str, module: str, first: list[str], name: str, error: Refused | None) -> Trouble:
        group, members = self.behind[name]
        hopeless = False
        if self.blame is not None and first:
            guilty, hopeless = self.blame(kind, (self.behind[n][0] for n in first), group)
            first = [n for n in first if self.behind[n][0] in guilty] or first
        role = self.behind[first[0]][0].role(module) if first and module else ""
        roles = (role, group.role(module) if module else "")
        return Trouble(
            kind,
            "load",
            module,
            self._members(first),
            members,
            error,
            hopeless=hopeless and error is not None,
            roles=roles,
        )

    def _members(self, names: Iterable[str]) -> tuple[Member, ...]:
        return tuple(dict.fromkeys(m for name in names for m in self.behind[name][1]))


def activating(found: Simulated, behind: Behind) -> Iterator[Trouble]:
    """What goes wrong where sets are activated."""
    for step in found.steps:
        if step.do != "activate":
            continue
        if step.verdict == "unknown":
            yield from _undecided(step, found, behind)
        else:
            yield from _activated(step, found, behind)


def _undecided(step: Step, found: Simulated, behind: Behind) -> Iterator[Trouble]:
    """Two copies of one module, which `ModulesToSaveWrapper` refuses since 0.18 whatever the method does besides."""
    error = Refused("ValueError", "Only one adapter can be set at a time") if found.versions.peft >= (0, 18) else None
    for one in _overlaps(replace(step, error=error), behind):
        if one.roles == ("whole", "whole"):
            yield one


def _activated(step: Step, found: Simulated, behind: Behind) -> Iterator[Trouble]:
    events = list(step.events) or ([Event("refused")] if step.error is not None else [])
    for kind in dict.fromkeys(event.kind for event in events):
        if kind == "auxiliary-overlap":
            yield from _overlaps(step, behind)
            continue
        modules = [event.module for event in events if event.kind == kind]
        for module in modules:
            yield Trouble(kind, "activate", module, (), _all(step.adapters, behind), step.error)
    failing = step.forward not in (None, "ok") and all(found.faithful.get(n) in ("yes", "no") for n in step.adapters)
    if failing and step.error is None:
        error = Refused(str(step.forward), "")
        yield Trouble("forward-fails", "activate", "", (), _all(step.adapters, behind), error)


def _overlaps(step: Step, behind: Behind) -> Iterator[Trouble]:
    """Every module that several of a set own; PEFT names the first one alone."""
    owners: dict[str, list[str]] = {}
    for name in step.adapters:
        lone = behind[name][0].lone
        for module in (*lone.whole, *lone.tokens):
            owners.setdefault(module, []).append(name)
    for module, names in owners.items():
        if len(names) > 1:
            first, second, *_ = (behind[name][0].role(module) for name in names)
            yield Trouble(
                "auxiliary-overlap", "activate", module, (), _all(names, behind), step.error, roles=(first, second)
            )


def _all(names: Iterable[str], behind: Behind) -> tuple[Member, ...]:
    return tuple(dict.fromkeys(m for name in names for m in behind[name][1]))
