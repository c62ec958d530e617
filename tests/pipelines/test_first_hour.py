"""A team takes adapterlint on for twelve adapters that have their troubles, and never has to fight it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapterlint.demo import ADAPTERS
from adapterlint.lint.example import Patch
from repositories import TOP, Repository
from runner import Job, Runner

BASELINE = "adapterlint-baseline.jsonl"
CODE = re.compile(r"\b(error|warning|info)\[([A-Z]{3}\d{3})\]")


@pytest.fixture
def team(repository: Repository) -> Repository:
    """Twelve adapters, seven of the demo and five like its healthy one, committed before anybody checked them."""
    repository("adapterlint", "demo", "--keep", ".")
    for number in range(1, 6):
        put(repository.folder / f"adapters/task-{number}", Patch())
    assert len(list((repository.folder / "adapters").iterdir())) == 12
    assert repository.commit().returncode == 0
    return repository


def put(folder: Path, patch: Patch) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in patch.folder().files.items():
        (folder / name).write_bytes(content)


def adopt(team: Repository) -> None:
    """What the README says: a baseline, settings, the hook, all committed."""
    settings = f'base = "base"\nfail-on = "warning"\nbaseline = "{BASELINE}"\n'
    team("adapterlint", "check", "adapters", "--base", "base", "--write-baseline", BASELINE)
    (team.folder / "adapterlint.toml").write_text(settings)
    (hook,) = yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text())
    config = {"repos": [{"repo": "local", "hooks": [hook | {"language": "system"}]}]}
    (team.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    team.pre_commit("install")
    done = team.commit()
    assert done.returncode == 0, done.stdout + done.stderr


def edit(folder: Path, **values: Any) -> int:
    """Change values of a config; returns the line of the last one."""
    config = folder / "adapter_config.json"
    text = json.dumps(json.loads(config.read_text()) | values, indent=2)
    config.write_text(text + "\n")
    (key,) = list(values)[-1:]
    return 1 + next(i for i, line in enumerate(text.splitlines()) if f'"{key}"' in line)


def found(output: str) -> list[tuple[str, str]]:
    """Severity and code of the findings in a report as text."""
    return CODE.findall(output)


def in_sarif(team: Repository) -> Iterator[tuple[str, str, int]]:
    """Rule, file and line of each result."""
    (run,) = json.loads((team.folder / "adapterlint.sarif").read_text())["runs"]
    for result in run["results"]:
        place = result["locations"][0]["physicalLocation"]
        yield result["ruleId"], place["artifactLocation"]["uri"], place["region"]["startLine"]


def action(runner: Runner) -> Job:
    return runner(paths="adapters", output="sarif=adapterlint.sarif")


def test_the_first_hour(team: Repository) -> None:
    runner = Runner(team)

    # There are troubles, ...
    before = action(runner)
    assert before.status == 1
    assert {"FLT101", "TEN110", "FIT120"} <= {code for _, code in found(before.log)}

    # ... which are set aside for now.
    adopt(team)
    quiet = action(runner)
    assert (quiet.status, found(quiet.log), quiet.annotations) == (0, [], [])
    assert "12 adapters checked: nothing found" in quiet.log
    assert list(in_sarif(team)) == []

    # Harmless work goes on, also beside old troubles and on them.
    edit(team.folder / "adapters/task-1", lora_dropout=0.1)
    edit(team.folder / "adapters/head-de", inference_mode=True)
    done = team.commit()
    assert done.returncode == 0, done.stderr

    # A new trouble fails the commit, and nothing else is told.
    line = edit(team.folder / "adapters/task-2", r=4)
    stopped = team.commit()
    assert stopped.returncode == 1
    assert found(stopped.stderr) == [("error", "FIT101")]
    assert f"adapters/task-2/adapter_config.json:{line}:" in stopped.stderr

    # Somebody commits it all the same: the job fails on exactly that, on its line.
    team("git", "commit", "--no-verify", "-m", "in a hurry")
    failed = action(runner)
    assert failed.status == 1
    assert found(failed.log) == [("error", "FIT101")]
    (annotation,) = failed.annotations
    assert annotation.startswith(f"::error file=adapters/task-2/adapter_config.json,line={line},")
    assert list(in_sarif(team)) == [("FIT101", "adapters/task-2/adapter_config.json", line)]
    assert failed.summary.count("FIT101") == 1

    # Mended, everything is green.
    edit(team.folder / "adapters/task-2", r=8)
    assert team.commit().returncode == 0
    green = action(runner)
    assert (green.status, found(green.log), list(in_sarif(team))) == (0, [], [])

    # An old trouble is mended too: its entry is told, until the baseline is pruned.
    put(team.folder / "adapters/compiled", ADAPTERS["healthy"])
    assert team.commit().returncode == 0
    stale = action(runner)
    assert {code for _, code in found(stale.log)} == {"LNT201"}
    assert "`wrapper-prefix`" in stale.log
    assert BASELINE in stale.log
    team("adapterlint", "check", "adapters", "--prune-baseline")
    assert (action(runner).status, found(action(runner).log)) == (0, [])
    assert "wrapper-prefix" not in (team.folder / BASELINE).read_text()
    assert "auxiliary-overlap" in (team.folder / BASELINE).read_text()


def test_a_new_member_of_an_old_conflict_is_new(team: Repository) -> None:
    adopt(team)
    put(team.folder / "adapters/head-it", ADAPTERS["head-de"])
    stopped = team.commit()
    assert stopped.returncode == 1
    assert ("warning", "FLT101") in found(stopped.stderr)
    assert "adapters/head-it" in stopped.stderr


def test_moved_adapters_keep_what_is_set_aside(team: Repository) -> None:
    adopt(team)
    team("git", "mv", "adapters", "loras")
    done = team.commit()
    assert done.returncode == 0, done.stderr
    assert found(team("adapterlint", "check", "loras").stdout) == []


def test_what_a_commit_does_not_look_at_is_not_called_stale(team: Repository) -> None:
    adopt(team)
    put(team.folder / "adapters/compiled", ADAPTERS["healthy"])
    config = "adapters/{}/adapter_config.json"
    assert found(team("adapterlint", "check", "--among", ".", config.format("head-de")).stdout) == []
    looked = team("adapterlint", "check", "--among", ".", config.format("compiled")).stdout
    assert found(looked) == [("info", "LNT201")]
