"""What several commands share: options, output, errors and exit statuses."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from adapterlint.lint.rule import Rule
    from adapterlint.report.context import Context
    from adapterlint.settings import Effective
    from adapterlint.severity import Severity

OK, FINDINGS, FAILURE, NOTHING = 0, 1, 2, 3

Paths = Annotated[list[str] | None, typer.Argument(help="Folders, adapter folders or files of adapters.")]
ConfigFile = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="Settings file, instead of the project's.")
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Read no settings file.")]
RuleDirs = Annotated[
    list[str] | None, typer.Option("--rule-dir", metavar="DIR", help="Folder with rules of your own. Repeatable.")
]
Color = Annotated[str, typer.Option("--color", metavar="WHEN", help="auto, always or never.")]


def say(message: str) -> None:
    """Say one sentence on stderr."""
    from adapterlint.words import printable, redacted

    typer.echo(f"adapterlint: {redacted(printable(message))}", err=True)


def say_of_later(releases: Iterable[str]) -> None:
    """Say which releases of PEFT are taken for another one, because they are later than what is known."""
    from adapterlint.peft.releases import is_later, newest_patch
    from adapterlint.words import shown

    for release in filter(is_later, releases):
        say(f"PEFT {shown(release)} is not known yet; it is taken for {newest_patch(release)}")


def fail(message: str, status: int = FAILURE) -> NoReturn:
    """Say one sentence on stderr and exit."""
    say(message)
    raise typer.Exit(status)


@contextmanager
def guarded() -> Iterator[None]:
    """Turn whatever is raised into one sentence and an exit status."""
    from adapterlint.errors import AdapterlintError

    try:
        yield
    except (typer.Exit, SystemExit):
        raise
    except AdapterlintError as error:
        _end(f"{error}")
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OK)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("ADAPTERLINT_TRACEBACK"):
            raise
        _end(f"internal error: {type(error).__name__}: {error} (ADAPTERLINT_TRACEBACK=1 shows where)")


def _end(message: str) -> NoReturn:
    try:
        fail(message)
    except typer.Exit as end:
        sys.exit(end.exit_code)


def settings(overrides: Mapping[str, Any], config: str | None, isolated: bool) -> Effective:
    """The effective settings of the invoking project."""
    from adapterlint.settings import load_settings

    return load_settings(overrides, file=config, isolated=isolated)


def names(values: Sequence[str] | None) -> tuple[str, ...]:
    """`--select CFG,FIT --select FLT101` as names."""
    return tuple(name.strip() for value in values or () for name in value.split(",") if name.strip())


def lines(file: str) -> list[str]:
    """The lines of a file of inputs that say something; what follows a `#` and a blank does not."""
    from adapterlint.words import shown

    try:
        with open(0 if file == "-" else file, encoding="utf-8") as stream:
            text = stream.read(MAX_INPUTS_CHARS)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no text"
        fail(f"--inputs {shown(file)}: {reason}")
    found = (re.split(r"(?:^|\s)#", line)[0].strip() for line in text.splitlines())
    return [line for line in found if line]


MAX_INPUTS_CHARS = 10_000_000


@contextmanager
def progress() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal while more than a few repositories are fetched; nothing is shown elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    bars: list[Any] = []

    def told(done: int, of: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        if of <= FEW:
            return
        if not bars:
            bars.append(Progress(console=Console(stderr=True), transient=True))
            bars[0].start()
            bars[0].add_task("repositories", total=of)
        bars[0].update(0, completed=done)

    try:
        yield told
    finally:
        for bar in bars:
            bar.stop()


FEW = 3  # repositories, which are there before a bar could be read


def colored(when: str) -> bool:
    """Whether the report on stdout may use colour."""
    if when in ("always", "never"):
        return when == "always"
    if when != "auto":
        fail(f"--color {when}: it is auto, always or never")
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def report_context(rules: Sequence[Rule], fail_on: Severity) -> Context:
    """What formats need besides the report."""
    from adapterlint.report.context import Context, root_of
    from adapterlint.words import redacted

    here = os.getcwd()
    folder, root = (redacted(path.encode("utf-8", "backslashreplace").decode()) for path in (here, root_of(here)))
    return Context(rules=tuple(rules), fail_on=fail_on, folder=folder, root=root)


def one_output(values: Sequence[str] | None, formats: Sequence[str] = ("text", "json")) -> tuple[str, str | None]:
    """The format and the file of a command that writes one of them."""
    pairs = outputs(values, formats)
    if len(pairs) > 1:
        fail("--output: this command writes one format at a time")
    return pairs[0]


def outputs(values: Sequence[str] | None, formats: Sequence[str]) -> list[tuple[str, str | None]]:
    """`--output json=report.json --output text` as pairs of a format and a file (`None` is stdout)."""
    from adapterlint.words import suggestion

    pairs = []
    for value in values or formats[:1]:
        name, given, path = value.partition("=")
        if name not in formats:
            near = suggestion(name, formats)
            fail(
                f"--output {value}: the formats are {', '.join(formats)}" + (f"; did you mean {near}?" if near else "")
            )
        if given and not path:
            fail(f"--output {value}: a file is missing after the equals sign")
        pairs.append((name, path or None))
    if sum(path is None for _, path in pairs) > 1:
        fail("--output: only one format can go to stdout; give the others a file, as in json=report.json")
    return pairs


def write(content: str, path: str | None) -> None:
    """Write a report to a file, or to stdout."""
    if path is None:
        sys.stdout.write(content)
        sys.stdout.flush()
        return
    try:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(content)
    except OSError as error:
        fail(f"{path}: {error.strerror}")


def write_all(contents: Mapping[str, str], folder: str) -> None:
    """Write files into a folder, which is made if there is none."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        fail(f"{folder}: {error.strerror}")
    for name, content in contents.items():
        write(content, os.path.join(folder, name))
