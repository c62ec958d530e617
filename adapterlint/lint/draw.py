"""Findings become entries of a report: places get lines and columns, secrets are removed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from adapterlint.adapter import Adapter
from adapterlint.lint.engine import Crash, Found
from adapterlint.lint.rule import Severity
from adapterlint.peft.footprint import Footprint
from adapterlint.place import Place
from adapterlint.report.model import Location, ReportedAdapter, ReportedFinding, ReportedFootprint
from adapterlint.words import redacted, shortened

MAX_FRAME = 2000  # characters of a source line that are kept
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
    frame = place.frame(span) if span else None
    tensor = _clean(place.tensor)
    identity = "\0".join((code, place.file, place.pointer or "", place.tensor or "", message))
    return ReportedFinding(
        code=code,
        rule=name,
        severity=severity,
        message=redacted(message),
        help=redacted(remedy) if remedy else None,
        adapters=tuple(_clean(a) or "" for a in adapters),
        file=_clean(place.file) or "",
        pointer=_clean(place.pointer),
        tensor=tensor,
        location=Location(line=span.line, column=span.column, end_line=span.end_line, end_column=span.end_column)
        if span
        else None,
        frame=redacted(frame[:MAX_FRAME]) if frame is not None else None,
        peft=peft,
        fingerprint=hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16],
    )


def draw_adapter(adapter: Adapter, touched: Footprint | None, fleet: str | None) -> ReportedAdapter:
    """An adapter as it is reported."""
    config = adapter.config
    return ReportedAdapter(
        name=_clean(adapter.name) or "",
        path=_clean(adapter.path) or "",
        format=adapter.files.format.value,
        peft_type=_clean(config.peft_type or None) if config else None,
        base_model=_clean(config.base_model) if config else None,
        fleet=_clean(fleet),
        footprint=draw_footprint(touched) if touched else None,
    )


def draw_footprint(touched: Footprint) -> ReportedFootprint:
    """A footprint as it is reported."""
    return ReportedFootprint(
        modules_to_save=tuple(sorted(touched.modules_to_save)),
        trainable_tokens={module: tokens.indices or () for module, tokens in touched.trainable_tokens.items()},
        tuned=tuple(sorted(touched.tuned)),
        overwrites=tuple(sorted(touched.overwrites)),
        unexpected=tuple(sorted(touched.unexpected)),
    )


def _clean(text: str | None) -> str | None:
    """A name or path without secrets, and without lone surrogates, which no output can carry."""
    if text is None:
        return None
    return redacted(shortened(text.encode("utf-8", "backslashreplace").decode(), MAX_NAME))
