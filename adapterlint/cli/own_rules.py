"""`adapterlint rule`, `adapterlint rule new` and `adapterlint rule test`."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from typer.core import TyperGroup

from adapterlint.cli.common import FINDINGS, ConfigFile, Isolated, RuleDirs, fail, say, settings, write, write_all
from adapterlint.cli.rules import rule

SHOW = "show"  # what `adapterlint rule NAME` stands for


class _RuleGroup(TyperGroup):
    """Commands about rules; anything else is the name of a rule to explain."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if not args or args[0] not in (*self.commands, "-h", "--help"):
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_RuleGroup, help="Explain a rule (`adapterlint rule NAME`), write one of your own, test those.")
app.command(SHOW)(rule)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the new rule, like `house-rank`.")],
    code: Annotated[
        str | None, typer.Option(metavar="CODE", help="Its code, like TEN901; without it, the next free CFG9...")
    ] = None,
    rule_dirs: RuleDirs = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
) -> None:
    """Write a rule of your own to begin with, into the folder of --rule-dir or the first `rule-dirs` of the settings.

    The file is the rule, its tests (`bad` and `good`) and its page; `adapterlint rule test` runs the tests.
    """
    from adapterlint.lint.loader import load_rules
    from adapterlint.lint.skeleton import skeleton

    folders = _folders(rule_dirs, config, isolated)
    file, content = skeleton(name, load_rules(filter(os.path.isdir, folders)), code=code)
    path = os.path.join(folders[0], file)
    if os.path.lexists(path):
        fail(f"{path}: there is such a file already")
    write_all({file: content}, folders[0])
    say(
        f"{path} written; `adapterlint rule test --rule-dir {folders[0]}` tests it, `rule-dirs` in the settings uses it"
    )


@app.command("test")
def try_rules(rule_dirs: RuleDirs = None, config: ConfigFile = None, isolated: Isolated = False) -> None:
    """Test rules of your own: each finds something in every `bad` of its own, and nothing in every `good`.

    Exit status: 0 all is as it should be, 1 something is not, 2 a rule cannot be loaded.
    """
    from adapterlint.lint.rule_tests import tested
    from adapterlint.words import counted, printable, redacted

    done = tested(_folders(rule_dirs, config, isolated))
    for fault in done.faults:
        write(redacted(printable(fault)) + "\n", None)
    told = f"{len(done.faults)} not as it should be" if done.faults else "all as they should be"
    write(f"{counted(len(done.rules), 'rule')}, {counted(done.examples, 'example')}: {told}\n", None)
    raise typer.Exit(FINDINGS if done.faults else 0)


def _folders(rule_dirs: list[str] | None, config: str | None, isolated: bool) -> tuple[str, ...]:
    """The folders of rules that the command line names, or else the settings."""
    folders = settings({"rule_dirs": tuple(rule_dirs or ())}, config, isolated).settings.rule_dirs
    if not folders:
        fail("there is no folder of rules; name it with --rule-dir, or as `rule-dirs` in the settings")
    return folders
