"""The command line: one module a command; arguments in, exit status out.

Modules of commands import at their top only what their signatures need, so that `--version` and `--help` stay fast.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from adapterlint import __version__
from adapterlint.cli import check, compat, config, demo, explain, own_rules, plan, rules, show, simulate

app = typer.Typer(
    name="adapterlint",
    help="Check PEFT adapters without loading a model.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich takes longer to import than everything else that help needs
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (
    *(check.check, show.show, compat.compat, simulate.simulate, plan.plan),
    *(explain.explain, rules.rules, config.config, demo.demo),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(own_rules.app, name="rule")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"adapterlint {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Check PEFT adapters without loading a model."""


def run() -> None:
    """Run the command line and exit; an unforeseen error is one sentence, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):  # a terminal that knows no UTF-8 gets escapes
            reconfigure(errors="backslashreplace")
    from adapterlint.cli.common import guarded

    with guarded():
        app(prog_name="adapterlint")  # completion asks for it by this name, however it was started
