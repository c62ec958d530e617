"""`adapterlint show`."""

from __future__ import annotations

from typing import Annotated

import typer

from adapterlint.cli.common import FAILURE, NOTHING, Color, Paths, colored, fail, one_output, say, write


def show(
    paths: Paths = None,
    output: Annotated[list[str] | None, typer.Option("--output", "-o", metavar="FORMAT", help="text or json.")] = None,
    color: Color = "auto",
) -> None:
    """Show what each adapter touches: method, rank, tuned modules, whole modules, token indices, size."""
    from adapterlint.adapter import load_adapter
    from adapterlint.report.overview import overview, overview_json, overviews
    from adapterlint.sources.discovery import discover

    name, path = one_output(output)
    found = discover(paths or ["."])
    loaded = (load_adapter(c.source, weights=c.weights) for c in found.candidates)
    shown = overviews([adapter for adapter in loaded if adapter is not None])
    if shown or name == "json":
        write(overview_json(shown) if name == "json" else overview(shown, color=colored(color)), path)
    for problem in found.problems:
        say(str(problem))
    if found.problems:
        raise typer.Exit(FAILURE)
    if not shown:
        fail("no adapter found", NOTHING)
