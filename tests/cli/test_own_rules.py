"""Rules of one's own: written by `rule new`, tried by `rule test`, and never taken from what is inspected."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_check import adapterlint

from adapterlint import AdapterlintError, rule_faults
from adapterlint.lint.loader import load_rules
from adapterlint.lint.skeleton import RESERVED, skeleton
from conftest import Run, Write


def test_a_new_rule_passes_its_tests_has_a_page_and_finds(run: Run, write: Write, tmp_path: Path) -> None:
    made = run("rule", "new", "house-dropout", "--rule-dir", "lint")
    assert made.exit_code == 0
    assert "lint/house_dropout.py written" in made.stderr
    tried = run("rule", "test", "--rule-dir", "lint")
    assert (tried.exit_code, tried.stdout) == (0, "1 rule, 2 examples: all as they should be\n")
    assert run("rule", "house-dropout", "--rule-dir", "lint").stdout.startswith("house-dropout (CFG901)\n")
    (tmp_path / "adapterlint.toml").write_text('rule-dirs = ["lint"]\n')
    write("de", {"lora_dropout": 0.4})
    assert "warning[CFG901] A dropout of `0.4` is above 0.2" in run("check", "de").stdout
    write("de")
    assert run("check", "de").stdout == "1 adapter checked: nothing found\n"


def test_the_next_rule_gets_the_next_code_and_the_folder_of_the_settings(run: Run, tmp_path: Path) -> None:
    (tmp_path / "adapterlint.toml").write_text('rule-dirs = ["lint"]\n')
    (tmp_path / "lint").mkdir()
    for name in ("house-one", "house_two"):
        assert run("rule", "new", name).exit_code == 0
    assert run("rule", "new", "house-three", "--code", "ten950").exit_code == 0
    assert run("rule", "test").stdout == "3 rules, 6 examples: all as they should be\n"
    own = [r for r in load_rules([str(tmp_path / "lint")]) if r.name.startswith("house")]
    assert [(r.code, r.name) for r in own] == [
        ("CFG901", "house-one"),
        ("CFG902", "house-two"),
        ("TEN950", "house-three"),
    ]


@settings(max_examples=20, deadline=None)
@given(st.from_regex(r"[a-z][a-z0-9]{0,6}([-_][a-z0-9]{1,6}){0,3}", fullmatch=True).filter(lambda n: n not in RESERVED))
def test_whatever_a_rule_is_called_its_skeleton_passes(name: str) -> None:
    try:
        file, content = skeleton(name, load_rules())
    except AdapterlintError as error:
        assert "cannot be the name" in str(error) or "already" in str(error)  # noqa: PT017 (both outcomes are right)
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, file).write_text(content)
        assert rule_faults(folder) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["new", "house"], "there is no folder of rules; name it with --rule-dir, or as `rule-dirs` in the settings"),
        (["new", "zero-rank", "--rule-dir", "lint"], "There is a rule `zero-rank` already: The rank"),
        (["new", "house", "--code", "CFG104", "--rule-dir", "lint"], "There is a rule `CFG104` already"),
        (["new", "house", "--code", "ABC1", "--rule-dir", "lint"], "`ABC1` is not a code: one of FIL, CFG"),
        (["new", "../house", "--rule-dir", "lint"], "`../house` cannot be the name of a rule"),
        (["new", "test", "--rule-dir", "lint"], "`test` cannot be the name of a rule"),
        (["new", "import", "--rule-dir", "lint"], "`import` cannot be the name of a rule"),
        (["new", "house", "--rule-dir", "file"], "file: File exists"),
        (["new", "taken", "--rule-dir", "other"], "no rule"),
        (["test"], "there is no folder of rules"),
        (["test", "--rule-dir", "nowhere"], "nowhere: There is no such folder of rules"),
        (["test", "--rule-dir", "empty"], "empty: There is no rule to test"),
        (["zero-rnak"], "There is no rule `zero-rnak`; did you mean `zero-rank`"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_nothing_is_written(
    arguments: list[str], sentence: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "taken.py").write_text("x = 1\n")
    result = run("rule", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "lint").exists()
    assert (tmp_path / "other" / "taken.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('bad={"lora_dropout": 0.5}', 'bad={"lora_dropout": 0.1}', "house: the bad example gives no finding"),
        (
            'good={"lora_dropout": 0.1}',
            'good=({}, {"lora_dropout": 0.3})',
            "house: the good example 2 gives a finding: A dropout of `0.3` is above 0.2",
        ),
        ("if isinstance", "if 1 / 0 and isinstance", "house: the bad example cannot be tried: The rule crashes"),
    ],
)
def test_an_example_that_is_not_as_it_should_be_is_told(
    old: str, new: str, fault: str, run: Run, tmp_path: Path
) -> None:
    run("rule", "new", "house", "--rule-dir", "lint")
    path = tmp_path / "lint" / "house.py"
    path.write_text(path.read_text().replace(old, new))
    # In a process of its own: a folder of rules is imported once.
    result = adapterlint("rule", "test", "--rule-dir", "lint", cwd=tmp_path)
    assert result.returncode == 1
    assert fault in result.stdout


def test_other_rules_may_find_something_in_an_example(run: Run, tmp_path: Path) -> None:
    run("rule", "new", "house", "--rule-dir", "lint")
    path = tmp_path / "lint" / "house.py"
    path.write_text(path.read_text().replace('bad={"lora_dropout": 0.5}', 'bad={"lora_dropout": 0.5, "r": 4}'))
    assert rule_faults(tmp_path / "lint") == []


# ------------------------------------------------------------------------------ code of what is inspected never runs

EVIL = "import pathlib\npathlib.Path({!r}).write_text('ran')\n"


@pytest.mark.parametrize("settings_file", ["pyproject.toml", "adapterlint.toml"])
@pytest.mark.parametrize("place", ["inspected", "inspected/de"])
def test_rules_that_an_inspected_folder_names_are_never_loaded(
    settings_file: str, place: str, run: Run, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("inspected/de")
    mark = tmp_path / "mark"
    planted = tmp_path / place
    (planted / "lint").mkdir()
    (planted / "lint" / "rule.py").write_text(EVIL.format(str(mark)))
    (planted / "rules").mkdir()
    (planted / "rules" / "rule.py").write_text(EVIL.format(str(mark)))
    table = "[tool.adapterlint]\n" if settings_file == "pyproject.toml" else ""
    (planted / settings_file).write_text(f'{table}rule-dirs = ["lint"]\n')
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "adapterlint.toml").write_text("")
    monkeypatch.chdir(tmp_path / "project")
    for command in (["check"], ["show"], ["compat"], ["simulate"], ["plan"], ["rules"], ["rule", "zero-rank"]):
        paths = [] if command[0].startswith("rule") else ["../inspected"]
        assert run(*command, *paths).exit_code in (0, 1), command
        assert not mark.exists(), command
    # Inside the adapter's own folder its settings would be those of the project: there rules are refused.
    if place == "inspected/de":
        monkeypatch.chdir(planted)
        refused = run("check", ".")
        assert (refused.exit_code, mark.exists()) == (2, False)
        assert "lies beside an adapter" in refused.stderr


def test_the_invoking_project_and_the_command_line_may_name_rules(write: Write, tmp_path: Path) -> None:
    write("inspected/de")
    mark = tmp_path / "mark"
    (tmp_path / "project" / "lint").mkdir(parents=True)
    (tmp_path / "project" / "lint" / "rule.py").write_text(EVIL.format(str(mark)))
    adapterlint("check", "../inspected", "--rule-dir", "lint", cwd=tmp_path / "project")
    assert mark.exists()
    mark.unlink()
    (tmp_path / "project" / "adapterlint.toml").write_text('rule-dirs = ["lint"]\n')
    adapterlint("check", "../inspected", cwd=tmp_path / "project")
    assert mark.exists()
    mark.unlink()
    adapterlint("check", "../inspected", "--isolated", cwd=tmp_path / "project")
    assert not mark.exists()


def test_modules_that_lie_in_the_working_folder_are_not_imported(write: Write, tmp_path: Path) -> None:
    folder = write("de", {"r": 4})
    mark = tmp_path / "mark"
    for name in ("yaml", "regex", "msgspec", "typer", "pydantic", "json", "adapterlint_built_in_rules", "rules"):
        (folder / f"{name}.py").write_text(EVIL.format(str(mark)))
    result = adapterlint("check", ".", cwd=folder)
    assert "rank-mismatch" in result.stdout
    assert not mark.exists()
