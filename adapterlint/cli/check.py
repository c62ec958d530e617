"""`adapterlint check`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from adapterlint.cli.common import (
    FAILURE,
    FINDINGS,
    NOTHING,
    OK,
    Color,
    ConfigFile,
    Isolated,
    Paths,
    RuleDirs,
    colored,
    fail,
    lines,
    names,
    outputs,
    progress,
    report_context,
    say,
    say_of_later,
    settings,
    write,
)

if TYPE_CHECKING:
    from adapterlint.report.model import Report
    from adapterlint.severity import Severity


def check(
    paths: Paths = None,
    base: Annotated[str | None, typer.Option(metavar="DIR", help="Base model of all adapters.")] = None,
    peft: Annotated[
        list[str] | None, typer.Option(metavar="RELEASE", help="PEFT release that must handle them. Repeatable.")
    ] = None,
    order: Annotated[list[str] | None, typer.Option(metavar="A,B", help="Load order, by adapter names.")] = None,
    activate: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="Adapters to be active together. Repeatable.")
    ] = None,
    select: Annotated[list[str] | None, typer.Option(metavar="RULES", help="Rules that run.")] = None,
    extend_select: Annotated[list[str] | None, typer.Option(metavar="RULES", help="Rules that run besides.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="RULES", help="Rules that do not run.")] = None,
    extend_ignore: Annotated[
        list[str] | None, typer.Option(metavar="RULES", help="Rules that do not run besides.")
    ] = None,
    among: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="Where other adapters of their fleets are: told is what concerns PATHS."),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Folders to leave out.")] = None,
    fail_on: Annotated[
        str | None, typer.Option(metavar="SEVERITY", help="Exit with 1 from here on: error, warning or info.")
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FORMAT[=FILE]",
            help="text, concise, json, jsonl, sarif, github, gitlab, junit, markdown or statistics. Repeatable.",
        ),
    ] = None,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="How often each rule found something, in the place of the findings.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but findings.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say what there was to go by, and which rules did not run, and why.")
    ] = False,
    baseline: Annotated[
        str | None, typer.Option(metavar="FILE", help="Set aside the findings that are in this file.")
    ] = None,
    write_baseline: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the findings into this file, and set them aside.")
    ] = None,
    prune_baseline: Annotated[
        bool, typer.Option("--prune-baseline", help="Rewrite the baseline without what no longer holds.")
    ] = False,
    no_ignores: Annotated[
        bool, typer.Option("--no-ignores", help="Report what the settings and the baseline set aside, too.")
    ] = False,
    inputs: Annotated[
        list[str] | None, typer.Option("--inputs", metavar="FILE", help="File with one path a line; - is stdin.")
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Ask the Hub for the base models that adapters name.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask the Hub for nothing; use what is kept.")] = False,
    allow_unreachable: Annotated[
        bool, typer.Option("--allow-unreachable", help="Do not exit with 2 for what cannot be had from the Hub.")
    ] = False,
    allow_empty: Annotated[bool, typer.Option(help="Exit with 0 if there is no adapter.")] = False,
    rule_dirs: RuleDirs = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
    color: Color = "auto",
) -> None:
    """Check adapters: what fails, what cannot be active together, what is silently wrong.

    Exit status: 0 nothing at or above --fail-on, 1 findings, 2 something could not be done, 3 no adapter found.
    """
    from adapterlint.api import run
    from adapterlint.cli.aside import plan_of, save
    from adapterlint.report.formats import FORMATS
    from adapterlint.settings import parsed_sets
    from adapterlint.sources.hub import Network

    wanted = outputs([*(output or ()), "statistics"] if statistics else output, tuple(FORMATS))
    painted = colored(color)
    loaded = settings(
        {
            "base": base,
            "peft": names(peft),
            "select": names(select),
            "extend_select": names(extend_select),
            "ignore": names(ignore),
            "extend_ignore": names(extend_ignore),
            "exclude": tuple(exclude or ()),
            "fail_on": fail_on,
            "baseline": baseline,
            "rule_dirs": tuple(rule_dirs or ()),
        },
        config,
        isolated,
    )
    if not quiet:
        say_of_later(loaded.settings.peft)
    if online and offline:
        fail("--online and --offline exclude each other")
    listed = [*(paths or ()), *(line for file in inputs or () for line in lines(file))]
    effective, rewrite = plan_of(loaded.settings, write_baseline, prune=prune_baseline, show_all=no_ignores)
    with progress() as told:
        outcome = run(
            listed or ([] if inputs else ["."]),
            activate=parsed_sets(activate or ()),
            order=names(order),
            among=among or (),
            settings=effective,
            rewrite=rewrite,
            network=Network(bases=online, offline=offline, progress=None if quiet else told),
        )
    report = outcome.report
    save(outcome, effective, rewrite, quiet=quiet)
    for line in (f"settings: {loaded.file or 'no file'}", *outcome.evidence.told()) if verbose else ():
        say(line)
    context = replace(report_context(outcome.evidence.known, effective.fail_on), numbers=not quiet)
    for name, path in wanted:
        write(FORMATS[name](report, replace(context, color=painted and path is None)), path)
    _exit(report, effective.fail_on, allow_empty, allow_unreachable)


def _exit(report: Report, fail_on: Severity, allow_empty: bool, allow_unreachable: bool) -> None:
    worst = report.worst()
    fatal = any(p.fatal and not (p.unreachable and allow_unreachable) for p in report.problems)
    if fatal or any(f.code == "LNT101" for f in report.findings):
        raise typer.Exit(FAILURE)
    if worst is not None and worst.rank <= fail_on.rank:
        raise typer.Exit(FINDINGS)
    if not report.summary.adapters and not allow_empty:
        others = sorted({a.format for a in report.adapters})
        fail("no PEFT adapter found" + (f", only {' and '.join(others)}" if others else ""), NOTHING)
    raise typer.Exit(OK)
