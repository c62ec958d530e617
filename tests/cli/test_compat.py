"""`adapterlint compat`: rows, marks, reasons, exit statuses; one sentence for what cannot be done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from adapterlint import compat
from adapterlint.lint.example import Patch, with_tokens
from adapterlint.report.compat_text import MAX_ROWS, compat_text
from conftest import Run, Write

NEW: dict[str, Any] = {"target_parameters": ["experts.down_proj"]}  # a key of 0.17


def marks(text: str, name: str) -> str:
    row = next(line for line in text.splitlines() if line.startswith(f"{name} "))
    return "".join(row.split()[-12:])


def test_a_row_has_a_mark_for_each_release_and_a_reason_below(run: Run, write: Write) -> None:
    write("plain")
    write("rows", with_tokens(1))
    result = run("compat", ".")
    assert result.exit_code == 0
    assert marks(result.stdout, "plain") == "xxxx........"
    assert marks(result.stdout, "rows") == "xxxxd......."
    assert (
        "rows: oldest right: 0.15.2 - 0.14.0 drops `trainable_token_indices`, which names the tokens whose rows it "
        "replaces" in result.stdout
    )
    assert "plain: oldest right: 0.14.0 - 0.13.2 refuses the config for `trainable_token_indices`" in result.stdout


def test_a_release_that_is_named_must_be_right(run: Run, write: Write) -> None:
    write("de", with_tokens(1))
    assert run("compat", "de", "--peft", "0.15,0.18").exit_code == 0
    assert run("compat", "de", "--peft", "0.14").exit_code == 1
    assert run("compat", "de", "--peft", "0.18", "--peft", "0.13", "-o", "json").exit_code == 1


def test_hundreds_of_alike_adapters_are_one_row(run: Run, write: Write) -> None:
    for number in range(30):
        write(f"speaker-{number}", {"lora_alpha": number + 1})
    write("other", NEW)
    lines = run("compat", ".").stdout.splitlines()
    assert sum("speaker" in line for line in lines) == 2
    assert any("(and 29 alike)" in line for line in lines)


def test_a_named_patch_has_a_column_of_its_own(run: Run, write: Write) -> None:
    write("de")
    value = json.loads(run("compat", "de", "--peft", "0.18.0", "-o", "json").stdout)
    assert value["named"] == ["0.18.0"]
    assert value["releases"][8:10] == ["0.18.0", "0.18.1"]
    assert " .18.0 .18.1 " in run("compat", "de", "--peft", "0.18.0").stdout


def test_json_is_complete_in_ascii_and_goes_to_a_file(run: Run, write: Write) -> None:
    write("dé", with_tokens(1))
    assert run("compat", "dé", "-o", "json=out.json").stdout == ""
    text = Path("out.json").read_text("utf-8")
    assert text.isascii()
    value = json.loads(text)
    (one,) = value["adapters"]
    assert (value["schema"], one["path"], one["oldest"]) == (1, "dé", "0.15.2")
    assert list(one["releases"]) == value["releases"]
    assert one["releases"]["0.13.2"]["error"]["type"] == "TypeError"
    assert [key["key"] for key in one["releases"]["0.14.0"]["dropped"]] == ["trainable_token_indices"]


def test_colour_is_for_terminals_only(run: Run, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("de")
    assert "\033" not in run("compat", "de").stdout
    assert "\033[" in run("compat", "de", "--color", "always").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in run("compat", "de").stdout


def test_a_narrow_terminal_cuts_names_and_no_marks(write: Write) -> None:
    found = compat(write("a-very-long-name-of-an-adapter-that-somebody-trained-for-a-long-time"))
    table = compat_text(found, width=64).splitlines()[2:4]
    assert max(map(len, table)) <= 64
    assert table[1].endswith("x   x   x   x   .   .   .   .   .   .   .   .")


def test_many_kinds_of_adapters_are_bounded() -> None:
    adapters = [Patch({f"key_{n}": 1}, path=f"a{n}").adapter() for n in range(MAX_ROWS + 3)]
    text = compat_text(compat(adapters))
    assert "and 3 more kinds of adapters; -o json has all" in text


def test_what_comes_from_files_cannot_reach_a_terminal_as_it_is() -> None:
    odd = Patch({"peft_type": "\x1b[31mEVIL\u202e", "x\x1b]0;title\x07": 1}).adapter()
    assert all(line.isprintable() for line in compat_text(compat(odd)).splitlines())


REFUSED = [
    (["--peft", "new"], "`new` is no release of PEFT"),
    (["--peft", "0.9"], "PEFT 0.9 is not known, only releases 0.10 to 0.21 are"),
    (["--base", "nowhere"], "nowhere: There is no base model"),
    (["-o", "sarif"], "the formats are text, json"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSED)
def test_what_cannot_be_done_ends_with_2(run: Run, write: Write, options: list[str], sentence: str) -> None:
    write("de")
    result = run("compat", "de", *options)
    assert result.stdout == ""
    assert sentence in result.stderr
    assert result.exit_code != 0


def test_no_adapter_ends_with_3_and_no_folder_with_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("compat", "empty").exit_code == 3
    assert run("compat", "nowhere").exit_code == 2


def test_simulate_says_the_same_of_keys_that_are_dropped(run: Run, write: Write) -> None:
    write("de", {"ensure_weight_tying": True, "arrow_config": None})
    text = run("simulate", "de", "--peft", "0.17").stdout
    assert "PEFT drops `ensure_weight_tying`, which keeps input and output embeddings tied; `arrow_config`" in text
    assert "Unexpected keyword arguments" not in text


def test_what_readme_shows_comes_out(run: Run) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown = re.findall(r"```text\n\$ adapterlint (compat .*?)\n(.*?)```", readme, re.DOTALL)
    assert len(shown) == 1
    run("demo", "--keep", ".")
    for arguments, output in shown:
        assert run(*arguments.split()).stdout == output
