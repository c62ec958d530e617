"""The composite action: its shell steps run as they stand, with what GitHub's runner gives them.

Only the step that sets up Python is left out. pip builds what the step installs from this checkout without an index.
"""

from __future__ import annotations

import importlib.util
import os
import re

import pytest

from conftest import Write
from repositories import TOP, Repository
from runner import ACTION, EXPRESSION, STEPS, Runner


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


def test_a_path_on_the_hub_is_asked_for_there(runner: Runner) -> None:
    job = runner(paths="hf://nobody/nothing", args="--offline")
    assert job.status == 2
    assert "hf://nobody/nothing" in job.log
    assert "no such file" not in job.log.lower()


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
