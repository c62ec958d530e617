"""What a rule is: a function that reads parts of an adapter and yields findings; its docstring is its manual."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from adapterlint.errors import AdapterlintError
from adapterlint.place import Place
from adapterlint.severity import Severity

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

    from adapterlint.lint.example import Example

INPUTS = ("files", "config", "header", "card", "adapter", "footprint", "base", "simulation", "fleet", "run")
FAMILIES = {
    "FIL": "files",
    "CFG": "config alone",
    "TEN": "header alone",
    "FIT": "config against tensors",
    "BAS": "adapter against base model",
    "FLT": "several adapters",
    "SEC": "safety",
    "CRD": "model card",
    "SRV": "serving engines",
    "LNT": "the linter itself",
}

Check = Callable[..., Iterable["Finding"]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found: one sentence about one place.

    Args:
        message: One sentence without a full stop, offending values in backticks.
        at: The place; symbolic until it is drawn.
        help: The remedy.
        severity: Where it differs from the rule's own (an operation that the user declared).
        adapters: Paths of the adapters concerned; a rule about one adapter need not fill it.
        peft: Releases for which this finding holds, where they differ from the rule's own, as a specifier.
    """

    message: str
    at: Place
    help: str | None = None
    severity: Severity | None = None
    adapters: tuple[str, ...] = ()
    peft: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the engine sees it; made by `rule`.

    Args:
        code: Three letters for what one would edit, three digits; never reused.
        name: The function's name in kebab case.
        severity: The default severity.
        since: Release of adapterlint that brought it.
        check: The function.
        inputs: What it reads, in the order of its parameters.
        optional: Those that it can do without; it gets `None` where there is none.
        title: First line of its docstring.
        manual: The rest: why it matters, how to repair it.
        bad: Examples that give the finding.
        good: Examples that give no finding at all.
        also: Other rules that `bad` sets off too, by name.
        source: PEFT file and release, or thread, that shows the behaviour.
        peft: Releases of PEFT for which it holds; `None` for all.
        types: PEFT types it speaks of; `None` for all.
    """

    code: str
    name: str
    severity: Severity
    since: str
    check: Check
    inputs: tuple[str, ...]
    optional: frozenset[str]
    title: str
    manual: str
    bad: tuple[Example, ...]
    good: tuple[Example, ...]
    also: frozenset[str]
    source: str | None
    peft: SpecifierSet | None
    types: frozenset[str] | None

    @property
    def needs(self) -> frozenset[str]:
        """The inputs without which it does not run."""
        return frozenset(self.inputs) - self.optional

    @property
    def reads_base(self) -> bool:
        """Whether it matters to it that there is a base model."""
        return "base" in self.inputs or "simulation" in self.inputs

    @property
    def family(self) -> str:
        """The letters of its code."""
        return self.code[:3]


class RuleError(AdapterlintError):
    """A rule is not written as rules are."""


RULE_ATTRIBUTE = "__adapterlint_rule__"


def rule(
    code: str,
    severity: Severity,
    *,
    since: str,
    bad: Any,
    good: Any,
    also: Iterable[str] = (),
    source: str | None = None,
    peft: str | None = None,
    types: Iterable[str] | None = None,
) -> Callable[[Check], Check]:
    """Make a rule of a function.

    The function's name is the rule's name, its docstring its manual page, its parameters are what it reads; it runs
    where all of them exist, but for those that are annotated as `X | None`.

    Args:
        code: Like `CFG104`.
        severity: The default severity.
        since: Release of adapterlint that brings it.
        bad: Patches of the known-good adapter that give this finding and no other: one, or a tuple of them. A patch is
            a mapping of config keys, a `Patch`, or for a rule that reads a fleet a `FleetPatch`.
        good: Patches that give no finding.
        also: Names of other rules that `bad` sets off too.
        source: Where the behaviour can be seen.
        peft: Releases of PEFT for which the rule holds, as a version specifier.
        types: PEFT types it speaks of.

    Raises:
        RuleError: The code, a parameter, the docstring or an example is not as it has to be.
    """

    def decorate(function: Check) -> Check:
        made = _make(function, code, severity, since, bad, good, also, source, peft, types)
        setattr(function, RULE_ATTRIBUTE, made)
        return function

    return decorate


def _make(
    function: Check,
    code: str,
    severity: Severity,
    since: str,
    bad: Any,
    good: Any,
    also: Iterable[str],
    source: str | None,
    peft: str | None,
    types: Iterable[str] | None,
) -> Rule:
    from adapterlint.lint.example import examples

    name = function.__name__.replace("_", "-")
    if not re.fullmatch(r"[A-Z]{3}\d{3}", code) or code[:3] not in FAMILIES:
        raise RuleError(f"`{code}` is not a code: one of {', '.join(FAMILIES)} and three digits", place=name)
    parameters = inspect.signature(function).parameters
    inputs = tuple(parameters)
    unknown = [i for i in inputs if i not in INPUTS]
    if unknown or not inputs:
        wanted = f"has no input `{unknown[0]}`" if unknown else "reads nothing"
        raise RuleError(f"The rule {wanted}; the inputs are {', '.join(INPUTS)}", place=name)
    title, _, manual = inspect.cleandoc(function.__doc__ or "").partition("\n")
    if not title or not manual.strip():
        raise RuleError("The docstring needs a title and, after an empty line, a manual", place=name)
    optional = frozenset(i for i in inputs if _may_be_none(parameters[i]))
    return Rule(
        code, name, severity, since, function, inputs, optional, title.rstrip("."), manual.strip(), examples(bad),
        examples(good), frozenset(also), source, _specifier(peft, name), None if types is None else frozenset(types),
    )  # fmt: skip


def _may_be_none(parameter: inspect.Parameter) -> bool:
    """Whether the annotation of a parameter, which may be a string, has `None` as an alternative."""
    said = parameter.annotation
    if isinstance(said, str):
        return "None" in (part.strip() for part in said.split("|")) or bool(re.match(r"(typing\.)?Optional\[", said))
    return type(None) in get_args(said)


def _specifier(text: str | None, name: str) -> SpecifierSet | None:
    if text is None:
        return None
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise RuleError(f"`{text}` is not a version specifier", place=name) from None
