"""Settings: where they are looked for, what overrides what, and what a wrong one is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapterlint import __version__
from adapterlint.globs import matches
from adapterlint.settings import SettingsError, load_settings
from adapterlint.severity import Severity


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
        ("peft = ['v0.18']", "`v0.18` is no release of PEFT"),
        ("peft = ['0.18.dev0']", "`0.18.dev0` is no release of PEFT"),
        ("peft = ['0.18', '9.9']", "`9.9` is none of the releases of PEFT that are known, which are 0.10 to 0.21"),
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


def test_rules_beside_an_adapter_are_not_trusted_unless_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapterlint.toml").write_text("rule-dirs = ['r']\n")
    with pytest.raises(SettingsError, match="lies beside an adapter"):
        load_settings()
    assert load_settings(file="adapterlint.toml").settings.rule_dirs == ("r",)


def test_rule_folders_are_never_looked_for_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "adapterlint.toml").write_text("rule-dirs = ['lint']\n")
    (tmp_path / "sub" / "lint").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "sub")
    assert load_settings().settings.rule_dirs == (os.path.join("..", "lint"),)


def test_a_table_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nadapterlint = 3\n")
    with pytest.raises(SettingsError, match="is not a table"):
        load_settings()


@pytest.mark.parametrize(
    ("pattern", "path", "matched"),
    [
        ("old", "adapters/old/de", True),
        ("old", "adapters/older/de", False),
        ("adapters/old", "adapters/old/de/adapter_config.json", True),
        ("adapters/*/de", "adapters/old/de", True),
        ("*.bin", "adapters/de/adapter_model.bin", True),
        ("adapters/old", "other/adapters/old", False),
    ],
)
def test_patterns_match_paths_and_what_lies_below(pattern: str, path: str, matched: bool) -> None:
    assert matches(path, [pattern]) is matched


@pytest.mark.parametrize("wanted", [__version__, f"=={__version__}", ">=0.1", " >=0.1, !=9 "])
def test_a_release_that_the_project_requires_reads_its_settings(wanted: str, tmp_path: Path) -> None:
    (tmp_path / "adapterlint.toml").write_text(f'required-version = "{wanted}"\nignore = ["CRD"]\n')
    assert load_settings().settings.ignore == ("CRD",)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ('">=9"', "and the project requires `>=9`"),
        ('"0.0.9"', "and the project requires `0.0.9`"),
        ('"newest"', "`required-version`: `newest` is neither a version nor a specifier"),
        ('""', "`required-version`: `` is neither"),
        ("1", "`required-version`: `1` is neither"),
    ],
)
def test_another_release_is_told_before_anything_else(wanted: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "adapterlint.toml").write_text(f"required-version = {wanted}\nof-a-later-release = true\n")
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert sentence in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "adapterlint.toml"))
