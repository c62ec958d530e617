"""`adapterlint check --among DIR FILE...`: adapters that are asked for, judged beside the others of their fleets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from adapterlint.lint.example import Patch
from conftest import Run, Write

HEAD = Patch(config={"modules_to_save": ["lm_head"]}, tensors={"base_model.model.lm_head.weight": ("F32", (64, 32))})


@pytest.fixture
def adapters(write: Write) -> None:
    """Three adapters of one base, two of which bring the head, and one with a fault of its own."""
    for name in ("de", "fr", "it"):
        write(f"adapters/{name}", HEAD if name != "it" else {})
    write("adapters/broken", {"r": 4})


def found(run: Run, *arguments: str) -> dict[str, set[str]]:
    """Rule -> the adapters that its findings are about."""
    report = json.loads(run("check", *arguments, "-o", "json", "--isolated").stdout)
    rules: dict[str, set[str]] = {}
    for finding in report["findings"]:
        rules.setdefault(finding["rule"], set()).update(finding["adapters"])
    return rules


CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@pytest.mark.usefixtures("adapters")
def test_an_adapter_is_judged_beside_the_others_of_its_fleet(run: Run) -> None:
    assert found(run, f"adapters/de/{CONFIG}") == {}
    assert found(run, "--among", ".", f"adapters/de/{CONFIG}") == {"auxiliary-overlap": {"adapters/de", "adapters/fr"}}


@pytest.mark.usefixtures("adapters")
def test_what_concerns_none_of_the_asked_is_not_told(run: Run) -> None:
    assert found(run, "--among", ".", f"adapters/it/{WEIGHTS}") == {}
    assert set(found(run, "--among", ".", f"adapters/broken/{WEIGHTS}")) == {"rank-mismatch"}


@pytest.mark.usefixtures("adapters")
def test_all_asked_among_all_is_what_all_give(run: Run) -> None:
    every = run("check", "adapters", "-o", "json").stdout
    assert json.loads(every)["findings"]
    assert run("check", "adapters", "--among", ".", "-o", "json").stdout == every
    files = [f"adapters/{name}/{CONFIG}" for name in ("it", "fr", "de", "broken")]
    assert run("check", *files, "--among", ".", "-o", "json").stdout == every


@pytest.mark.usefixtures("adapters")
def test_several_files_of_an_adapter_are_one_adapter(run: Run, tmp_path: Path) -> None:
    paths = [f"adapters/it/{CONFIG}", f"adapters/it/{WEIGHTS}", "adapters/it", str(tmp_path / "adapters/it")]
    assert run("check", "--among", ".", *paths).stdout == "1 adapter checked: nothing found\n"


@pytest.mark.usefixtures("adapters")
def test_a_file_that_is_gone_stands_for_its_adapter(run: Run, tmp_path: Path) -> None:
    (tmp_path / "adapters/it" / WEIGHTS).unlink()
    assert set(found(run, "--among", ".", f"adapters/it/{WEIGHTS}")) == {"missing-weights"}


@pytest.mark.usefixtures("adapters")
def test_of_an_adapter_that_is_wholly_gone_there_is_nothing_to_say(run: Run, tmp_path: Path) -> None:
    for file in (tmp_path / "adapters/it").iterdir():
        file.unlink()
    gone = [f"adapters/it/{CONFIG}", f"adapters/nowhere/{CONFIG}"]
    assert run("check", "--among", ".", "--allow-empty", *gone).exit_code == 0
    assert run("check", "--among", ".", *gone).exit_code == 3


@pytest.mark.usefixtures("adapters")
@pytest.mark.parametrize("arguments", [["--among", ".", "adapters/itt"], ["--among", "adaptres", "adapters/it"]])
def test_a_mistyped_folder_is_told(arguments: list[str], run: Run) -> None:
    result = run("check", *arguments)
    assert result.exit_code == 2
    assert "There is no such file or folder" in result.stdout


@pytest.mark.usefixtures("adapters")
def test_an_asked_adapter_outside_of_the_others_is_judged_with_them(run: Run, write: Write) -> None:
    write("elsewhere/es", HEAD)
    overlap = found(run, "--among", "adapters", "elsewhere/es")["auxiliary-overlap"]
    assert overlap == {"adapters/de", "adapters/fr", "elsewhere/es"}


@pytest.mark.usefixtures("adapters")
def test_a_declared_fleet_is_judged_whole_by_any_of_its_adapters(run: Run, tmp_path: Path) -> None:
    (tmp_path / "adapterlint.toml").write_text(
        '[[fleet]]\nname = "support"\nadapters = { de = "adapters/de", fr = "adapters/fr" }\n'
        'activate = [["de", "fr"]]\n'
    )
    assert run("check", "--among", ".", f"adapters/fr/{CONFIG}").exit_code == 1
    assert run("check", "--among", ".", f"adapters/it/{CONFIG}").exit_code == 0


@pytest.mark.usefixtures("adapters")
def test_excluded_folders_are_nobodys_company(run: Run) -> None:
    assert found(run, "--among", ".", "--exclude", "fr", f"adapters/de/{CONFIG}") == {}


@pytest.mark.usefixtures("adapters")
def test_links_to_an_adapter_are_the_adapter(run: Run, tmp_path: Path) -> None:
    os.symlink(tmp_path / "adapters/de", tmp_path / "now")
    assert "auxiliary-overlap" in found(run, "--among", "adapters", "now")
