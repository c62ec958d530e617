"""From simulations of a fleet to causes: what happened for the same reason, with everybody whom it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from adapterlint.lint.fleet import Member
from adapterlint.lint.troubles import Trouble
from adapterlint.peft.methods import METHODS
from adapterlint.peft.refused import Refused
from adapterlint.peft.releases import RELEASES, line_of, spanned
from adapterlint.severity import Severity


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of trouble in a fleet, with everybody whom it concerns.

    Args:
        kind: A kind of `adapterlint.peft.events.KINDS`, or one of these: `forward-fails`, `unfaithful` (an adapter that
            is switched to after all loads raises, or gives something else than alone), `base-changed` (the base without
            adapters gives something else), `refused` (PEFT raises for a reason that has no kind).
        do: The operation in which it shows.
        modules: Paths of modules; empty if it is about none.
        first: Those who were there before.
        later: Those with whom it goes wrong: who are refused, or whose loading changes things; for `unfaithful` and
            `forward-fails` those whose output it is. In an activation those who are active together, and `first` is
            empty.
        error: What PEFT raises, if it does.
        peft: The releases in which it happens, as a specifier; `None` for all that are asked for.
        declared: Whether it happens in an order or a set that the settings or the command line declare, or, in a
            declared fleet, in every order.
        hopeless: Whether the opposite order of loading fails too.
        roles: What `first` and `later` do to the modules: `whole`, `rows`, `tuned`, `inside` (tune or bring modules in
            them), or nothing.
    """

    kind: str
    do: str
    modules: tuple[str, ...]
    first: tuple[Member, ...]
    later: tuple[Member, ...]
    error: Refused | None = None
    peft: str | None = None
    declared: bool = False
    hopeless: bool = False
    roles: tuple[str, str] = ("", "")

    @property
    def members(self) -> tuple[Member, ...]:
        """Everybody."""
        return tuple(dict.fromkeys((*self.first, *self.later)))

    @property
    def severity(self) -> Severity | None:
        """An error where PEFT raises in what was declared; otherwise the rule's own."""
        return Severity.ERROR if self.declared and self.error is not None else None

    @property
    def topic(self) -> str:
        """The rule that words it."""
        return _BY_KIND.get(self.kind) or _topic(self)


_BY_KIND = {
    "auxiliary-active-early": "auxiliary-active-early",
    "auxiliary-on-tuner": "auxiliary-against-tuner",
    "auxiliary-stale": "auxiliary-stale",
    "base-biases-overwritten": "base-weights-shared",
    "base-decomposed": "base-mutating-init-in-fleet",
    "base-weights-overwritten": "base-weights-shared",
    "layers-replicated": "layer-replication-in-fleet",
    "mixed-peft-types": "mixed-peft-types",
    "one-active-only": "one-active-only",
    "several-biases": "several-biases",
    "shared-projections": "shared-projections-differ",
    "target-parameters": "loading-refused",
    "tuner-inside-module-to-save": "module-around-tuner",
}
_CLASHES = ("target-unsupported", "module-not-in-file", "tokens-block-later-adapter")
# Every active adapter has to be on each layer.
_SAME_TARGETS = frozenset(name for name, method in METHODS.items() if method.copies or method.token_rows)
_PROJECTED = frozenset(name for name, method in METHODS.items() if method.shared is not None)


def _topic(cause: Cause) -> str:
    roles = set(cause.roles)
    peft_type = cause.later[0].peft_type
    if cause.kind == "auxiliary-overlap":
        return "auxiliary-overlap" if "whole" in roles else "token-overlap"
    if cause.do == "activate":
        if cause.kind == "forward-fails" and peft_type in _SAME_TARGETS:
            return "token-overlap" if METHODS[peft_type].token_rows else "one-active-only"
        return "activation-refused"
    if cause.kind == "forward-fails" and peft_type in _SAME_TARGETS and cause.error and cause.error.type == "KeyError":
        return "target-sets-differ"
    if peft_type in _PROJECTED and cause.kind in ("forward-fails", "size-mismatch", "unfaithful"):
        return "shared-projections-differ"
    if roles == {"whole", "rows"}:
        return "module-against-tokens"
    if "inside" in roles:
        return "module-around-tuner"
    if "tuned" in roles and roles & {"whole", "rows"} and cause.kind in _CLASHES:
        return "auxiliary-against-tuner"
    if cause.kind == "tokens-block-later-adapter":
        return "tokens-block-later-adapter"
    if cause.kind == "module-not-in-file" and cause.roles == ("whole", ""):
        return "implicit-head-missing"
    if cause.kind in ("unfaithful", "base-changed"):
        return "output-changed"
    return "loading-refused"


_Key = tuple[str, str, str, str, bool, bool, tuple[str, str]]


class Collector:
    """Brings troubles of many simulations together."""

    def __init__(self) -> None:
        self._first: dict[_Key, dict[Member, None]] = {}
        self._later: dict[_Key, dict[Member, None]] = {}
        self._releases: dict[_Key, dict[str, None]] = {}
        self._errors: dict[_Key, Refused | None] = {}

    def take(self, release: str, troubles: Iterable[Trouble]) -> None:
        """Take what went wrong in a release."""
        for one in troubles:
            error = one.error.type if one.error else ""
            key = (one.kind, one.do, one.module, error, one.declared, one.hopeless, one.roles)
            self._errors.setdefault(key, one.error)
            self._releases.setdefault(key, {})[release] = None
            self._first.setdefault(key, {}).update(dict.fromkeys(one.first))
            self._later.setdefault(key, {}).update(dict.fromkeys(one.later))

    def causes(self, asked: tuple[str, ...], order: Sequence[Member]) -> Iterator[Cause]:
        """One cause for all modules with which the same members have the same trouble.

        Args:
            asked: The releases that were simulated.
            order: The members in the order in which causes name them.
        """
        rank = {member: i for i, member in enumerate(order)}
        first, later = (
            {k: tuple(sorted(of[k], key=rank.__getitem__)) for k in of} for of in (self._first, self._later)
        )
        groups: dict[tuple[object, ...], list[_Key]] = {}
        for key in self._errors:
            kind, do, _, *rest = key
            groups.setdefault((kind, do, *rest, first[key], later[key], tuple(self._releases[key])), []).append(key)
        for key, *others in groups.values():
            kind, do, _, _, declared, hopeless, roles = key
            releases = tuple(self._releases[key])
            yield Cause(
                kind,
                do,
                tuple(dict.fromkeys(module for _, _, module, *_ in (key, *others) if module)),
                first[key],
                later[key],
                self._errors[key],
                None if releases == asked else _specifier(releases),
                declared,
                hopeless,
                roles,
            )


def _specifier(releases: Sequence[str]) -> str | None:
    """Releases as a specifier; `None` if adapterlint knows none of them."""
    return spanned(releases) if any(line_of(release) in RELEASES for release in releases) else None


def together(causes: Iterable[Cause], role: str = "") -> list[list[Cause]]:
    """Causes of one topic that are about the same members and what they do to the same modules, in both orders.

    Args:
        role: A role that one side has; the other side may have several, which are not told together.
    """
    found: dict[object, list[Cause]] = {}
    for cause in causes:
        other = next((r for r in cause.roles if r != role), role)
        found.setdefault((frozenset(cause.members), other, cause.peft), []).append(cause)
    return list(found.values())


def by_type(causes: Iterable[Cause]) -> list[list[Cause]]:
    """Causes of one topic, those of each PEFT type together."""
    found: dict[object, list[Cause]] = {}
    for cause in causes:
        found.setdefault((cause.later[0].peft_type, cause.peft), []).append(cause)
    return list(found.values())


def sides(causes: Iterable[Cause], role: str) -> tuple[tuple[Member, ...], tuple[Member, ...]]:
    """Those who have a role, and the others."""
    mine: dict[Member, None] = {}
    theirs: dict[Member, None] = {}
    for cause in causes:
        of_first = cause.roles[0] == role
        mine.update(dict.fromkeys(cause.first if of_first else cause.later))
        theirs.update(dict.fromkeys(cause.later if of_first else cause.first))
    return tuple(mine), tuple(theirs)


def modules_of(causes: Iterable[Cause]) -> list[str]:
    """The modules that causes are about."""
    return list(dict.fromkeys(module for cause in causes for module in cause.modules))


def first_of(causes: Iterable[Cause]) -> tuple[Member, ...]:
    """Those who were there before, in any of the causes."""
    return tuple(dict.fromkeys(member for cause in causes for member in cause.first))


def later_of(causes: Iterable[Cause]) -> tuple[Member, ...]:
    """Those with whom it goes wrong, in any of the causes."""
    return tuple(dict.fromkeys(member for cause in causes for member in cause.later))


def worst(causes: Iterable[Cause]) -> Severity | None:
    """An error if one of them is one."""
    return next((cause.severity for cause in causes if cause.severity is not None), None)
