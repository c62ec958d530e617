"""A simulation as a story: step by step what is loaded and activated, and what goes wrong; the output of `simulate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapterlint.report.causes import sentence
from adapterlint.report.drops import dropped_keys
from adapterlint.report.layers import clean, names, paths, rows
from adapterlint.report.paint import Paint
from adapterlint.simulation import SimulatedAdapter, SimulatedStep, Simulation
from adapterlint.words import counted

MAX_TEXT = 300  # characters of a text of PEFT's

LOST = "what PEFT does here cannot be told from the files, so what follows is not known either"
ABOUT_KEYS = "Unexpected keyword arguments"  # how PEFT's warning of keys that it drops begins

_STYLES = {"ok": "1;32", "warns": "1;33", "silently wrong": "1;33", "raises": "1;31", "unknown": "2"}
_SILENT = {"auxiliary-stale", "auxiliary-overlap"}  # what makes an accepted activation give something else


def story(simulation: Simulation, *, color: bool = False) -> str:
    """Every step with what it changes, then what became of each adapter and of the base."""
    paint = Paint(color)
    lines = [_title(simulation), ""]
    known: Mapping[str, list[str]] = {}
    told: list[tuple[list[int], list[str], str, tuple[str, ...]]] = []
    loads = [step for step in simulation.steps if step.do == "load"]
    lost = next((number for number, step in enumerate(loads, 1) if step.verdict == "unknown"), None)
    for number, step in enumerate(simulation.steps, 1):
        body = (*_body(step, simulation, known), *([LOST] if number == lost != len(simulation.steps) else []))
        known = known if step.auxiliary is None else step.auxiliary
        verdict = outcome(step)
        if told and step.do == "load" and told[-1][2:] == (verdict, body):
            told[-1][0].append(number)
            told[-1][1].append(step.adapters[0])
        else:
            told.append(([number], [*step.adapters], verdict, body))
    for numbers, who, verdict, body in told:
        do = simulation.steps[numbers[0] - 1].do
        at = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
        lines += [f"{at}. {do} {paint('1', names(who))}: {paint(_STYLES[verdict], verdict)}"]
        lines += [f"     {line}" for line in body]
    return "\n".join([*lines, "", *_end(simulation, paint)]) + "\n"


def is_fine(simulation: Simulation) -> bool:
    """Whether nothing is refused, and nothing silently wrong."""
    steps = all(outcome(step) not in ("raises", "silently wrong") for step in simulation.steps)
    adapters = all(one.faithful in ("yes", None) and one.loads is not False for one in simulation.adapters.values())
    return steps and adapters and simulation.base_unchanged in ("yes", None)


def outcome(step: SimulatedStep) -> str:
    """The verdict; an activation that is accepted and not obeyed is `silently wrong`."""
    if step.error is None and step.forward not in ("ok", None):
        return "raises"
    if step.do == "activate" and step.verdict == "ok" and any(e.kind in _SILENT for e in step.events):
        return "silently wrong"
    return step.verdict


def _title(simulation: Simulation) -> str:
    base = f"on {clean(simulation.base)}" if simulation.base else "on a base that is not at hand"
    versions = f"PEFT {simulation.peft}, transformers {simulation.transformers}"
    return f"{counted(len(simulation.adapters), 'adapter')} {base}, {versions}"


def _body(step: SimulatedStep, simulation: Simulation, before: Mapping[str, list[str]]) -> Iterator[str]:
    if step.error is not None:
        yield clean(f"{step.error.type}: {step.error.text}", MAX_TEXT)
    if step.do == "load" and step.error is None:
        yield from touched(simulation.adapters[step.adapters[0]])
    yield from _events(step)
    if step.auxiliary is not None:
        yield from _changes(before, step.auxiliary)
    if step.error is None and step.forward not in ("ok", None):
        yield f"a forward pass raises {step.forward}"
    keys = simulation.adapters[step.adapters[0]].dropped if step.do == "load" else []
    if keys and step.error is None:
        yield f"PEFT drops {dropped_keys(keys)}"
    for warning in step.warnings:
        if not warning.startswith(ABOUT_KEYS):
            yield f"PEFT warns: {clean(warning, 160)}"


def touched(adapter: SimulatedAdapter) -> Iterator[str]:
    """What an adapter touches, in one line."""
    found = adapter.footprint
    if found is not None:
        parts = [f"tunes {paths(found.tuned)}"] if found.tuned else []
        parts += [f"brings {paths(found.modules_to_save)}"] if found.modules_to_save else []
        parts += [f"replaces {rows(found.trainable_tokens.items())}"] if found.trainable_tokens else []
        if parts:
            yield "; ".join(parts)


def _events(step: SimulatedStep) -> Iterator[str]:
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for event in step.events:
        groups.setdefault((event.kind, tuple(event.adapters)), []).append(event.module)
    new = "it" if step.do == "load" else names(step.adapters)
    for (kind, adapters), modules in groups.items():
        others = [name for name in adapters if name not in step.adapters]
        who = names(adapters) if kind == "auxiliary-overlap" else new
        told = sentence(kind, modules=paths(m for m in modules if m), new=who, old=names(others))
        if told:
            yield told


def _changes(before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Auxiliary modules in which somebody else is active than before."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for path, active in after.items():
        if path not in before or list(before[path]) != list(active):
            groups.setdefault(tuple(active), []).append(path)
    for active, modules in groups.items():
        yield f"{paths(modules)}: {names(active) + ' active' if active else 'as in the base'}"


def _end(simulation: Simulation, paint: Paint) -> Iterator[str]:
    refused = {step.adapters[0] for step in simulation.steps if step.do == "load" and step.error is not None}
    groups: dict[str, list[str]] = {}
    for name, adapter in simulation.adapters.items():
        groups.setdefault(_fate(adapter, name in refused), []).append(name)
    if simulation.base_unchanged is not None:
        groups.setdefault(_base_fate(simulation.base_unchanged), []).append("the base")
    yield paint("1", "after all loads, switched to one at a time:")
    for fate, who in groups.items():
        style = "1;32" if fate in _GOOD else "2" if fate.startswith("not known") else "1;31"
        yield f"  {names(who)}: {paint(style, fate)}"


_GOOD = ("what it gives alone", "unchanged without adapters")


def _fate(adapter: SimulatedAdapter, refused: bool) -> str:
    if refused:
        return "not loaded, and it does not load alone either" if adapter.loads is False else "not loaded"
    if adapter.faithful == "yes":
        return "what it gives alone" if adapter.forward != "no effect" else "what it gives alone, which is no effect"
    if adapter.faithful == "no":
        return "silently something else than it gives alone"
    return "not known" if adapter.faithful is None else f"a forward pass raises {adapter.faithful}"


def _base_fate(unchanged: str) -> str:
    if unchanged in ("yes", "no"):
        return "unchanged without adapters" if unchanged == "yes" else "silently changed, without adapters too"
    return f"`disable_adapter()` raises {unchanged}"
