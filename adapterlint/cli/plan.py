"""`adapterlint plan`."""

from __future__ import annotations

import typer

from adapterlint.cli.common import FINDINGS, Color, Paths, colored, one_output, write
from adapterlint.cli.simulate import Base, Output, Peft, Transformers


def plan(
    paths: Paths = None,
    base: Base = None,
    peft: Peft = None,
    transformers: Transformers = None,
    output: Output = None,
    color: Color = "auto",
) -> None:
    """Find an order in which adapters load and sets that can be active together, and write the Python lines for it.

    Exit status: 0 all adapters load and give what they give alone, 1 some do not, 2 something could not be done,
    3 no adapter found.
    """
    from adapterlint.cli.members import chosen, members, releases, tree
    from adapterlint.planning import plan as make
    from adapterlint.report.plan_text import Shown, is_fine, plan_json, plan_text

    form, path = one_output(output)
    painted = colored(color)
    release, beside, versions = releases(peft, transformers)
    found, old = members(paths or ["."])
    adapters = chosen(found, old, ())
    modules, problems = tree(base, adapters, beside)
    shown = Shown(make(adapters, modules, versions), adapters, modules, base, release, beside, problems)
    write(plan_json(shown) if form == "json" else plan_text(shown, color=painted and path is None), path)
    raise typer.Exit(0 if is_fine(shown.plan) else FINDINGS)
