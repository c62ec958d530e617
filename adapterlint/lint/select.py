"""Which rules run, and how severe each is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adapterlint.errors import AdapterlintError
from adapterlint.globs import matches
from adapterlint.lint.rule import FAMILIES, Rule
from adapterlint.settings import Settings
from adapterlint.severity import Severity
from adapterlint.words import shown, suggestion

ALL = "ALL"


class UnknownRuleError(AdapterlintError):
    """A code, name or family that no rule has."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """One label under one pattern of `per-file-ignores`.

    Args:
        pattern: Glob pattern of files and folders.
        label: As it is written.
        codes: The rules that are not reported there.
    """

    pattern: str
    label: str
    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen rules.

    Args:
        rules: In order of their codes.
        severity: By code, where the settings change it.
        ignores: What is not reported in some files and folders.
    """

    rules: tuple[Rule, ...]
    severity: Mapping[str, Severity]
    ignores: tuple[Ignored, ...]

    def ignored_by(self, code: str, paths: Iterable[str]) -> list[Ignored]:
        """What sets a finding aside, by the paths it concerns; all of it."""
        those = [one for one in self.ignores if code in one.codes]
        return [one for one in those if any(matches(path, (one.pattern,)) for path in paths)] if those else []


def select(rules: Sequence[Rule], settings: Settings) -> Selection:
    """Choose rules as the settings say.

    Raises:
        UnknownRuleError: A label that no rule has.
    """
    chosen = resolve(rules, (*settings.select, *settings.extend_select), "select")
    left_out = resolve(rules, (*settings.ignore, *settings.extend_ignore), "ignore")
    severity = {
        code: level for label, level in settings.severity.items() for code in resolve(rules, (label,), "severity")
    }
    ignores = tuple(
        Ignored(pattern, label, resolve(rules, (label,), f"per-file-ignores.{shown(pattern)}"))
        for pattern, ignore in settings.per_file_ignores.items()
        for label in dict.fromkeys(ignore.rules)
    )
    return Selection(tuple(r for r in rules if r.code in chosen - left_out), severity, ignores)


def resolve(rules: Sequence[Rule], labels: Iterable[str], setting: str) -> frozenset[str]:
    """The codes that labels mean: a code, a name, the letters of a family, or `ALL`."""
    return frozenset(code for label in labels for code in _codes(rules, label.strip(), setting))


def find_rule(rules: Sequence[Rule], label: str) -> Rule:
    """The rule with a code or name.

    Raises:
        UnknownRuleError: There is none; the message says which one may have been meant.
    """
    codes = _codes(rules, label, None)
    found = [r for r in rules if r.code in codes]
    if len(found) != 1 or label.upper() == found[0].family:
        raise UnknownRuleError(f"{shown(label)} is a family of rules; name one of them")
    return found[0]


def _codes(rules: Sequence[Rule], label: str, setting: str | None) -> list[str]:
    upper = label.upper()
    found = [r.code for r in rules if upper in (ALL, r.code, r.family) or label.lower() == r.name]
    if found or upper == ALL or upper in FAMILIES:
        return found
    near = suggestion(label, [*FAMILIES, *(x for r in rules for x in (r.code, r.name))])
    raise UnknownRuleError(
        f"There is no rule {shown(label)}" + (f"; did you mean `{near}`" if near else ""), place=setting
    )
