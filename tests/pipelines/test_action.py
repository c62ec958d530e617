"""The composite action: its shell steps run as they stand, with what GitHub's runner gives them.

Only the step that sets up Python is left out. pip builds what the step installs from this checkout without an index.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from conftest import Write
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
        assert done.stderr == "" or done.returncode, done.stderr
        outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        return Job(done.returncode, done.stdout + done.stderr, files["GITHUB_STEP_SUMMARY"].read_text(), outputs)


@pytest.fixture
def runner(repository: Repository, write: Write) -> Runner:
    """A runner beside a repository with one healthy and one broken adapter."""
    write("repository/adapters/de")
    write("repository/adapters/fr", {"r": 4})
    return Runner(repository)


def test_scripts_have_no_inputs_in_them() -> None:
    scripts = [step["run"] for step in STEPS.values() if "run" in step]
    assert len(scripts) == 2
    assert not any("${{" in script for script in scripts)


def test_every_input_is_used_and_every_expression_is_known() -> None:
    text = (TOP / "action.yml").read_text()
    used = set(re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", text))
    assert used == set(ACTION["inputs"])
    known = r"inputs\.[\w-]+|steps\.(python|check)\.outputs\.(python-path|status)|github\.action_path"
    assert all(re.fullmatch(known, expression) for expression in EXPRESSION.findall(text))
    assert all(step["shell"] == "bash" for step in STEPS.values() if "run" in step)


def test_what_is_installed_is_the_action_itself(runner: Runner) -> None:
    if importlib.util.find_spec("pip") is None or importlib.util.find_spec("hatchling") is None:
        pytest.skip("pip and hatchling are needed to build the package")
    # Of these pip takes the second one the wrong way round: 0 is "no isolation".
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1", "PIP_FIND_LINKS": ""}
    done = runner.step("install", {}, offline)
    assert done.returncode == 0, done.stdout + done.stderr
    installed = runner.temporary / "adapterlint"
    assert (installed / "adapterlint" / "rules" / "fit" / "rank_mismatch.py").is_file()
    job = runner()
    assert job.status == 1
    assert not installed.is_symlink()
    assert len(job.annotations) == 1


def test_findings_are_annotated_on_their_lines_and_fail_the_job(runner: Runner) -> None:
    job = runner()
    assert job.status == 1
    assert job.outputs == {"status": "1"}
    (annotation,) = job.annotations
    assert annotation.startswith("::error file=adapters/fr/adapter_config.json,line=15,")
    assert "2 adapters checked: 1 error" in job.log
    assert "rank-mismatch" in job.summary


def test_healthy_adapters_pass(runner: Runner) -> None:
    job = runner(paths="adapters/de")
    assert (job.status, job.outputs, job.annotations) == (0, {"status": "0"}, [])
    assert "1 adapter checked: nothing found" in job.summary


def test_inputs_are_arguments(runner: Runner, write: Write) -> None:
    write("repository/more adapters/it")
    assert "2 adapters" in runner(paths="adapters/de\nmore adapters/it\n").summary
    assert runner(args="--ignore rank-mismatch").status == 0
    assert runner(args="--ignore\nrank-mismatch\n").status == 0
    assert runner(args="--ignore TEN", fail_on="info").status == 1
    assert "PEFT `0.21.9` is not known yet" in runner(peft="0.20, 0.21.9 0.18", paths="adapters/fr").log
    assert runner(base="nowhere", paths="adapters/de").status == 2
    assert "adapters/" not in runner(working_directory="adapters", paths="de").log


def test_reports_are_written_besides(runner: Runner) -> None:
    job = runner(output="sarif=a report.sarif\njson=report.json")
    assert job.status == 1
    assert {"a report.sarif", "report.json"} <= set(os.listdir(runner.repository.folder))


@pytest.mark.parametrize("status", [2, 3])
def test_what_cannot_be_done_fails_the_job_with_its_own_status(status: int, runner: Runner) -> None:
    (runner.repository.folder / "empty").mkdir()
    job = runner(paths="nowhere" if status == 2 else "empty")
    assert job.status == status
    assert job.outputs == {"status": str(status)}
    setting = runner(fail_on="harmless")
    assert (setting.status, setting.outputs) == (2, {"status": "2"})


@pytest.mark.parametrize("name", ["paths", "base", "peft", "fail_on", "output", "args"])
def test_what_stands_in_an_input_is_never_run(name: str, runner: Runner) -> None:
    evil = "\"; touch hacked; $(touch hacked) `touch hacked` ' && touch hacked # * ${HOME}"
    runner(**{name: evil})
    assert not list(runner.repository.folder.glob("**/hacked"))


def test_a_path_like_an_option_is_a_path(runner: Runner) -> None:
    job = runner(paths="--version")
    assert job.status == 2
    assert "--version: There is no such file or folder" in job.log


def test_names_in_the_repository_command_the_runner_nothing(runner: Runner, write: Write) -> None:
    names = ["::add-mask::adapter", "##[add-mask]adapter", "a%0A::error::b"]
    for name in names:
        write(f"repository/{name}", {"r": 4, "lora_alpha": "::warning::x"})
    job = runner(paths="\n".join(names))
    assert job.status == 1
    assert all(re.match("::(error|warning|notice) file=", line) for line in job.annotations)
    assert all(line.count("\n") == 0 for line in job.annotations)


def test_no_module_of_the_repository_is_imported(runner: Runner) -> None:
    for name in ("typer", "json", "adapterlint", "sitecustomize"):
        (runner.repository.folder / f"{name}.py").write_text("open('hacked', 'w')\nraise SystemExit(0)\n")
    assert runner().status == 1
    assert not (runner.repository.folder / "hacked").exists()
