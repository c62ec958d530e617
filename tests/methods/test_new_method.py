"""An ordinary method is one entry, as CONTRIBUTING.md says: tried in a copy of the package, with an invented one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from recorded_methods import base_folders

import adapterlint
from adapterlint.lint.example import safetensors_file

PACKAGE = Path(adapterlint.__file__).parent
ENTRY = """
# W + diag(scale) B A.
QUILT = Method(
    name="QUILT",
    since="0.21",
    prefix="quilt_",
    forms=(
        Form(
            on=LINEARS,
            parameters=(
                Parameter("quilt_A", (R, IN)),
                Parameter("quilt_B", (OUT, R), begins=IDLE),
                Parameter("quilt_scale", (OUT,), when=given("use_scale"), begins=FIXED),
            ),
        ),
    ),
    refuses={"0.21": "TypeError"},
)
"""
KEYS = {"r": ["0.21", None, "int", 8], "use_scale": ["0.21", None, "bool", False]}  # as `make_fields.py` writes them
CONFIG = {"peft_type": "QUILT", "r": 4, "target_modules": ["q_proj"], "use_scale": True, "task_type": "CAUSAL_LM"}
SHAPES: dict[str, tuple[int, ...]] = {"quilt_A": (4, 16), "quilt_B": (16, 4), "quilt_scale": (16,)}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package and its rules with one more entry, and the keys of its config."""
    target = tmp_path_factory.mktemp("copy")
    rules = PACKAGE / "rules" if (PACKAGE / "rules").exists() else PACKAGE.parent / "rules"
    for folder, name in ((PACKAGE, "adapterlint"), (rules, "adapterlint/rules")):
        shutil.copytree(folder, target / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    with (target / "adapterlint/peft/methods/low_rank.py").open("a") as file:
        file.write(ENTRY)
    table = target / "adapterlint/peft/fields.json"
    fields = json.loads(table.read_text())
    of_all = {key: ["0.21", *row[1:]] for key, row in fields["BEFT"].items()}
    table.write_text(json.dumps(fields | {"QUILT": of_all | KEYS}))
    base = target / "base"
    base.mkdir()
    for name, content in base_folders()["llama"].files.items():
        (base / name).write_bytes(content)
    return target


def adapter(copy: Path, name: str, shapes: dict[str, tuple[int, ...]], **config: Any) -> Path:
    folder = copy / name
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | {"base_model_name_or_path": "acme/base"} | config))
    header = {
        f"base_model.model.model.layers.{layer}.self_attn.q_proj.{parameter}": ("F32", shape)
        for layer in (0, 1)
        for parameter, shape in shapes.items()
    }
    (folder / "adapter_model.safetensors").write_bytes(safetensors_file(header))
    return folder


def said(copy: Path, *arguments: str) -> Any:
    """The JSON that a command prints."""
    command = [sys.executable, "-m", "adapterlint", *arguments, "--base", "base", "--output", "json"]
    environment = os.environ | {"PYTHONPATH": str(copy)}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_check_says_what_is_wrong_with_its_adapters(copy: Path) -> None:
    adapter(copy, "whole", SHAPES)
    adapter(copy, "missing", {name: shape for name, shape in SHAPES.items() if name != "quilt_scale"})
    adapter(copy, "turned", SHAPES | {"quilt_A": (16, 4)})
    adapter(copy, "ranked", SHAPES | {"quilt_A": (8, 16), "quilt_B": (16, 8)})
    adapter(copy, "unscaled", SHAPES, use_scale=False)
    adapter(copy, "zero", SHAPES, r=0)
    names = ("whole", "missing", "turned", "ranked", "unscaled", "zero")
    found: dict[str, set[str]] = {name: set() for name in names}
    for one in said(copy, "check", *names, "--select", "CFG,FIT,TEN")["findings"]:
        for path in one["adapters"]:
            found[Path(path).name].add(one["rule"])
    assert found.pop("zero") >= {"zero-rank"}
    assert found == {
        "whole": set(),
        "missing": {"tensor-missing"},
        "turned": {"size-mismatch"},
        "ranked": {"rank-mismatch"},
        "unscaled": {"tensor-unexpected"},
    }


def test_compat_says_which_releases_can_load_it(copy: Path) -> None:
    adapter(copy, "new", SHAPES)
    adapter(copy, "transposed", SHAPES | {"quilt_A": (16, 4)})
    new, transposed = said(copy, "compat", "new", "transposed")["adapters"]
    assert (new["oldest"], new["before"]) == ("0.21.2", "0.20.0 does not know the type `QUILT` (KeyError)")
    assert transposed["oldest"] is None
    assert transposed["releases"]["0.21.2"]["error"]["type"] == "RuntimeError"


def test_simulate_says_what_it_does_beside_another(copy: Path) -> None:
    adapter(copy, "one", SHAPES)
    adapter(copy, "other", {name: shape for name, shape in SHAPES.items() if name != "quilt_B"})
    found = said(copy, "simulate", "one", "other", "--activate", "one,other")
    assert [step["verdict"] for step in found["steps"]] == ["ok", "ok", "ok"]
    assert {name: one["forward"] for name, one in found["adapters"].items()} == {
        "one": "effective",
        "other": "no effect",
    }
    assert found["adapters"]["other"]["coverage"]["missing"] == [
        f"base_model.model.model.layers.{layer}.self_attn.q_proj.quilt_B" for layer in (0, 1)
    ]
    assert found["base_unchanged"] == "yes"
