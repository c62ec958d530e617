"""`adapterlint demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from adapterlint.cli.common import Color, colored, fail, write


def demo(
    keep: Annotated[
        str | None, typer.Option(metavar="DIR", help="Write the fleet into this new folder and leave it there.")
    ] = None,
    color: Color = "auto",
) -> None:
    """Write a small fleet of adapters with its tiny base model, and check it."""
    import contextlib
    import tempfile
    from pathlib import Path

    from adapterlint.api import check
    from adapterlint.demo import write_fleet
    from adapterlint.report.text import text

    with tempfile.TemporaryDirectory(prefix="adapterlint-demo-") as scratch:
        folder = Path(keep) if keep else Path(scratch)
        try:
            write_fleet(folder)
        except OSError as error:
            fail(f"{folder}: {error.strerror}")
        with contextlib.chdir(folder):  # short paths in the report
            report = check("adapters")
        write(text(report, color=colored(color)), None)
    if keep:
        typer.echo(f"Kept in {keep}; try: adapterlint check {keep}/adapters", err=True)
