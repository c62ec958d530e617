"""`adapterlint explain`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from adapterlint.cli.common import (
    FAILURE,
    FINDINGS,
    NOTHING,
    OK,
    ConfigFile,
    Isolated,
    fail,
    names,
    say,
    settings,
    write,
)

if TYPE_CHECKING:
    from adapterlint.report.model import Report


def explain(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Adapters in which to look for the cause, as for `check`.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", "-t", metavar="FILE", help="The traceback or log; without it, stdin.")
    ] = None,
    base: Annotated[str | None, typer.Option(metavar="DIR", help="Base model of all adapters.")] = None,
    peft: Annotated[
        list[str] | None, typer.Option(metavar="RELEASE", help="PEFT release that said it. Repeatable.")
    ] = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
) -> None:
    """Say what an error of PEFT, vLLM, llama.cpp or others means, and whether its cause is in adapters.

    Exit status: 0 recognised, 1 and the cause is in PATHS, 2 something could not be done, 3 nothing
    recognised, or no adapter found.
    """
    from adapterlint.explain.recognise import recognised
    from adapterlint.explain.told import causes, told
    from adapterlint.lint.loader import load_rules

    found = recognised(_read(text))
    if not found:
        fail("no error is recognised in this text", NOTHING)
    rules = tuple(dict.fromkeys(rule for known in found for rule in known.rules))
    report = _checked(paths, rules, base, names(peft), config, isolated) if paths and rules else None
    write(told(found, {rule.name: rule.code for rule in load_rules()}, report), None)
    if report is None:
        raise typer.Exit(OK)
    if any(problem.fatal for problem in report.problems):
        raise typer.Exit(FAILURE)
    absent = OK if report.summary.adapters else NOTHING
    raise typer.Exit(FINDINGS if any(causes(known, report) for known in found) else absent)


def _read(path: str | None) -> str:
    """The text, up to what is looked at; a file may be of any encoding."""
    from adapterlint.explain.recognise import MAX_TEXT

    if path is None and sys.stdin.isatty():
        say("paste the error, then press Ctrl-D")
    try:
        with nullcontext(sys.stdin.buffer) if path is None else open(path, "rb") as stream:
            content = stream.read(MAX_TEXT + 1)
    except OSError as error:
        fail(f"{path or 'stdin'}: {error.strerror}")
    if len(content) > MAX_TEXT:
        say(f"only the first {MAX_TEXT:,} bytes are read")
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # what PowerShell writes
    return content[:MAX_TEXT].decode("utf-16" if wide else "utf-8", "replace")


def _checked(
    paths: list[str],
    rules: tuple[str, ...],
    base: str | None,
    peft: tuple[str, ...],
    config: str | None,
    isolated: bool,
) -> Report:
    """What these rules find, whatever else the settings select."""
    from adapterlint.api import check

    chosen = {"base": base, "peft": peft, "select": rules}
    plain = settings(chosen, config, isolated).settings
    nothing: dict[str, object] = {
        "extend_select": (),
        "ignore": (),
        "extend_ignore": (),
        "per_file_ignores": {},
        "baseline": None,
    }
    report = check(paths, settings=plain.model_copy(update=nothing))
    for problem in report.problems:
        say(f"{problem.place}: {problem.message}")
    return report
