"""The files for pipelines that README gives to copy: their tools take them, and what they name exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapterlint.report.formats import FORMATS
from repositories import TOP, Repository

BLOCKS: dict[str, str] = dict(
    re.findall(r"```yaml\n# (\S+)\n(.*?)```", (TOP / "README.md").read_text(encoding="utf-8"), re.DOTALL)
)
WORKFLOWS = [name for name in BLOCKS if "workflows" in name]
ACTION = yaml.safe_load((TOP / "action.yml").read_text())


def is_valid(path: Path, schema: str) -> bool:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is in the extra `test`")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def steps(workflow: str) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(BLOCKS[workflow])["jobs"].values() for step in job["steps"]]


def test_readme_has_a_hook_and_three_workflows() -> None:
    workflows = [f".github/workflows/{name}.yml" for name in ("adapters", "hub", "hub-check")]
    assert list(BLOCKS) == [".pre-commit-config.yaml", *workflows]


def test_github_takes_the_action() -> None:
    assert is_valid(TOP / "action.yml", "vendor.github-actions")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_github_takes_the_workflows(name: str, tmp_path: Path) -> None:
    path = tmp_path / "workflow.yml"
    path.write_text(BLOCKS[name])
    assert is_valid(path, "vendor.github-workflows")
    path.write_text(BLOCKS[name].replace("runs-on", "runs-at"))
    assert not is_valid(path, "vendor.github-workflows")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_give_the_action_inputs_that_it_has(name: str) -> None:
    (given,) = [step["with"] for step in steps(name) if "adapterlint@" in step.get("uses", "")]
    assert given.keys() <= ACTION["inputs"].keys()
    for line in given.get("output", "").splitlines():
        assert line.partition("=")[0] in FORMATS


def test_the_sarif_that_is_uploaded_is_the_one_that_is_written() -> None:
    (written,) = [s["with"]["output"] for s in steps(WORKFLOWS[0]) if "adapterlint@" in s["uses"]]
    (uploaded,) = [s["with"]["sarif_file"] for s in steps(WORKFLOWS[0]) if "upload-sarif" in s["uses"]]
    assert written == f"sarif={uploaded}"


def test_the_upload_to_the_hub_comes_after_the_check_and_is_understood() -> None:
    *_, check, upload = steps(WORKFLOWS[1])
    assert "adapterlint@" in check["uses"]
    words = shlex.split(upload["run"])
    assert words[:5] == ["pipx", "run", "--spec", "huggingface_hub", "hf"]
    assert words[7] == check["with"]["paths"]
    command = [sys.executable, "-m", "huggingface_hub.cli.hf", "upload", "--help"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_pre_commit_takes_its_file_and_the_hook_is_one_of_ours(repository: Repository) -> None:
    path = repository.folder / ".pre-commit-config.yaml"
    path.write_text(BLOCKS[path.name])
    repository.pre_commit("validate-config", str(path))
    (repo,) = yaml.safe_load(BLOCKS[path.name])["repos"]
    ours = {hook["id"] for hook in yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text())}
    assert {hook["id"] for hook in repo["hooks"]} <= ours
