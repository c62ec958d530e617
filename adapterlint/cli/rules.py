"""`adapterlint rules`, `adapterlint rule NAME` and `adapterlint rule --all`."""

from __future__ import annotations

from typing import Annotated

import typer

from adapterlint.cli.common import ConfigFile, Isolated, RuleDirs, fail, one_output, settings, write, write_all


def rules(
    output: Annotated[
        list[str] | None, typer.Option("--output", "-o", metavar="FORMAT[=FILE]", help="text, json or markdown.")
    ] = None,
    rule_dirs: RuleDirs = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
) -> None:
    """List all rules."""
    from adapterlint.lint.loader import load_rules
    from adapterlint.lint.page import index, index_json, index_markdown

    forms = {"text": index, "json": index_json, "markdown": index_markdown}
    name, path = one_output(output, tuple(forms))
    effective = settings({"rule_dirs": tuple(rule_dirs or ())}, config, isolated).settings
    write(forms[name](load_rules(effective.rule_dirs)), path)


def rule(
    name: Annotated[str | None, typer.Argument(help="Code or name of a rule.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All rules; in Markdown with an index.")] = False,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output", "-o", metavar="FORMAT[=PATH]", help="text or markdown; with --all, a folder for markdown."
        ),
    ] = None,
    rule_dirs: RuleDirs = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
) -> None:
    """Explain a rule: what it finds, why that matters, how to repair it, and an example.

    With --all and `--output markdown=FOLDER` there is a file a rule, and `index.md`; without a folder it is one text.
    """
    from adapterlint.lint.loader import load_rules
    from adapterlint.lint.page import book, book_markdown, page, page_markdown, pages_markdown
    from adapterlint.lint.select import find_rule

    form, path = one_output(output, ("text", "markdown"))
    if every == (name is not None):
        fail("rule: give the name of one rule, or --all")
    effective = settings({"rule_dirs": tuple(rule_dirs or ())}, config, isolated).settings
    known = load_rules(effective.rule_dirs)
    if name is not None:
        one = find_rule(known, name)
        write(page_markdown(one) if form == "markdown" else page(one), path)
    elif form == "markdown" and path is not None:
        write_all(pages_markdown(known), path)
    else:
        write(book_markdown(known) if form == "markdown" else book(known), path)
