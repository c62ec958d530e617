"""How much `adapterlint check` says: `--statistics`, `-q`, `-v`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Run, Write


@pytest.fixture
def adapters(write: Write) -> None:
    """Two adapters of a wrong rank, one of them without a base's name, and a healthy one."""
    write("adapters/de", {"r": 4})
    write("adapters/fr", {"r": 4, "base_model_name_or_path": None})
    write("adapters/it")


@pytest.mark.usefixtures("adapters")
def test_statistics_count_by_rule_the_most_frequent_first(run: Run) -> None:
    result = run("check", "adapters", "--statistics", "--ignore", "CRD")
    assert result.exit_code == 1
    assert result.stdout == (
        "2  FIT101  rank-mismatch       error\n"
        "1  CFG151  base-model-missing  info\n"
        "3 adapters checked: 2 errors, 1 info\n"
    )


@pytest.mark.usefixtures("adapters")
def test_statistics_stand_beside_reports_that_go_to_files(run: Run, tmp_path: Path) -> None:
    result = run("check", "adapters", "--statistics", "-o", "json=report.json")
    assert "FIT101" in result.stdout
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["errors"] == 2
    both = run("check", "adapters", "--statistics", "-o", "concise")
    assert both.exit_code == 2
    assert "only one format can go to stdout" in both.stderr


def test_statistics_of_nothing_are_the_numbers(run: Run, write: Write) -> None:
    write("de")
    assert run("check", "de", "--statistics").stdout == "1 adapter checked: nothing found\n"


@pytest.mark.usefixtures("adapters")
@pytest.mark.parametrize("form", ["text", "concise"])
def test_quiet_says_findings_and_nothing_else(form: str, run: Run) -> None:
    arguments = ("check", "adapters/de", "-o", form, "--peft", "0.21.3")
    loud, quiet = run(*arguments), run(*arguments, "-q")
    assert quiet.stdout == "".join(loud.stdout.splitlines(keepends=True)[:-1])
    assert "FIT101" in quiet.stdout
    assert (loud.stderr != "", quiet.stderr) == (True, "")
    assert quiet.exit_code == loud.exit_code == 1


@pytest.mark.usefixtures("adapters")
def test_quiet_about_healthy_adapters_is_silence(run: Run) -> None:
    result = run("check", "adapters/it", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_quiet_still_says_what_could_not_be_done(run: Run) -> None:
    result = run("check", "nowhere", "-q")
    assert result.exit_code == 2
    assert "There is no such file or folder" in result.stdout


def told(run: Run, *arguments: str) -> dict[str, str]:
    """What `-v` says on stderr, by the words before the last colon."""
    result = run("check", *arguments, "-v")
    assert result.stdout == run("check", *arguments).stdout
    lines = [line.removeprefix("adapterlint: ") for line in result.stderr.splitlines()]
    return {line.rpartition(": ")[0].strip(): line.rpartition(": ")[2] for line in lines}


def test_verbose_says_what_there_was_to_go_by(run: Run, tmp_path: Path) -> None:
    run("demo", "--keep", ".")
    (tmp_path / "adapterlint.toml").write_text('peft = ["0.20", "0.21"]\n')
    said = told(run, "adapters/healthy", "adapters/head-de", "--base", "base")
    assert said["settings"].endswith("adapterlint.toml")
    assert said["`adapters/healthy` and `adapters/head-de`"] == "config, header of the weights, model card, base model"
    assert said["fleet of `adapters/head-de` and `adapters/healthy`"] == "with their base model"
    assert not any("did not run" in line for line in said)


def test_verbose_says_which_rules_did_not_run_and_why(run: Run, tmp_path: Path) -> None:
    run("demo", "--keep", ".")
    (tmp_path / "adapters" / "healthy" / "README.md").unlink()
    (tmp_path / "adapters" / "healthy" / "adapter_model.safetensors").unlink()
    said = told(run, "adapters/healthy", "--ignore", "SEC,zero-rank", "--peft", "0.14")
    assert said["did not run, not selected"] == "CFG104, SEC101, SEC102, SEC103, SEC104"
    assert "BAS110" in said["did not run, about other releases of PEFT"]
    assert "`adapters/healthy`" in said
    assert {"TEN110", "TEN111"} <= set(said["did not run, no header of the weights"].split(", "))
    assert {"CRD102"} <= set(said["did not run, no model card"].split(", "))


def test_verbose_tells_rules_that_lack_a_base_or_a_release(run: Run) -> None:
    run("demo", "--keep", ".")
    said = told(run, "adapters/head-de", "adapters/head-fr", "--peft", "0.14")
    assert "BAS101" in said["did not run, no base model"].split(", ")
    assert said["fleet of `adapters/head-de` and `adapters/head-fr`"].startswith("by what they themselves say")
    assert "FLT125" in said["did not run, no release of PEFT that is simulated"].split(", ")
    assert "FLT101" not in said["did not run, no base model"]
