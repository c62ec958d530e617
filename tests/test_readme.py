"""What README says can be done, can be done; what it shows is what comes out."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from adapterlint import rule_faults
from adapterlint.lint.loader import load_rules
from adapterlint.lint.select import select
from adapterlint.settings import load_settings
from conftest import Run, Write

README = (Path(__file__).parents[1] / "README.md").read_text()
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


def test_readme_opens_with_the_demo_and_the_tests() -> None:
    assert "adapterlint demo" in SHELL[0]
    assert "pytest" in SHELL[1]


def test_the_demo_shows_what_it_promises(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--keep", "fleet")
    assert result.exit_code == 0
    for rule in ("auxiliary-overlap", "token-overlap", "wrapper-prefix", "tensor-missing"):
        assert rule in result.stdout
    assert "adapters/healthy\n" not in result.stdout
    assert (tmp_path / "fleet" / "base" / "model.safetensors").is_file()
    again = run("check", "fleet/adapters")
    assert again.exit_code == 1
    assert again.stdout.splitlines()[-1] == result.stdout.splitlines()[-1]


def test_the_demo_leaves_nothing_behind_and_never_writes_over_a_folder(run: Run, tmp_path: Path) -> None:
    assert run("demo").exit_code == 0
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "taken" / "base").mkdir(parents=True)
    refused = run("demo", "--keep", "taken")
    assert refused.exit_code == 2
    assert "File exists" in refused.stderr


def test_the_output_that_is_shown_comes_out(run: Run, tmp_path: Path) -> None:
    shown = re.findall(r"```text\n\$ adapterlint (.*?)\n(.*?)```", README, re.DOTALL)
    run("demo", "--keep", ".")
    (tmp_path / "error.log").write_text("KeyError: '_orig_mod.base_model.model.model.layers.0.self_attn.q_proj'\n")
    assert {command.partition(" ")[0] for command, _ in shown} >= {"check", "simulate", "plan"}
    for command, output in shown:
        assert run(*command.split()).stdout == output


def test_the_settings_that_are_shown_can_be_taken(tmp_path: Path) -> None:
    text = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert text is not None
    (tmp_path / "pyproject.toml").write_text(text[1])
    settings = load_settings(file=str(tmp_path / "pyproject.toml")).settings
    selection = select(load_rules(), settings)
    assert settings.fleet[0].activate == (("de", "fr"),)
    assert "CFG152" not in {r.code for r in selection.rules}


def test_the_python_that_is_shown_runs(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    programs = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    run("demo", "--keep", ".")
    exec(programs[0].replace('[["de", "fr"]]', '[["head-de", "head-fr"]]'), {})
    assert "auxiliary-overlap" in capsys.readouterr().out


def test_the_rule_that_is_shown_loads_and_finds(run: Run, write: Write, tmp_path: Path) -> None:
    programs = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "lint").mkdir()
    (tmp_path / "lint" / "house_rank.py").write_text(programs[1])
    assert rule_faults("lint") == []
    write("de", {"r": 32})
    assert "warning[CFG901] rank 32 is above 16" in run("check", "de", "--rule-dir", "lint").stdout


FAR = re.compile(r"hf://|--inputs")


def test_every_command_that_is_shown_is_understood(run: Run) -> None:
    run("demo", "--keep", ".")
    for line in "".join(SHELL[2:]).splitlines():
        if not FAR.search(line):
            line = line.replace("adapters/de", "adapters/healthy")
            words = line.partition("#")[0].replace("a/ b/ --activate a,b", "adapters --activate head-de,head-fr")
            assert run(*words.split()[1:]).exit_code in (0, 1), line


def test_every_command_about_the_hub_is_understood(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, so that each ends with the sentence that says so, and not with one about the command."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    run("demo", "--keep", ".")
    Path("repositories.txt").write_text("hf://acme/demo-lora\n")
    commands = [line for line in "".join(SHELL[2:]).splitlines() if FAR.search(line)]
    assert len(commands) == 6
    for line in commands:
        result = run(*shlex.split(line, comments=True)[1:])
        assert "is asked for because of --offline" in result.output, line
        assert result.exit_code == 2


def test_the_version_is_said_with_and_without_a_parser(run: Run) -> None:
    command = [sys.executable, "-m", "adapterlint", "--version"]
    quick = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert quick == run("--version").stdout


def test_the_baseline_is_used_as_it_is_shown(run: Run) -> None:
    run("demo", "--keep", ".")
    commands = [
        line.partition("#")[0].split()[1:] for block in SHELL for line in block.splitlines() if "baseline" in line
    ]
    assert [run(*words).exit_code for words in commands] == [0, 0, 0]
    assert run("check", ".", "--no-ignores").exit_code == 1


def test_a_rule_is_written_and_tested_as_it_is_shown(run: Run) -> None:
    lines = [line.partition("#")[0].split()[1:] for block in SHELL for line in block.splitlines()]
    commands = [words for words in lines if words[:1] == ["rule"]]
    assert ["rule", "test", "--rule-dir", "lint"] in commands
    assert {run(*words).exit_code for words in commands} == {0}
