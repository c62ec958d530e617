"""What cannot be read of a base is said once, with its place, and the run goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from adapterlint import check, simulate
from adapterlint.errors import AdapterlintError
from adapterlint.lint.example import base_files
from conftest import Run, Write

SHARD = "model-00001-of-00002.safetensors"
INDEX = json.dumps({"weight_map": {"lm_head.weight": SHARD}}).encode()
BROKEN = [
    ({"config.json": b"{'a': 1}"}, "config.json:1:2"),
    ({"config.json": b"[]"}, "config.json:1:1"),
    ({"model.safetensors": b"\x05\0\0\0\0\0\0\0{"}, "model.safetensors"),
    ({"model.safetensors": None, "model.safetensors.index.json": INDEX}, "model.safetensors.index.json"),
]


def base(folder: Path, changes: dict[str, bytes | None]) -> Path:
    folder.mkdir()
    for name, content in {**base_files(), **changes}.items():
        if content is not None:
            (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(("changes", "place"), BROKEN)
def test_a_part_of_a_base_that_cannot_be_read_is_said_once_for_all_adapters(
    run: Run, write: Write, tmp_path: Path, changes: dict[str, bytes | None], place: str
) -> None:
    folder = base(tmp_path / "base", changes)
    for name in ("de", "fr"):
        write(name, {"base_model_name_or_path": str(folder)})
    report = check([tmp_path / "de", tmp_path / "fr"])
    assert [p.place for p in report.problems] == [os.path.join(folder, place)]
    assert "so that less is known of the base model" in report.problems[0].message
    assert not report.problems[0].fatal
    assert run("check", "de", "fr").exit_code == 0
    assert run("check", "de", "fr").stdout.count(place) == 1


@pytest.mark.parametrize("command", ["simulate", "plan"])
def test_simulate_and_plan_say_it_too(run: Run, write: Write, tmp_path: Path, command: str) -> None:
    base(tmp_path / "base", {"config.json": b"{"})
    write("de")
    result = run(command, "de", "--base", "base", "-o", "json")
    assert result.exit_code == 0
    assert result.stderr.count("base/config.json") == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["place"].startswith("base/config.json")
    assert [p.place for p in simulate([tmp_path / "de"], base=tmp_path / "base").problems] == [
        str(tmp_path / problem["place"])
    ]


def test_a_base_that_nothing_can_be_read_of_is_said_and_the_adapter_is_checked_without_it(
    write: Write, tmp_path: Path
) -> None:
    folder = base(tmp_path / "base", {"config.json": b"{", "model.safetensors": None})
    report = check(write("de", {"base_model_name_or_path": str(folder), "r": 4}))
    assert [(p.fatal, "nothing is known" in p.message) for p in report.problems] == [(False, True)]
    assert {f.code for f in report.findings} == {"CFG152", "FIT101"}


@pytest.mark.parametrize(
    ("given", "fatal", "sentence"),
    [
        ("empty", True, "neither `config.json` nor weights"),
        ("nowhere", True, "neither a folder nor a model in the Hub's cache"),
        ("./nowhere", True, "neither a folder nor a model in the Hub's cache"),
        ("de/adapter_config.json", True, "is a folder, not a file: name `de`"),
        ("models/lama", True, "neither a folder nor a model in the Hub's cache"),
        ("acme/tiny-llama", False, "so nothing is checked against it"),
    ],
)
def test_what_is_given_and_no_base_is_said(run: Run, write: Write, given: str, fatal: bool, sentence: str) -> None:
    folder = write("de")
    (folder.parent / "empty").mkdir()
    (folder.parent / "models").mkdir()
    result = run("check", "de", "--base", given, "-o", "json")
    (problem,) = json.loads(result.stdout)["problems"]
    assert sentence in problem["message"]
    assert problem["fatal"] is fatal
    assert result.exit_code == (2 if fatal else 0)
    with pytest.raises(AdapterlintError, match="base model"):
        simulate([folder], base=given)


def test_a_base_that_an_adapter_names_and_nobody_has_is_nothing_to_say(write: Write) -> None:
    assert check(write("de")).problems == ()


def test_adapters_of_a_declared_fleet_are_checked_against_the_base_that_it_declares(
    run: Run, write: Write, tmp_path: Path
) -> None:
    base(tmp_path / "base", {})
    for name in ("de", "fr"):
        write(name, {"target_modules": ["q_proj", "v_proj", "input_layernorm"]})
    (tmp_path / "adapterlint.toml").write_text(
        '[[fleet]]\nname = "x"\nadapters = { de = "de", fr = "fr" }\nbase = "base"\n'
    )
    assert "BAS103" in run("check", "de", "fr").stdout
