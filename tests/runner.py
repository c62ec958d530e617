"""GitHub's runner for the composite action: its shell steps run as they stand, in a repository that a test makes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from repositories import TOP, Repository

ACTION = yaml.safe_load((TOP / "action.yml").read_text())
STEPS: dict[str, Any] = {step["id"]: step for step in ACTION["runs"]["steps"]}
EXPRESSION = re.compile(r"\$\{\{ *([\w.-]+) *\}\}")


@dataclass(frozen=True)
class Job:
    """What a run of the action left behind."""

    status: int
    log: str
    summary: str
    outputs: dict[str, str]

    @property
    def annotations(self) -> list[str]:
        """The commands that the runner obeys: those outside of where they are stopped."""
        obeyed, stop = [], None
        for line in self.log.splitlines():
            if stop:
                stop = None if line == f"::{stop}::" else stop
            elif line.startswith("::stop-commands::"):
                stop = line.removeprefix("::stop-commands::")
            elif line.lstrip().startswith("::") or "##[" in line:
                obeyed.append(line)
        return obeyed


class Runner:
    """GitHub's runner, as far as the shell steps of a composite action see it."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.temporary = repository.folder.parent / "runner temp"
        self.temporary.mkdir()

    def step(self, name: str, inputs: Mapping[str, str], more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        step = STEPS[name]
        values = {f"inputs.{key}": inputs.get(key, given["default"]) for key, given in ACTION["inputs"].items()}
        values |= {"steps.python.outputs.python-path": sys.executable, "github.action_path": str(TOP)}
        variables = {k: EXPRESSION.sub(lambda m: values[m[1]], v) for k, v in step.get("env", {}).items()}
        script = self.temporary / f"{name}.sh"
        script.write_text(step["run"])
        folder = EXPRESSION.sub(lambda m: values[m[1]], step.get("working-directory", "."))
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.repository.folder / folder,
            env={**self.repository.environment, "RUNNER_TEMP": str(self.temporary), **variables, **more},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )

    def __call__(self, **inputs: str) -> Job:
        """Run the step that checks, with inputs (underscores for hyphens), from this checkout."""
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert given.keys() <= ACTION["inputs"].keys()
        files = {"GITHUB_OUTPUT": self.temporary / "output", "GITHUB_STEP_SUMMARY": self.temporary / "summary"}
        for file in files.values():
            file.write_text("")
        installed = self.temporary / "adapterlint"
        if not installed.exists():
            installed.symlink_to(TOP)
        done = self.step("check", given, {name: str(file) for name, file in files.items()})
        outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        return Job(done.returncode, done.stdout + done.stderr, files["GITHUB_STEP_SUMMARY"].read_text(), outputs)
