"""What the tests share: adapters written to disk, and the command line run in this process."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapterlint import cli
from adapterlint.lint.example import Patch, as_patch
from hub_fixtures import edge, home, origin, server, traffic  # noqa: F401  fixtures
from repositories import Repository

Write = Callable[..., Path]


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    exit_code: int
    stdout: str
    stderr: str
    output: str  # both, as a terminal has them


Run = Callable[..., Ended]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a patched copy of the known-good adapter into a folder below `tmp_path`."""

    def write_adapter(folder: str = "adapter", patch: Patch | Mapping[str, Any] | None = None) -> Path:
        target = tmp_path / folder
        target.mkdir(parents=True, exist_ok=True)
        for name, content in as_patch(patch or {}).folder().files.items():
            (target / name).write_bytes(content)
        return target

    return write_adapter


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in `tmp_path` as its entry point does, without settings of the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run_command(*arguments: str | os.PathLike[str], pasted: str | bytes | None = None) -> Ended:
        monkeypatch.setattr(sys, "argv", ["adapterlint", *map(os.fspath, arguments)])
        with CliRunner().isolation(pasted) as streams:
            try:
                cli.run()
                code: object = 0
            except SystemExit as end:
                code = end.code
            sys.stdout.flush()
            sys.stderr.flush()
            stdout, stderr, output = (stream.getvalue().decode() for stream in streams)
        assert isinstance(code, int), code
        return Ended(code, stdout, stderr, output)

    return run_command


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A new repository of git in the folder `repository`."""
    if shutil.which("git") is None:
        pytest.skip("there is no git on this machine")
    return Repository(tmp_path)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real adapters, which is not part of the repository."""
    where = os.environ.get("ADAPTERLINT_CORPUS")
    if not where or not Path(where).is_dir():
        pytest.skip("no corpus: set ADAPTERLINT_CORPUS to a folder of real adapters")
    return Path(where).resolve()
