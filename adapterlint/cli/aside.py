"""What `adapterlint check` does with the baseline: use it, write it, prune it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapterlint.cli.common import fail, say, write

if TYPE_CHECKING:
    from adapterlint.api import Outcome
    from adapterlint.settings import Settings
    from adapterlint.tally import Rewrite


def plan_of(settings: Settings, written: str | None, *, prune: bool, show_all: bool) -> tuple[Settings, Rewrite | None]:
    """The settings with which a run sets things aside, and whether it rewrites the baseline.

    Args:
        settings: The effective settings.
        written: The file that the findings are to be written to.
        prune: Whether the baseline is to lose what no longer holds.
        show_all: Whether nothing is to be set aside.
    """
    if written is not None and prune:
        fail("--write-baseline and --prune-baseline: the first writes all findings, the second none; give one of them")
    if show_all:
        settings = settings.model_copy(update={"per_file_ignores": {}, "baseline": None})
    if written is not None:
        return settings.model_copy(update={"baseline": written}), "write"
    if prune and settings.baseline is None:
        why = "--no-ignores uses none" if show_all else "name it with --baseline, or in the settings"
        fail(f"--prune-baseline: there is no baseline; {why}")
    return settings, "prune" if prune else None


def save(outcome: Outcome, settings: Settings, rewrite: Rewrite | None, *, quiet: bool) -> None:
    """Rewrite the baseline if that is asked for, and say what became of it unless that is to be quiet."""
    from adapterlint.lint.baseline import written
    from adapterlint.words import counted

    used, file = outcome.use, settings.baseline
    if used is None or file is None:
        return
    stale = counted(len(used.stale), "entry", "entries")
    if rewrite == "write":
        write(written(used.rewritten()), file)
        told = f"{counted(len(used.found), 'finding')} set aside in {file}"
    elif rewrite == "prune":
        write(written(used.pruned()), file)
        told = f"{stale} taken out of {file}"
    else:
        verb = "holds" if len(used.stale) == 1 else "hold"
        told = f"{stale} of {file} no longer {verb}; --prune-baseline rewrites it" if used.stale else ""
    if told and not quiet:
        say(told)
