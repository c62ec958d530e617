"""Findings become entries of a report: places get lines and columns, secrets are removed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from adapterlint.adapter import Adapter
from adapterlint.errors import AdapterlintError, PartlyKnown
from adapterlint.lint.engine import Crash, Found
from adapterlint.peft.footprint import Footprint
from adapterlint.place import Place
from adapterlint.report.model import Location, Problem, ReportedAdapter, ReportedFinding, ReportedFootprint
from adapterlint.severity import Severity
from adapterlint.sources import Unreachable
from adapterlint.words import masked, redacted, shortened

MAX_FRAME = 1000  # characters of a source line that are kept before and after the place
MAX_MESSAGE = 4000  # characters of a message
MAX_NAME = 1000  # characters of a tensor's name or a path


def draw(found: Found, severity: Severity, adapters: Sequence[str]) -> ReportedFinding:
    """A finding as it is reported.

    Args:
        found: The finding and its rule.
        severity: The effective severity.
        adapters: Folders of the adapters concerned.
    """
    rule, finding = found.rule, found.finding
    peft = finding.peft or (str(rule.peft) if rule.peft is not None else None)
    return _drawn(rule.code, rule.name, severity, finding.message, finding.help, adapters, finding.at, peft)


def draw_crash(crash: Crash) -> ReportedFinding:
    """A rule's crash as a finding about the linter itself."""
    return _drawn(
        "LNT101",
        "rule-crashed",
        Severity.ERROR,
        f"The rule `{crash.rule.name}` crashed and was left out here: {crash.error}",
        "This is a fault of the rule, not of the adapter; the other rules have run.",
        (),
        crash.place,
        None,
    )


def _drawn(
    code: str,
    name: str,
    severity: Severity,
    message: str,
    remedy: str | None,
    adapters: Iterable[str],
    place: Place,
    peft: str | None,
) -> ReportedFinding:
    span = place.located()
    frame, frame_column = _framed(place.frame(span) or "", span.column) if span else ("", 1)
    return ReportedFinding(
        code=code,
        rule=name,
        severity=severity,
        message=_clean(message, MAX_MESSAGE),
        help=_clean(remedy, MAX_MESSAGE) if remedy else None,
        adapters=tuple(_clean(a) for a in adapters),
        file=_clean(place.file),
        pointer=_clean(place.pointer) if place.pointer is not None else None,
        tensor=_clean(place.tensor) if place.tensor is not None else None,
        location=Location(line=span.line, column=span.column, end_line=span.end_line, end_column=span.end_column)
        if span
        else None,
        frame=frame or None,
        frame_column=frame_column,
        peft=peft,
        fingerprint=_fingerprint(code, place, message),
    )


def _framed(line: str, column: int) -> tuple[str, int]:
    """A line cut to what is around a column, and the column at which that begins."""
    start, wide = max(0, column - 1 - MAX_FRAME), max(0, column - 1 - 2 * MAX_FRAME)
    clean = masked(line[wide : column - 1 + 2 * MAX_FRAME])  # wider than shown, so that no half of a secret is left
    return clean[start - wide : start - wide + 2 * MAX_FRAME], start + 1


def _fingerprint(code: str, place: Place, message: str) -> str:
    """The same for the same problem in the same adapter, from wherever and however its path is given.

    What the message is about are the values it quotes; its words and numbers may change.
    """
    file = os.path.abspath(place.file).split(os.sep)[-2:]
    about = re.findall(r"`([^`]*)`", message)
    identity = "\0".join((code, *file, place.pointer or "", place.tensor or "", *about))
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def draw_problem(error: AdapterlintError) -> Problem:
    """Something that could not be judged as it is reported."""
    message = _clean(error.message, MAX_MESSAGE)
    return Problem(
        place=_clean(error.place or ""),
        message=message,
        fatal=not isinstance(error, PartlyKnown),
        unreachable=isinstance(error, Unreachable),
    )


def draw_adapters(
    adapters: Iterable[tuple[Adapter, Footprint | None]], fleets: Mapping[str, str]
) -> tuple[ReportedAdapter, ...]:
    """Adapters as they are reported; those of one recipe share their footprint, which is drawn once, or its names.

    Args:
        adapters: With what they touch.
        fleets: Folder of an adapter -> name of its fleet.
    """
    drawn: dict[int, ReportedFootprint] = {}
    clean = lru_cache(256)(_clean_all)
    reported = []
    for adapter, touched in adapters:
        if touched is not None and id(touched) not in drawn:
            drawn[id(touched)] = _draw_footprint(touched, clean)
        footprint = drawn[id(touched)] if touched is not None else None
        reported.append(_draw_adapter(adapter, footprint, fleets.get(adapter.path)))
    return tuple(reported)


def _draw_adapter(adapter: Adapter, footprint: ReportedFootprint | None, fleet: str | None) -> ReportedAdapter:
    config = adapter.config
    return ReportedAdapter(
        name=_clean(adapter.name),
        path=_clean(adapter.path),
        format=adapter.files.format.value,
        peft_type=_clean(config.peft_type) if config and config.peft_type else None,
        base_model=_clean(config.base_model) if config and config.base_model else None,
        fleet=_clean(fleet) if fleet else None,
        footprint=footprint,
        commit=adapter.source.commit,
    )


def _draw_footprint(touched: Footprint, clean: Callable[[tuple[str, ...]], tuple[str, ...]]) -> ReportedFootprint:
    return ReportedFootprint(
        modules_to_save=clean(tuple(touched.modules_to_save)),
        trainable_tokens={_clean(module): tokens.indices for module, tokens in touched.trainable_tokens.items()},
        tuned=clean(tuple(touched.tuned)),
        overwrites=clean(touched.overwrites),
        unexpected=clean(touched.unexpected),
    )


def _clean_all(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names in alphabetical order, each cleaned if any of them needs it: nearly always none does."""
    if not names:
        return ()
    together = "\n".join(names)
    ordered = sorted(names)
    if max(map(len, names)) <= MAX_NAME and _clean(together, len(together)) == together:
        return tuple(ordered)
    return tuple(map(_clean, ordered))


def _clean(text: str, limit: int = MAX_NAME) -> str:
    """A text without secrets, and without lone surrogates, which no output can carry."""
    return redacted(shortened(text.encode("utf-8", "backslashreplace").decode(), limit))
