"""`adapterlint rules` and `adapterlint rule NAME`."""

from __future__ import annotations

from typing import Annotated

import typer

from adapterlint.cli.common import ConfigFile, Isolated, RuleDirs, one_output, settings, write


def rules(
    output: Annotated[list[str] | None, typer.Option("--output", "-o", metavar="FORMAT", help="text or json.")] = None,
    rule_dirs: RuleDirs = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
) -> None:
    """List all rules."""
    from adapterlint.lint.loader import load_rules
    from adapterlint.lint.page import index, index_json

    name, path = one_output(output)
    effective = settings({"rule_dirs": tuple(rule_dirs or ())}, config, isolated).settings
    found = load_rules(effective.rule_dirs)
    write(index_json(found) if name == "json" else index(found), path)


def rule(
    name: Annotated[str, typer.Argument(help="Code or name of a rule.")],
    rule_dirs: RuleDirs = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
) -> None:
    """Explain a rule: what it finds, why that matters, how to repair it, and an example."""
    from adapterlint.lint.loader import load_rules
    from adapterlint.lint.page import page
    from adapterlint.lint.select import find_rule

    effective = settings({"rule_dirs": tuple(rule_dirs or ())}, config, isolated).settings
    write(page(find_rule(load_rules(effective.rule_dirs), name)), None)
