"""The hook that `.pre-commit-hooks.yaml` ships, run by the real pre-commit in commits of a repository of adapters.

pre-commit would install `adapterlint` from the network. So the hook is taken out of the shipped file word for word, and
only where its program comes from is changed: from the environment of the tests.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapterlint.lint.example import Patch
from conftest import Write
from repositories import TOP, Repository

MANIFEST = TOP / ".pre-commit-hooks.yaml"
HEAD = Patch(config={"modules_to_save": ["lm_head"]}, tensors={"base_model.model.lm_head.weight": ("F32", (64, 32))})


def shipped() -> dict[str, Any]:
    (hook,) = yaml.safe_load(MANIFEST.read_text())
    assert isinstance(hook, dict)
    return hook


@pytest.fixture
def hooked(repository: Repository, write: Write) -> Repository:
    """A repository with two healthy adapters of one base and the hook installed, all committed."""
    write("repository/adapters/de")
    write("repository/adapters/fr")
    hook = shipped() | {"language": "system", "args": ["--fail-on", "warning"]}
    config = {"repos": [{"repo": "local", "hooks": [hook]}]}
    (repository.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    repository.pre_commit("install")
    assert repository.commit().returncode == 0
    return repository


def edit(folder: Path, **values: Any) -> None:
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | values, indent=2))


def test_pre_commit_takes_the_manifest(repository: Repository) -> None:
    repository.pre_commit("validate-manifest", str(MANIFEST))


def test_the_hook_comes_from_this_package_and_runs_its_console_script() -> None:
    hook = shipped()
    assert hook["language"] == "python"
    assert hook["entry"].split()[0] == "adapterlint"
    assert hook["require_serial"] is True


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("adapter_config.json", True),
        ("adapters/de/adapter_model.safetensors", True),
        ("a/b/c/adapter_model.bin", True),
        ("adapters/de/README.md", False),
        ("my_adapter_config.json", False),
        ("adapter_config.json.orig", False),
        ("adapter_modelXsafetensors", False),
    ],
)
def test_it_runs_for_the_files_of_adapters(path: str, wanted: bool) -> None:
    assert bool(re.search(shipped()["files"], path)) is wanted


def test_a_commit_of_healthy_adapters_goes_through(hooked: Repository) -> None:
    edit(hooked.folder / "adapters/de", lora_alpha=64)
    result = hooked.commit()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "adapterlint" in result.stderr
    assert "Passed" in result.stderr


def test_a_commit_that_breaks_an_adapter_is_stopped_and_told_why(hooked: Repository) -> None:
    edit(hooked.folder / "adapters/de", r=4)
    result = hooked.commit()
    assert result.returncode == 1
    assert "error[FIT101]" in result.stderr
    assert "adapters/de/adapter_config.json:" in result.stderr
    assert hooked("git", "log", "--oneline").stdout.count("\n") == 1
    edit(hooked.folder / "adapters/de", r=8)
    edit(hooked.folder / "adapters/fr", lora_dropout=0.1)
    assert hooked.commit().returncode == 0


def test_a_commit_is_not_stopped_by_an_adapter_that_it_leaves_alone(hooked: Repository) -> None:
    edit(hooked.folder / "adapters/fr", r=4)
    hooked("git", "commit", "--all", "--no-verify", "-m", "broken before")
    edit(hooked.folder / "adapters/de", lora_alpha=64)
    assert hooked.commit().returncode == 0


def test_one_changed_file_is_judged_with_its_adapter_and_its_fleet(hooked: Repository, write: Write) -> None:
    write("repository/adapters/de", HEAD)
    assert hooked.commit().returncode == 0
    write("repository/adapters/fr", HEAD)
    hooked("git", "add", "adapters/fr/adapter_model.safetensors")
    hooked("git", "commit", "--no-verify", "-m", "weights first")
    result = hooked.commit()  # only the config of `fr` is in this one
    assert result.returncode == 1
    assert "warning[FLT101]" in result.stderr
    assert "adapters/de + adapters/fr" in result.stderr


def test_a_file_that_is_taken_away_is_seen_with_the_rest_of_its_adapter(hooked: Repository) -> None:
    (hooked.folder / "adapters/de/adapter_model.safetensors").unlink()
    edit(hooked.folder / "adapters/de", lora_alpha=64)
    result = hooked.commit()
    assert result.returncode == 1
    assert "error[FIL101]" in result.stderr


def test_taking_the_last_adapters_away_goes_through(hooked: Repository) -> None:
    hooked("git", "rm", "-r", "--quiet", "adapters")
    assert hooked.commit().returncode == 0


def test_weights_that_are_links_are_adapters_too(hooked: Repository, write: Write) -> None:
    broken = write("repository/store/es", {"r": 4})
    (hooked.folder / ".gitignore").write_text("store/\n")
    target = hooked.folder / "adapters/es"
    target.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        os.symlink(os.path.relpath(broken / name, target), target / name)
    result = hooked.commit()
    assert result.returncode == 1
    assert "adapters/es" in result.stderr


def test_many_names_in_one_commit_are_one_run(hooked: Repository, write: Write) -> None:
    for number in range(40):
        write(f"repository/adapters/{number:02d}", HEAD)
    result = hooked.commit()
    assert result.returncode == 1
    assert result.stderr.count("FLT101") == 1
    assert "40 adapters checked" in result.stderr


def test_a_commit_without_adapters_does_not_run_it(hooked: Repository) -> None:
    (hooked.folder / "notes.txt").write_text("nothing\n")
    result = hooked.commit()
    assert result.returncode == 0
    assert "Skipped" in result.stderr
