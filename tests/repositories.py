"""Repositories of git that a test makes, with `adapterlint` on the path as an installed program is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
Done = subprocess.CompletedProcess[str]


class Repository:
    """A repository of git in `home/repository`, whose programs see nothing of this machine's git, CI and settings."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "repository"
        self.environment = _environment(home)
        self.folder.mkdir()
        self("git", "init", "--quiet", "--initial-branch=main")

    def __call__(self, *command: str, check: bool = True, more: Mapping[str, str] | None = None) -> Done:
        """Run a program in it; `check=False` where it may fail, `more` variables."""
        variables = {**self.environment, **(more or {})}
        result = subprocess.run(
            command, cwd=self.folder, env=variables, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result

    def pre_commit(self, *arguments: str, check: bool = True) -> Done:
        """Run pre-commit."""
        pytest.importorskip("pre_commit", reason="pre-commit is in the extra `test`")
        return self(sys.executable, "-m", "pre_commit", *arguments, check=check)

    def commit(self, *paths: str) -> Done:
        """Commit files, or everything; the hooks say whether that works."""
        self("git", "add", "--all", *(paths or (".",)))
        return self("git", "commit", "-m", "a change", check=False)


def _environment(home: Path) -> dict[str, str]:
    programs = home / "bin"
    programs.mkdir()
    program = programs / "adapterlint"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m adapterlint "$@"\n')
    program.chmod(0o755)
    others = ("GIT", "CI", "PRE_COMMIT", "SKIP", "ADAPTERLINT", "RUNNER", "NO_COLOR", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    ours = {
        "PATH": os.pathsep.join((str(programs), os.environ.get("PATH", ""))),
        "PYTHONPATH": os.pathsep.join(path for path in (str(TOP), os.environ.get("PYTHONPATH", "")) if path),
        "HOME": str(home),
        "PRE_COMMIT_HOME": str(home / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    return {**kept, **who, **ours}
