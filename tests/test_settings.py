"""Settings: where they are looked for, what overrides what, and what a wrong one is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapterlint.lint.rule import Severity
from adapterlint.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_defaults_select_everything_and_fail_on_errors() -> None:
    effective = load_settings(isolated=True)
    assert effective.settings.select == ("ALL",)
    assert effective.settings.fail_on is Severity.ERROR
    assert set(effective.origins.values()) == {"default"}


def test_a_file_is_found_upwards_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.adapterlint]\npeft = ["0.18"]\n')
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert load_settings().settings.peft == ("0.18",)


def test_a_pyproject_without_our_table_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "adapterlint.toml").write_text('peft = "0.18"\n')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    monkeypatch.chdir(tmp_path / "sub")
    assert load_settings().settings.peft == ("0.18",)


def test_the_command_line_wins_and_origins_say_so(tmp_path: Path) -> None:
    (tmp_path / "adapterlint.toml").write_text('fail-on = "warning"\nignore = ["CFG"]\n')
    effective = load_settings({"fail_on": "info", "ignore": ()})
    assert effective.settings.fail_on is Severity.INFO
    assert effective.settings.ignore == ("CFG",)
    assert effective.origins["fail-on"] == "command line"
    assert effective.origins["ignore"] == str(tmp_path / "adapterlint.toml")
    assert effective.origins["peft"] == "default"


def test_paths_of_a_settings_file_are_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "adapterlint.toml").write_text(
        'base = "models/llama"\n[[fleet]]\nname = "support"\nadapters = { de = "adapters/de" }\n'
        '[per-file-ignores]\n"adapters/old" = ["CFG"]\n"*.bin" = ["SEC"]\n'
    )
    (tmp_path / "models" / "llama").mkdir(parents=True)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    settings = load_settings().settings
    assert settings.base == os.path.join("..", "models", "llama")
    assert settings.fleet[0].adapters == {"de": os.path.join("..", "adapters", "de")}
    assert set(settings.per_file_ignores) == {os.path.join("..", "adapters", "old"), "*.bin"}


@pytest.mark.parametrize("base", ["acme/llama", "hf://acme/llama"])
def test_a_base_that_is_a_name_stays_one(base: str, tmp_path: Path) -> None:
    (tmp_path / "adapterlint.toml").write_text(f'base = "{base}"\n')
    assert load_settings().settings.base == base


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("selct = []", "There is no setting `selct`; did you mean `select`"),
        (
            "[[fleet]]\nname = 'a'\nadapters = {x='y'}\nactivte = []",
            "There is no setting `fleet.0.activte`; did you mean",
        ),
        ("fail-on = 3", "`fail-on`: input should be 'error', 'warning' or 'info'"),
        ("peft = ['newest']", "`newest` is no release of PEFT"),
        ("select = 3", "`select`"),
        ("[[fleet]]\nname = 'a'\nadapters = {}", "`fleet.0.adapters`"),
        ("select = [", "This is not TOML"),
    ],
)
def test_a_wrong_setting_is_told_with_its_file(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "adapterlint.toml").write_text(text)
    with pytest.raises(SettingsError) as told:
        load_settings()
    assert sentence in str(told.value)
    assert "adapterlint.toml" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_settings_file_that_is_named_must_be_there() -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(file="nowhere.toml")
