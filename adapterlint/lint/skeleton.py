"""The file that a new rule of one's own begins as: a rule that works, with its examples and its page."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from string import Template

from adapterlint.lint.rule import FAMILIES, Rule, RuleError
from adapterlint.words import shown

FIRST = 901  # codes of built-in rules stay below
RESERVED = frozenset({"new", "show", "test"})  # what `adapterlint rule` takes for something else than a name

_SKELETON = Template('''\
"""$code."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Severity, rule, shown

MAX_DROPOUT = 0.2


@rule("$code", Severity.WARNING, since="0.1", bad={"lora_dropout": 0.5}, good={"lora_dropout": 0.1})
def $function(config: Config) -> Iterator[Finding]:
    """The dropout is higher than what we train with.

    This is the page of the rule: say what breaks, where, and how to repair it. `bad` and `good` are its tests: changes
    of a healthy adapter in which it has to find something, and nothing.
    """
    dropout = config.get("lora_dropout")
    if isinstance(dropout, float) and dropout > MAX_DROPOUT:
        yield Finding(
            f"A dropout of {shown(dropout)} is above {MAX_DROPOUT}",
            at=config.at("lora_dropout"),
            help=f"Train with `lora_dropout={MAX_DROPOUT}` or less.",
        )
''')


def skeleton(name: str, rules: Sequence[Rule], *, code: str | None = None) -> tuple[str, str]:
    """The name of a file for a new rule, and what stands in it.

    Args:
        name: The rule's name, in kebab or snake case.
        rules: The rules that there are.
        code: The code it shall have; without one the next free one of `CFG` from 901 on.

    Raises:
        RuleError: The name or the code is taken, or cannot be one.
    """
    function = name.replace("-", "_")
    kebab = function.replace("_", "-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", function) or keyword.iskeyword(function) or kebab in RESERVED:
        raise RuleError(f"{shown(name)} cannot be the name of a rule; write it like `house-rank`")
    taken = {label: rule for rule in rules for label in (rule.code, rule.name)}
    code = (code or _next(taken)).upper()
    if not re.fullmatch(r"[A-Z]{3}\d{3}", code) or code[:3] not in FAMILIES:
        raise RuleError(f"{shown(code)} is not a code: one of {', '.join(FAMILIES)} and three digits")
    for label in (kebab, code):
        if label in taken:
            raise RuleError(f"There is a rule {shown(label)} already: {taken[label].title}")
    return f"{function}.py", _SKELETON.substitute(code=code, function=function)


def _next(taken: dict[str, Rule]) -> str:
    for number in range(FIRST, 1000):
        if (code := f"CFG{number}") not in taken:
            return code
    raise RuleError(f"All codes from CFG{FIRST} to CFG999 are taken; give one with --code")
