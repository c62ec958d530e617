"""`adapterlint simulate`."""

from __future__ import annotations

from typing import Annotated

import typer

from adapterlint.cli.common import FINDINGS, Color, Paths, colored, names, one_output, write

Base = Annotated[str | None, typer.Option(metavar="DIR", help="Base model; by default what the adapters name.")]
Peft = Annotated[str | None, typer.Option(metavar="RELEASE", help="Release of PEFT; by default the newest.")]
Transformers = Annotated[
    str | None, typer.Option(metavar="RELEASE", help="Release of transformers; by default one of PEFT's time.")
]
Output = Annotated[list[str] | None, typer.Option("--output", "-o", metavar="FORMAT[=FILE]", help="text or json.")]


def simulate(
    paths: Paths = None,
    base: Base = None,
    peft: Peft = None,
    transformers: Transformers = None,
    order: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="What is loaded, in this order; by default as found.")
    ] = None,
    activate: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="Adapters to activate together then. Repeatable.")
    ] = None,
    output: Output = None,
    color: Color = "auto",
) -> None:
    """Tell what PEFT does when adapters are loaded one after the other and sets of them activated.

    Exit status: 0 everything works, 1 something is refused, raises or is silently wrong, 2 something could not be done,
    3 no adapter found.
    """
    from adapterlint.cli.members import checked, chosen, members, releases, tree
    from adapterlint.report.story import is_fine, story
    from adapterlint.settings import parsed_sets
    from adapterlint.simulation import drawn_problems
    from adapterlint.simulation import simulate as run
    from adapterlint.words import redacted

    form, path = one_output(output)
    painted = colored(color)
    release, beside, _ = releases(peft, transformers)
    found, old = members(paths or ["."])
    adapters = chosen(found, old, names(order))
    sets = [names for names in parsed_sets(activate or ()) if names]
    for one in sets:
        checked(adapters, one, "--activate")
    modules, problems = tree(base, adapters, beside)
    result = run(
        adapters.values(),
        names=list(adapters),
        base=modules,
        peft=release,
        transformers=beside,
        activate=sets,
    )
    result = result.model_copy(update={"problems": drawn_problems(problems)})
    if form == "json":
        write(redacted(result.model_dump_json(indent=2, ensure_ascii=True)) + "\n", path)
    else:
        write(story(result, color=painted and path is None), path)
    raise typer.Exit(0 if is_fine(result) else FINDINGS)
