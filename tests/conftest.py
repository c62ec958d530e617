"""What the tests share: adapters written to disk, and the command line run in this process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from adapterlint.cli import app
from adapterlint.lint.example import Patch, as_patch
from hub_fixtures import edge, home, origin, server, traffic  # noqa: F401  fixtures
from repositories import Repository

Write = Callable[..., Path]
Run = Callable[..., Result]


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
    """Run the command line in `tmp_path`, without settings of the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run_command(*arguments: str | os.PathLike[str]) -> Result:
        return CliRunner().invoke(app, [os.fspath(a) for a in arguments])

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
