"""`adapterlint check`: exit statuses, streams, formats and selection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from adapterlint.lint.example import DROP, Patch
from conftest import Run, Write

SCHEMA = Path(__file__).parents[2] / "adapterlint" / "report" / "schema.json"


def test_a_healthy_adapter_is_quiet_and_exits_with_0(run: Run, write: Write) -> None:
    write("de")
    result = run("check", "de")
    assert result.exit_code == 0
    assert result.stdout == "1 adapter checked: nothing found\n"
    assert result.stderr == ""


def test_an_error_exits_with_1_and_shows_place_frame_and_remedy(run: Run, write: Write) -> None:
    write("de", {"r": 4})
    result = run("check", "de")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "de"
    assert any("error[FIT101]" in line for line in lines)
    assert any("--> de/adapter_config.json:15:8" in line for line in lines)
    frame = next(i for i, line in enumerate(lines) if '"r": 4' in line)
    assert lines[frame + 1].index("^") == lines[frame].index("4,")
    assert any(line.strip().startswith("help:") for line in lines)


def test_fail_on_decides_what_counts(run: Run, write: Write) -> None:
    write("de", {"base_model_name_or_path": None})
    assert run("check", "de", "--ignore", "CRD").exit_code == 0
    assert run("check", "de", "--ignore", "CRD", "--fail-on", "info").exit_code == 1


def test_the_format_never_changes_the_exit_status(run: Run, write: Write) -> None:
    write("de", {"r": 4})
    assert {run("check", "de", "-o", f).exit_code for f in ("text", "concise", "json")} == {1}


def test_no_adapter_exits_with_3_and_a_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("check", "empty")
    assert (result.exit_code, result.stderr) == (3, "adapterlint: no PEFT adapter found\n")
    assert run("check", "empty", "--allow-empty").exit_code == 0


def test_a_missing_path_exits_with_2_and_the_rest_is_checked(run: Run, write: Write) -> None:
    write("de")
    result = run("check", "nowhere", "de")
    assert result.exit_code == 2
    assert "nowhere: There is no such file or folder" in result.stdout
    assert "1 adapter checked" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--select", "rank-mismach"], "There is no rule `rank-mismach`; did you mean `rank-mismatch`"),
        (["--output", "jsno"], "did you mean json?"),
        (["--output", "text", "--output", "json"], "only one format can go to stdout"),
        (["--color", "maybe"], "auto, always or never"),
        (["--fail-on", "harmless"], "`fail-on`"),
        (["--peft", "newest"], "`newest` is no release of PEFT"),
        (["--peft", "9.9"], "`9.9` is none of the releases of PEFT that are known"),
        (["--rule-dir", "nowhere"], "There is no such folder of rules"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_a_wrong_setting_exits_with_2_and_says_so(arguments: list[str], sentence: str, run: Run, write: Write) -> None:
    folder = write("de")
    result = run("check", str(folder), *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_json_is_valid_against_the_published_schema(run: Run, write: Write) -> None:
    write("de", {"r": 4})
    write("fr", {"modules_to_save": "lm_head"})
    write("it", Patch(files={"adapter_model.safetensors": DROP}))
    report = json.loads(run("check", ".", "-o", "json").stdout)
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(report)
    assert report["schema"] == 1
    assert [a["name"] for a in report["adapters"]] == ["de", "fr", "it"]
    assert report["adapters"][0]["footprint"]["tuned"][0] == "model.layers.0.self_attn.q_proj"
    assert report["adapters"][2]["footprint"] is None


def test_a_report_can_go_to_a_file_beside_the_one_on_stdout(run: Run, write: Write, tmp_path: Path) -> None:
    write("de", {"r": 4})
    result = run("check", "de", "-o", "concise", "-o", "json=report.json")
    assert "error[FIT101]" in result.stdout
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["errors"] == 1


def test_selection_by_code_name_and_family(run: Run, write: Write) -> None:
    write("de", {"r": 4})
    assert run("check", "de", "--ignore", "FIT101").exit_code == 0
    assert run("check", "de", "--ignore", "rank-mismatch").exit_code == 0
    assert run("check", "de", "--select", "FLT,CFG").exit_code == 0
    assert run("check", "de", "--select", "CFG", "--extend-select", "rank-mismatch").exit_code == 1


def test_settings_set_findings_aside_for_files_that_match(run: Run, write: Write, tmp_path: Path) -> None:
    write("old/de", {"r": 4})
    write("new/de", {"r": 4})
    (tmp_path / "adapterlint.toml").write_text('[per-file-ignores]\n"old" = ["rank-mismatch"]\n')
    report = json.loads(run("check", ".", "-o", "json").stdout)
    assert [f["adapters"] for f in report["findings"]] == [["new/de"]]
    assert report["summary"]["suppressed"] == 1


def test_settings_change_a_severity(run: Run, write: Write, tmp_path: Path) -> None:
    write("de", {"r": 4})
    (tmp_path / "pyproject.toml").write_text('[tool.adapterlint.severity]\nrank-mismatch = "info"\n')
    assert run("check", "de").exit_code == 0
    assert "info[FIT101]" in run("check", "de").stdout


def test_an_unknown_setting_names_its_file_and_the_one_that_was_meant(tmp_path: Path, write: Write) -> None:
    write("de")
    (tmp_path / "adapterlint.toml").write_text("ignroe = ['CFG']\n")
    result = adapterlint("check", "de", cwd=tmp_path)
    assert result.returncode == 2
    assert "adapterlint.toml: There is no setting `ignroe`; did you mean `ignore`" in result.stderr


def test_settings_inside_the_inspected_folder_are_not_read(write: Write, tmp_path: Path) -> None:
    folder = write("inspected/de", {"r": 4})
    (tmp_path / "inspected" / "adapterlint.toml").write_text('ignore = ["ALL"]\n')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert adapterlint("check", str(folder), cwd=elsewhere).returncode == 1


def test_a_rule_of_ones_own_runs_and_a_crashing_one_is_told(run: Run, write: Write, tmp_path: Path) -> None:
    write("de")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "house_rank.py").write_text(RULE)
    result = run("check", "de", "--rule-dir", "rules")
    assert "warning[CFG901] rank 8 is not our rank" in result.stdout
    (tmp_path / "crashing").mkdir()
    (tmp_path / "crashing" / "broken.py").write_text(RULE.replace("yield", "1 / 0; yield").replace("CFG901", "CFG902"))
    broken = run("check", "de", "--rule-dir", "crashing")
    assert broken.exit_code == 2
    assert "`house-rank` crashed" in broken.stdout
    assert "ZeroDivisionError" in broken.stdout


@pytest.mark.parametrize("command", [["rules"], ["config"], ["show", "de"]])
def test_commands_with_one_output_say_so(command: list[str], run: Run, write: Write) -> None:
    write("de")
    result = run(*command, "-o", "text", "-o", "json=x.json")
    assert result.exit_code == 2
    assert "one format at a time" in result.stderr
    assert run(*command, "-o", "json").exit_code == 0


def test_a_name_with_a_line_end_stays_in_its_row(run: Run, write: Write) -> None:
    write("de\nfr")
    assert "de\\nfr" in run("show", ".").stdout


def test_colour_only_on_a_terminal_or_on_demand(run: Run, write: Write) -> None:
    write("de", {"r": 4})
    assert "\033[" not in run("check", "de").stdout
    assert "\033[" in run("check", "de", "--color", "always").stdout


def test_a_reader_that_leaves_early_gets_no_traceback(write: Write) -> None:
    folder = write("de", {"r": 4})
    command = f"{sys.executable} -m adapterlint check {folder} | true"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.stderr == ""


def test_a_terminal_without_utf8_gets_escapes(write: Write) -> None:
    folder = write("dé", {"peft_type": "LÖRA"})
    result = adapterlint("check", str(folder), env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def adapterlint(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adapterlint", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env)


RULE = '''
from adapterlint import Config, Finding, Severity, rule


@rule("CFG901", Severity.WARNING, since="0.1", bad={"r": 8}, good={"r": 16})
def house_rank(config: Config):
    """The rank is not the one we use.

    All our adapters share one serving slot size.
    """
    if config.get("r") != 16:
        yield Finding(f"rank {config.get('r')} is not our rank", at=config.at("r"))
'''


def test_a_later_patch_of_peft_is_taken_for_the_newest_one_that_is_known(run: Run, write: Write) -> None:
    write("de")
    result = run("check", "de", "--peft", "0.21.3")
    assert result.exit_code == 0
    assert result.stderr == "adapterlint: PEFT `0.21.3` is not known yet; it is taken for 0.21.2\n"
