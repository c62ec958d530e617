"""Rules are loaded from folders, and what is not a rule is refused with its place."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from adapterlint.lint.loader import built_in_folder, load_rules
from adapterlint.lint.rule import FAMILIES, RuleError

GOOD = '''
from adapterlint import Config, Finding, Severity, rule


@rule("CFG901", Severity.INFO, since="0.1", bad={"r": 1}, good={"r": 2})
def house_rule(config: Config):
    """A rule of the house.

    It says nothing.
    """
    return ()
'''


def rules_in(folder: Path, text: str, name: str = "one.py") -> list[str]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [r.name for r in load_rules([str(folder)]) if r.code.endswith("901")]


def test_a_folder_of_ones_own_is_loaded_at_any_depth(tmp_path: Path) -> None:
    assert rules_in(tmp_path / "rules", GOOD, "deep/er/one.py") == ["house-rule"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("config: Config", "confg", "has no input `confg`"),
        ("CFG901", "XYZ901", "`XYZ901` is not a code"),
        ("CFG901", "CFG104", "is the label of two rules"),
        ("    It says nothing.\n", "", "needs a title and"),
        ("since=", "sinec=", "TypeError"),
        ("@rule", "print", "TypeError"),
        ("return ()", "return (", "cannot be imported"),
    ],
)
def test_what_is_not_a_rule_is_refused_with_its_place(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=sentence):
        rules_in(tmp_path / "rules", GOOD.replace(old, new))


def test_every_file_of_the_built_in_folder_is_a_rule_of_its_family() -> None:
    files = [p for p in built_in_folder().rglob("*.py") if p.name != "__init__.py"]
    rules = load_rules()
    assert len(rules) == len(files)
    assert {r.family for r in rules} <= set(FAMILIES)
    assert sorted(r.name.replace("-", "_") for r in rules) == sorted(p.stem for p in files)


def test_the_wheel_holds_every_rule(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(root)]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        inside = {n for n in wheel.namelist() if n.startswith("adapterlint/rules/") and not n.endswith("__init__.py")}
        assert {"adapterlint/report/schema.json", "adapterlint/report/compat_schema.json"} <= set(wheel.namelist())
        assert "adapterlint/py.typed" in wheel.namelist()
    assert len(inside) == len(load_rules())


def test_a_file_without_a_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="The file holds no rule"):
        rules_in(tmp_path / "rules", "x = 1\n")
