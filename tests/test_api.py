"""`adapterlint.check` from Python."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import adapterlint
from adapterlint import AdapterlintError, check
from adapterlint.lint.example import GOOD_CONFIG, GOOD_TENSORS, Patch, safetensors_file
from adapterlint.report.context import Context
from adapterlint.report.formats import FORMATS
from conftest import Write


def test_everything_that_is_public_is_there() -> None:
    for name in adapterlint.__all__:
        assert getattr(adapterlint, name).__doc__


def test_a_release_may_be_given_as_a_string_or_a_list(write: Write) -> None:
    folder = write("de", {"trainable_token_indices": [1]})
    assert check(folder, peft="0.14").findings == check(folder, peft=["0.14"]).findings


def test_what_is_no_release_is_refused(write: Write) -> None:
    with pytest.raises(AdapterlintError, match="`abc` is no release of PEFT"):
        check(write("de"), peft=["abc"])


def test_a_set_of_names_is_no_string(write: Write) -> None:
    with pytest.raises(AdapterlintError, match="Sets of names are lists"):
        check(write("de"), activate=["de"])


def test_a_fingerprint_does_not_depend_on_how_the_path_is_given(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write("sub/de", {"r": 4})
    prints = []
    for where, path in ((tmp_path, "sub"), (tmp_path / "sub", "."), (folder, "."), (tmp_path, str(folder))):
        monkeypatch.chdir(where)
        prints.append([f.fingerprint for f in check(path).findings])
    assert prints[0]
    assert all(p == prints[0] for p in prints)


def test_tensor_names_with_secrets_are_clean_in_every_format(write: Write) -> None:
    token = "hf_" + "a1B2" * 8
    tensors = {**GOOD_TENSORS, f"base_model.model.model.{token}.lora_A.weight": ("F32", (8, 16))}
    report = check(write("de", Patch(files={"adapter_model.safetensors": safetensors_file(tensors)})))
    assert report.adapters[0].footprint is not None
    assert all(token not in form(report, Context()) for form in FORMATS.values())


def test_a_path_that_is_no_text_can_be_reported() -> None:
    report = check("nowhere\udcff")
    assert all(form(report, Context()).encode() for form in FORMATS.values())


def test_the_frame_of_a_file_in_one_line_is_cut_around_the_place(write: Write) -> None:
    import json

    padding = {f"a{i}": "x" * 90 for i in range(100)}
    text = json.dumps({**padding, **GOOD_CONFIG, "r": 4, "z": "y" * 5000})
    report = check(write("de", Patch(files={"adapter_config.json": text})))
    finding = next(f for f in report.findings if f.rule == "rank-mismatch")
    assert finding.location is not None
    assert finding.frame is not None
    assert finding.frame[finding.location.column - finding.frame_column] == "4"
    lines = FORMATS["text"](report, Context()).splitlines()
    caret = next(i for i, line in enumerate(lines) if line.strip().endswith("^") and '"r": 4' in lines[i - 1])
    assert lines[caret - 1][lines[caret].index("^")] == "4"


# Each room may import what stands before it. `settings` and the modules without a room are tools of all.
ROOMS = ["files", "sources", "adapter", "peft", "planning", "lint", "report", "api", "cli"]


def test_imports_go_one_way() -> None:
    package = Path(adapterlint.__file__).parent
    for path in package.rglob("*.py"):
        room = path.relative_to(package).with_suffix("").parts[0]
        if room not in ROOMS or "rules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("adapterlint."):
                other = node.module.split(".")[1]
                assert other not in ROOMS or ROOMS.index(other) <= ROOMS.index(room), f"{path}: {node.module}"


def test_no_format_lets_a_control_character_through(write: Write) -> None:
    folder = write("de\x9b1m\u202e\x7f\nline", {"r": 4})
    for form in FORMATS.values():
        assert all(line.isprintable() for line in form(check(folder), Context()).splitlines())
