"""`adapterlint compat`."""

from __future__ import annotations

from typing import Annotated

import typer

from adapterlint.cli.common import FAILURE, FINDINGS, NOTHING, OK, Color, Paths, colored, fail, names, one_output, write
from adapterlint.cli.simulate import Base, Output

Peft = Annotated[
    list[str] | None,
    typer.Option(metavar="RELEASE", help="Release that must handle them, as in 0.18 or 0.18.0. Repeatable."),
]


def compat(
    paths: Paths = None, base: Base = None, peft: Peft = None, output: Output = None, color: Color = "auto"
) -> None:
    """Tell which releases of PEFT can load adapters, what older ones drop or refuse, and the oldest that is right.

    Exit status: 0, 1 a release named by --peft is not right for an adapter, 2 something could not be done, 3 no adapter
    found.
    """
    from adapterlint.cli.common import say, say_of_later
    from adapterlint.compatibility import compat as run
    from adapterlint.report.compat_text import compat_text
    from adapterlint.words import redacted

    form, path = one_output(output)
    painted = colored(color)
    say_of_later(names(peft))
    found = run(paths or ["."], base=base, releases=names(peft))
    for problem in found.problems:
        say(f"{problem.place}: {problem.message}" if problem.place else problem.message)
    if any(problem.fatal for problem in found.problems):
        fail("not everything could be looked at", FAILURE)
    if not found.adapters:
        fail("no PEFT adapter found", NOTHING)
    if form == "json":
        write(redacted(found.model_dump_json(indent=2, ensure_ascii=True)) + "\n", path)
    else:
        write(compat_text(found, color=painted and path is None, width=_width(path)), path)
    raise typer.Exit(FINDINGS if found.fails() else OK)


def _width(path: str | None) -> int | None:
    """How many columns the terminal has; `None` for a file or a pipe."""
    import shutil
    import sys

    return shutil.get_terminal_size().columns if path is None and sys.stdout.isatty() else None
