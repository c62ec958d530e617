"""`check`: from paths to a report. The command line and Python programs both come through here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adapterlint import __version__
from adapterlint.adapter import Adapter, load_adapter, with_whole_card
from adapterlint.caches import one_run
from adapterlint.errors import AdapterlintError
from adapterlint.formats import CARD, Format
from adapterlint.lint.baseline_use import Use
from adapterlint.lint.bases import Bases
from adapterlint.lint.engine import Engine, Found
from adapterlint.lint.evidence import Evidence
from adapterlint.lint.grouping import form_fleets, left_out
from adapterlint.lint.loader import load_rules
from adapterlint.lint.select import select
from adapterlint.peft.footprint import footprint_of
from adapterlint.report.draw import draw_adapters, draw_crash, draw_problem
from adapterlint.report.model import Report, ReportedFinding, Summary
from adapterlint.settings import Settings, overridden
from adapterlint.severity import Severity
from adapterlint.sources.discovery import discover
from adapterlint.sources.hub import NONE, Network
from adapterlint.tally import Rewrite, Tally


def check(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    base: str | os.PathLike[str] | None = None,
    peft: str | Sequence[str] | None = None,
    activate: Sequence[Sequence[str]] = (),
    order: Sequence[str] = (),
    among: Iterable[str | os.PathLike[str]] = (),
    baseline: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
    network: Network = NONE,
) -> Report:
    """Check adapters.

    Args:
        paths: Folders (walked down), adapter folders, or single files of adapters.
        base: The base model of all of them: a folder, or the name they have it under.
        peft: Releases of PEFT that must handle them; the newest known if none is given.
        activate: Sets of adapter names that are to be active together.
        order: Adapter names in the order in which they are loaded.
        among: Folders with other adapters, which count in fleets: told is what concerns an adapter of `paths`.
        baseline: File with findings that are set aside, as `adapterlint check --write-baseline` makes it.
        network: What may be asked for on the Hub, besides the paths that are there.
        settings: Everything else. No file is read for them; `adapterlint.settings.load_settings` does that.

    Returns:
        The report. Whatever could not be read is in it.

    Raises:
        AdapterlintError: A setting is of the wrong form or names a rule that does not exist, or a rule folder or the
            baseline cannot be read.

    While adapters are read, Python's cyclic garbage collector is paused for the whole process.
    """
    given = {
        name: None if value is None else os.fspath(value) for name, value in (("base", base), ("baseline", baseline))
    }
    settings = overridden(settings or Settings(), peft=peft, **given)
    return run(paths, activate=activate, order=order, among=among, settings=settings, network=network).report


@dataclass(frozen=True, slots=True)
class Outcome:
    """A report, what the baseline was for it, if there is one, and what there was to go by."""

    report: Report
    use: Use | None
    evidence: Evidence


def run(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    activate: Sequence[Sequence[str]] = (),
    order: Sequence[str] = (),
    among: Iterable[str | os.PathLike[str]] = (),
    settings: Settings,
    rewrite: Rewrite | None = None,
    network: Network = NONE,
) -> Outcome:
    """Check adapters; `check` says how.

    Args:
        rewrite: What the caller will do with the baseline of the settings: `prune` it, so that its stale entries are
            no findings, or `write` it anew, so that all findings are set aside and there need be none yet.
    """
    if isinstance(activate, str) or any(isinstance(names, str) for names in activate) or isinstance(order, str):
        raise AdapterlintError("Sets of names are lists: `activate=[['de', 'fr']]`, `order=['de', 'fr']`")
    rules = load_rules(settings.rule_dirs)
    chosen = select(rules, settings)
    engine = Engine(chosen.rules, settings.peft)
    around, listed = _listed(among), _listed(paths)
    found = discover(listed, exclude=settings.exclude, among=around, network=network)
    tally = Tally(chosen, settings, rewrite)
    bases = Bases(settings.base, [fleet.base for fleet in settings.fleet if fleet.base], network)
    with one_run():
        read = ((load_adapter(place.source, weights=place.weights), place.asked) for place in found.candidates)
        everyone = [(adapter, footprint_of(adapter), mine) for adapter, mine in read if adapter is not None]
        adapters = [(adapter, touched) for adapter, touched, mine in everyone if mine]
        absent = [a for path in left_out(settings.fleet, [a.path for a, *_ in everyone]) if (a := load_adapter(path))]
        asked = {adapter.path for adapter, _ in adapters} | {a.path for a in absent if not around}
        known = [*((a, touched) for a, touched, _ in everyone), *((a, footprint_of(a)) for a in absent)]
        fleets = form_fleets(known, settings.fleet, base=settings.base, activate=activate, order=order)
        named = {fleet.name for fleet in settings.fleet if fleet.base}
        tally.name(fleets.fleets)
        declared = {m.path: fleet.base for fleet in fleets.fleets if fleet.name in named for m in fleet.members}
        for adapter, touched in adapters:
            base_model = bases.of(adapter, declared.get(adapter.path))
            rows = engine.check_adapter(adapter, touched, base_model)
            if adapter.source.front_matter is not None and any(map(_is_about_card, rows)):
                rows = engine.check_adapter(with_whole_card(adapter), touched, base_model)
            tally.add(rows, (adapter.path,))
        for fleet in fleets.fleets:
            if asked.isdisjoint(member.path for member in fleet.members):
                continue
            told = engine.check_fleet(fleet, bases.of_fleet(fleet))
            tally.add([f for f in told if not f.finding.adapters or not asked.isdisjoint(f.finding.adapters)], ())
    reported, use = tally.settled(engine, list(filter(os.path.isdir, listed)))
    findings = (*reported, *map(draw_crash, engine.crashes))
    report = Report(
        version=__version__,
        adapters=draw_adapters(adapters, fleets.by_path),
        findings=findings,
        problems=tuple(map(draw_problem, (*found.problems, *fleets.problems, *bases.problems))),
        summary=_summary([a for a, _ in adapters], findings, tally.suppressed),
    )
    went_by = (engine.releases, engine.simulated, engine.evidence, engine.fleets)
    evidence = Evidence(rules, chosen.rules, engine.rules, *went_by)
    return Outcome(report, use, evidence)


def _listed(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    return [os.fspath(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


def _is_about_card(found: Found) -> bool:
    return found.finding.at.file.endswith(f"/{CARD}")


def _summary(adapters: Sequence[Adapter], findings: Sequence[ReportedFinding], suppressed: int) -> Summary:
    counts = {s: sum(f.severity is s for f in findings) for s in Severity}
    return Summary(
        adapters=sum(a.files.format is Format.PEFT for a in adapters),
        errors=counts[Severity.ERROR],
        warnings=counts[Severity.WARNING],
        infos=counts[Severity.INFO],
        suppressed=suppressed,
    )
