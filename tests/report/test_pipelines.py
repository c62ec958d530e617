"""What the formats for pipelines say of a fleet in a repository: where it is, how bad, how to repair it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from adapterlint.lint.example import DROP, GOOD_CONFIG, Patch
from conftest import Run, Write
from consumers import Command, github, gitlab, is_a, json_lines, junit, sarif

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TENSOR = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
ODD = "adapters/100%, sure: a#b [c]"


@pytest.fixture
def repository(write: Write, tmp_path: Path, run: Run) -> Path:
    """A repository with three adapters: one of a wrong rank, one with half of a pair, one of an odd name and rank 0."""
    (tmp_path / ".git").mkdir()
    write("adapters/rank", {"r": 4})
    write("adapters/half", Patch(tensors={TENSOR: DROP}))
    write(ODD, {"r": 0})
    return tmp_path


def results(run: Run, *arguments: str) -> list[dict[str, Any]]:
    return list(sarif(run("check", *arguments, "-o", "sarif").stdout)["results"])


def of_rule(found: list[dict[str, Any]], rule: str) -> dict[str, Any]:
    (one,) = [result for result in found if result["ruleId"] == rule]
    return one


def physical(result: Mapping[str, Any]) -> dict[str, Any]:
    return dict(result["locations"][0]["physicalLocation"])


def line_of(file: Path, text: str) -> int:
    return next(i for i, line in enumerate(file.read_text().splitlines(), 1) if text in line)


def test_sarif_places_a_finding_on_its_line(repository: Path, run: Run) -> None:
    found = of_rule(results(run, "adapters"), "FIT101")
    line = line_of(repository / "adapters/rank" / CONFIG, '"r"')
    assert physical(found)["artifactLocation"] == {"uri": f"adapters/rank/{CONFIG}", "uriBaseId": "%SRCROOT%"}
    assert physical(found)["region"] == {"startLine": line, "startColumn": 8, "endLine": line, "endColumn": 9}
    assert found["properties"]["locationKnown"] is True
    assert found["level"] == "error"


def test_sarif_says_where_a_line_is_not_known_and_names_the_tensor(repository: Path, run: Run) -> None:
    found = of_rule(results(run, "adapters"), "FIT120")
    assert physical(found)["region"] == {"startLine": 1}
    assert found["properties"]["locationKnown"] is False
    (logical,) = found["locations"][0]["logicalLocations"]
    assert logical == {"fullyQualifiedName": TENSOR.replace("lora_A", "lora_B"), "kind": "tensor"}


@pytest.mark.parametrize(
    ("where", "up"), [(".", "adapters"), ("adapters", "."), ("adapters", "./rank"), ("adapters/half", "../rank")]
)
def test_paths_are_those_of_the_repository_from_wherever_it_is_checked(
    where: str, up: str, repository: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository / where)
    path = f"adapters/rank/{CONFIG}"
    assert physical(of_rule(results(run, up), "FIT101"))["artifactLocation"]["uri"] == path
    assert path in {one.properties["file"] for one in github(run("check", up, "-o", "github").stdout)}
    assert path in {one["location"]["path"] for one in gitlab(run("check", up, "-o", "gitlab").stdout)}
    assert f'file="{path}"' in run("check", up, "-o", "junit").stdout


def test_what_is_outside_of_the_repository_has_its_whole_path(
    repository: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "inner")
    found = of_rule(results(run, "../adapters/rank"), "FIT101")
    assert physical(found)["artifactLocation"] == {"uri": f"file://{tmp_path}/adapters/rank/{CONFIG}"}


def test_odd_names_survive_the_way(repository: Path, run: Run) -> None:
    wanted = f"{ODD}/{CONFIG}"
    uri = physical(of_rule(results(run, "adapters"), "CFG104"))["artifactLocation"]["uri"]
    assert unquote(uri) == wanted
    assert set(" #[]?").isdisjoint(uri)
    assert wanted in {one.properties["file"] for one in github(run("check", "adapters", "-o", "github").stdout)}
    assert wanted in {one["location"]["path"] for one in gitlab(run("check", "adapters", "-o", "gitlab").stdout)}


def test_a_result_is_the_same_when_its_line_moves_and_others_are_mended(repository: Path, run: Run) -> None:
    before = of_rule(results(run, "adapters"), "FIT101")
    (repository / "adapters/rank" / CONFIG).write_text(json.dumps({**GOOD_CONFIG, "r": 4}, indent=8) + "\n\n")
    (repository / ODD / CONFIG).write_text(json.dumps(GOOD_CONFIG))
    after = of_rule(results(run, "adapters"), "FIT101")
    assert after["partialFingerprints"] == before["partialFingerprints"]
    assert len(results(run, "adapters")) == 2


def test_adapters_of_one_name_are_results_of_their_own(write: Write, run: Run) -> None:
    for folder in ("a/de", "b/de"):
        write(folder, {"r": 4})
    first, second = (one["partialFingerprints"]["primaryLocationLineHash"] for one in results(run, "."))
    assert first != second
    write("a/de", {"r": 8})
    (left,) = results(run, ".")
    assert left["partialFingerprints"]["primaryLocationLineHash"] == second


def test_sarif_carries_the_page_of_every_rule(run: Run, repository: Path) -> None:
    rules = sarif(run("check", "adapters", "-o", "sarif").stdout)["tool"]["driver"]["rules"]
    assert [r["id"] for r in rules] == [one["code"] for one in json.loads(run("rules", "-o", "json").stdout)]
    zero = next(r for r in rules if r["id"] == "CFG104")
    assert zero["name"] == "zero-rank"
    assert 'adapter_config.json: "r": 0' in zero["help"]["text"]
    assert zero["help"]["markdown"].startswith("# zero-rank\n")
    assert zero["defaultConfiguration"]["level"] == zero["properties"]["problem.severity"] == "error"
    assert "security" in next(r for r in rules if r["name"] == "pickle-imports")["properties"]["tags"]


CRASHING = '''
from adapterlint import Config, Severity, rule

@rule("CFG901", Severity.WARNING, since="0.1", bad={"r": 64}, good={"r": 16})
def house_rank(config: Config):
    """It crashes, whatever it is given to read.

    So it does.
    """
    raise ZeroDivisionError("[text](https://example.org)")
    yield
'''


def test_what_could_not_be_done_is_told_apart_from_results(repository: Path, run: Run) -> None:
    (repository / "lint").mkdir()
    (repository / "lint" / "house_rank.py").write_text(CRASHING)
    arguments = ("adapters/rank", "nowhere", "--rule-dir", "lint")
    log = sarif(run("check", *arguments, "-o", "sarif").stdout)
    (invocation,) = log["invocations"]
    assert invocation["executionSuccessful"] is False
    notes = [note["message"]["text"] for note in invocation["toolExecutionNotifications"]]
    assert any("nowhere" in note for note in notes)
    assert any("house-rank" in note and "crashed" in note for note in notes)
    assert {one["ruleId"] for one in log["results"]} == {"FIT101"}
    cases = junit(run("check", *arguments, "-o", "junit").stdout)
    assert sum(is_a(case, "error") for case in cases) == 2
    titles = [one.properties["title"] for one in github(run("check", *arguments, "-o", "github").stdout)]
    assert sorted(titles) == ["FIT101 rank-mismatch", "LNT101 rule-crashed", "adapterlint"]


def test_an_annotation_has_level_place_and_remedy(repository: Path, run: Run) -> None:
    found = github(run("check", "adapters/rank", "-o", "github").stdout)
    line = str(line_of(repository / "adapters/rank" / CONFIG, '"r"'))
    (one,) = found
    assert one.name == "error"
    assert one.properties == {
        "file": f"adapters/rank/{CONFIG}", "line": line, "endLine": line, "col": "8", "endColumn": "8",
        "title": "FIT101 rank-mismatch",
    }  # fmt: skip
    assert "\nhelp: " in one.data


def test_an_annotation_without_a_line_has_none(repository: Path, run: Run) -> None:
    (one,) = github(run("check", "adapters/half", "-o", "github").stdout)
    assert isinstance(one, Command)
    assert one.name == "warning"
    assert set(one.properties) == {"file", "title"}
    assert "\ntensor: base_model.model.model.layers.0" in one.data


def test_code_quality_has_a_severity_and_a_line_of_every_entry(repository: Path, run: Run) -> None:
    entries = {one["check_name"]: one for one in gitlab(run("check", "adapters", "-o", "gitlab").stdout)}
    assert entries["rank-mismatch"]["severity"] == entries["zero-rank"]["severity"] == "critical"
    assert entries["tensor-missing"]["severity"] == "major"
    assert entries["tensor-missing"]["location"]["lines"]["begin"] == 1
    line = line_of(repository / "adapters/rank" / CONFIG, '"r"')
    assert entries["rank-mismatch"]["location"]["lines"]["begin"] == line


@pytest.mark.parametrize(("fail_on", "failures"), [("error", 2), ("warning", 3)])
def test_junit_fails_where_the_run_does(fail_on: str, failures: int, repository: Path, run: Run, write: Write) -> None:
    write("adapters/healthy")
    cases = junit(run("check", "adapters", "--fail-on", fail_on, "-o", "junit").stdout)
    assert sum(is_a(case, "failure") for case in cases) == failures
    healthy = [case for case in cases if case.classname == "adapters/healthy"]
    assert [(case.name, case.is_passed) for case in healthy] == [("check", True)]
    half = next(case for case in cases if case.classname == "adapters/half")
    assert half.is_passed == (fail_on == "error")
    assert half.is_failure or "lora_B.weight" in half.system_out


def test_what_is_not_judged_does_not_pass_a_test(run: Run, write: Write) -> None:
    write("mlx", Patch(files={CONFIG: '{"fine_tune_type": "lora", "lora_parameters": {}}', WEIGHTS: DROP}))
    write("healthy")
    cases = junit(run("check", ".", "--ignore", "foreign-format", "-o", "junit").stdout)
    assert [case.classname for case in cases] == ["healthy"]


def test_findings_of_several_adapters_are_a_suite_of_their_own(run: Run) -> None:
    run("demo", "--keep", ".")
    names = {case.classname for case in junit(run("check", "adapters", "-o", "junit").stdout)}
    assert "adapters/head-de + adapters/head-fr" in names


def test_the_lines_are_the_report(run: Run, repository: Path) -> None:
    whole = json.loads(run("check", "adapters", "nowhere", "-o", "json").stdout)
    assert json_lines(run("check", "adapters", "nowhere", "-o", "jsonl").stdout) == whole
