"""CFG130."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from adapterlint import Adapter, AdapterSimulation, Config, Finding, ModuleTree, Severity, listed, rule, shown
from adapterlint.lint.against_base import is_known, outcomes
from adapterlint.peft.fields import fields_of
from adapterlint.peft.layout import layout
from adapterlint.peft.matching import MAX_WHOLE, component_pattern
from adapterlint.peft.methods import METHODS
from adapterlint.peft.patterns import compile_error
from adapterlint.peft.simulate import Alone
from adapterlint.peft.tasks import IMPLICIT_HEADS


@rule(
    "CFG130",
    Severity.ERROR,
    since="0.1",
    bad=({"modules_to_save": "lm_head"}, {"modules_to_save": "xyz"}),
    good={"modules_to_save": []},
    source="peft/utils/other.py, _set_trainable",
)
def module_to_save_string(
    adapter: Adapter, base: ModuleTree | None, simulation: AdapterSimulation | None
) -> Iterator[Finding]:
    """`modules_to_save` is a string instead of a list.

    PEFT goes through it letter by letter and wraps every module whose name ends in one of them: `"lm_head"` takes
    the whole `model`, `embed_tokens` and more. Loading ends in a `KeyError` for their missing tensors, or in
    `TypeError: modules_to_save cannot be applied to modules of type ...ModuleList`; with a task type that has a
    head, in `AttributeError: 'str' object has no attribute 'extend'`. If no module ends in one of the letters,
    nothing is saved and nothing is said, which is reported as a warning.

    Put the name into a list: `["lm_head"]`.
    """
    config = adapter.config
    if config is None or not isinstance(value := config.get("modules_to_save"), str) or not value:
        return
    if "modules_to_save" not in fields_of(config.peft_type):
        return
    letters = tuple(dict.fromkeys(value))[:MAX_WHOLE]
    if base is not None and simulation is not None and is_known(base) and _is_decided(simulation):
        for (what, how_bad), peft in outcomes(simulation, _consequence):
            yield _finding(config, value, letters, what, how_bad, peft)
        return
    hit = None
    if adapter.header is not None and not METHODS[config.peft_type].prompt_learning:
        tuned = layout(adapter.header.tensors, config.peft_type).tuned
        hit = next((path for path in _with_parents(tuned) if path.endswith(letters)), None)
    consequence = "wraps every module that ends in one of them, or nothing"
    severity: Severity | None = Severity.WARNING
    releases = None
    if str(config.get("task_type")) in IMPLICIT_HEADS:
        consequence, severity = "raises an `AttributeError` as it adds the head of the task", None
    elif any(compile_error(component_pattern(letter)) for letter in letters):
        consequence, severity = "takes each for a regular expression, and one does not compile", None
        releases = ">=0.16"
    elif hit is not None:
        consequence, severity = f"wraps all modules that end in one of them, such as {shown(hit)}, and fails", None
    yield _finding(config, value, letters, consequence, severity, releases)


def _finding(
    config: Config, value: str, letters: Iterable[str], consequence: str, severity: Severity | None, peft: str | None
) -> Finding:
    return Finding(
        f"`modules_to_save` is the string {shown(value)}, to PEFT the letters {listed(letters)}: it {consequence}",
        at=config.at("modules_to_save"),
        help="Put the name into a list.",
        severity=severity,
        peft=peft,
    )


def _is_decided(simulation: AdapterSimulation) -> bool:
    return all(lone.known for lone in simulation.alone.values())


def _consequence(lone: Alone) -> tuple[str, Severity | None]:
    """What comes of it in a base that is at hand."""
    if lone.error is not None:
        return f"goes through the base with them, and raises `{lone.error.type}`", None
    if not lone.whole:
        return "finds no module that ends in one of them, and saves nothing", Severity.WARNING
    return f"saves all modules that end in one of them: {listed(lone.whole, word='modules')}", Severity.WARNING


def _with_parents(modules: Iterable[str]) -> Iterator[str]:
    """Modules and all modules that contain them: each surely has parameters that the file does not have."""
    for module in modules:
        yield from accumulate(module.split("."), "{}.{}".format)
