"""`adapterlint check` with a baseline, and with what the settings ignore: statuses, streams and sentences."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from adapterlint.lint.example import DROP, Patch
from conftest import Run, Write

TOKEN = "hf_" + "Ab3" * 12


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---------------------------------------------------------------------------------------------------------- baseline


def test_writing_exits_with_0_and_says_how_many_are_set_aside(run: Run, write: Write, tmp_path: Path) -> None:
    write("de", {"r": 4})
    write("fr", {"r": 4})
    result = run("check", ".", "--write-baseline", "b.jsonl")
    assert result.exit_code == 0
    assert result.stderr == "adapterlint: 2 findings set aside in b.jsonl\n"
    assert result.stdout == "2 adapters checked: nothing found (2 findings set aside)\n"
    head, *entries = lines(tmp_path / "b.jsonl")
    assert head == {"adapterlint-baseline": 1}
    assert [(e["file"], e["rule"], e["pointer"]) for e in entries] == [
        ("de/adapter_config.json", "rank-mismatch", "/r"),
        ("fr/adapter_config.json", "rank-mismatch", "/r"),
    ]
    assert not any("line" in key or "column" in key for entry in entries for key in entry)
    assert all("tensors" in str(entry["message"]) for entry in entries), "people can read what it is about"


def test_old_findings_pass_and_a_new_one_fails(run: Run, write: Write) -> None:
    write("de", {"r": 4})
    run("check", ".", "--write-baseline", "b.jsonl")
    assert run("check", ".", "--baseline", "b.jsonl").exit_code == 0
    write("fr", {"r": 4})
    result = run("check", ".", "--baseline", "b.jsonl", "-o", "json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert [f["file"] for f in report["findings"]] == ["fr/adapter_config.json"]
    assert report["summary"] | {"errors": 1, "suppressed": 1} == report["summary"]


def test_a_stale_entry_is_told_and_does_not_fail(run: Run, write: Write) -> None:
    write("de", {"r": 4})
    run("check", ".", "--write-baseline", "b.jsonl")
    write("de")
    result = run("check", ".", "--baseline", "b.jsonl", "-o", "json")
    assert result.exit_code == 0
    assert result.stderr == "adapterlint: 1 entry of b.jsonl no longer holds; --prune-baseline rewrites it\n"
    (told,) = json.loads(result.stdout)["findings"]
    assert (told["code"], told["severity"], told["file"], told["location"]["line"]) == ("LNT201", "info", "b.jsonl", 2)
    assert "`rank-mismatch` in `de/adapter_config.json` at `/r`" in told["message"]
    assert run("check", ".", "--baseline", "b.jsonl", "--fail-on", "info").exit_code == 1
    quiet = run("check", ".", "--baseline", "b.jsonl", "--fail-on", "info", "--ignore", "stale-baseline-entry")
    assert (quiet.exit_code, quiet.stdout) == (0, "1 adapter checked: nothing found\n")


def test_pruning_takes_out_exactly_what_is_stale(run: Run, write: Write, tmp_path: Path) -> None:
    write("de", {"r": 4})
    write("fr", {"r": 4})
    run("check", ".", "--write-baseline", "b.jsonl")
    before = (tmp_path / "b.jsonl").read_text().splitlines()
    write("de")
    write("it", {"r": 4})
    result = run("check", ".", "--baseline", "b.jsonl", "--prune-baseline")
    assert result.stderr == "adapterlint: 1 entry taken out of b.jsonl\n"
    assert result.exit_code == 1, "what is new is not taken in"
    assert (tmp_path / "b.jsonl").read_text().splitlines() == [before[0], before[2]]
    assert "stale-baseline-entry" not in result.stdout


def test_pruning_after_a_move_writes_where_things_are_now(run: Run, write: Write, tmp_path: Path) -> None:
    write("de", {"r": 4})
    run("check", ".", "--write-baseline", "b.jsonl")
    shutil.move(tmp_path / "de", tmp_path / "german")
    assert run("check", ".", "--baseline", "b.jsonl", "--prune-baseline").exit_code == 0
    assert [e["file"] for e in lines(tmp_path / "b.jsonl")[1:]] == ["german/adapter_config.json"]


def test_the_settings_name_a_baseline_relative_to_their_file(
    run: Run, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a/de", {"r": 4})
    (tmp_path / "ci").mkdir()
    (tmp_path / "adapterlint.toml").write_text('baseline = "ci/b.jsonl"\n')
    assert run("check", ".", "--write-baseline", "ci/b.jsonl").exit_code == 0
    assert lines(tmp_path / "ci" / "b.jsonl")[1]["file"] == "../a/de/adapter_config.json"
    for folder in ("a", "a/de", "ci"):
        monkeypatch.chdir(tmp_path / folder)
        assert run("check", str(tmp_path / "a")).exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert run("check", ".", "--no-ignores").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--baseline", "none.jsonl"], "none.jsonl: No such file or directory"),
        (["--baseline", "."], ".: Is a directory"),
        (["--baseline", "bad.jsonl"], "bad.jsonl: This is no baseline: its first line is not"),
        (["--baseline", "later.jsonl"], "later.jsonl: The baseline is of version `7`"),
        (["--write-baseline", "bad.jsonl"], "bad.jsonl: This is no baseline"),
        (["--write-baseline", "nowhere/b.jsonl"], "nowhere/b.jsonl: No such file or directory"),
        (["--prune-baseline"], "--prune-baseline: there is no baseline; name it with --baseline, or in the settings"),
        (["--baseline", "ok.jsonl", "--no-ignores", "--prune-baseline"], "--no-ignores uses none"),
        (["--write-baseline", "b.jsonl", "--prune-baseline"], "give one of them"),
    ],
)
def test_a_baseline_that_cannot_be_used_exits_with_2_and_a_sentence(
    arguments: list[str], sentence: str, run: Run, write: Write, tmp_path: Path
) -> None:
    write("de", {"r": 4})
    (tmp_path / "bad.jsonl").write_text("what is this")
    (tmp_path / "later.jsonl").write_text('{"adapterlint-baseline": 7}\n')
    (tmp_path / "ok.jsonl").write_text('{"adapterlint-baseline": 1}\n')
    result = run("check", "de", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert (tmp_path / "bad.jsonl").read_text() == "what is this", "nothing is written over"


def test_a_crash_or_a_missing_path_still_exits_with_2(run: Run, write: Write) -> None:
    write("de", {"r": 4})
    assert run("check", "de", "nowhere", "--write-baseline", "b.jsonl").exit_code == 2
    assert run("check", "de", "nowhere", "--baseline", "b.jsonl").exit_code == 2


def test_neither_secrets_nor_control_characters_are_written(run: Run, write: Write, tmp_path: Path) -> None:
    write("de\x1b[31m\u202e", {"peft_type": f"{TOKEN}\x1b[2J\x07", "base_model_name_or_path": f"/srv/{TOKEN}\u202e"})
    write(f"{TOKEN}/fr", {"r": 4})
    assert run("check", ".", "--write-baseline", "b.jsonl").exit_code == 0
    text = (tmp_path / "b.jsonl").read_text()
    assert TOKEN not in text
    assert all(line.isprintable() for line in text.splitlines())
    again = run("check", ".", "--baseline", "b.jsonl")
    assert (again.exit_code, again.stderr) == (0, "")
    assert "nothing found" in again.stdout


@pytest.mark.parametrize("form", ["text", "concise", "json", "sarif", "github", "markdown"])
def test_what_a_baseline_or_a_reason_plants_is_not_printed(form: str, run: Run, write: Write, tmp_path: Path) -> None:
    write("de")
    planted = f"\x1b[31m\x07\u202e{TOKEN}"
    entry = {"file": f"de/{planted}", "code": "CFG104", "rule": planted, "pointer": planted, "about": "0"}
    (tmp_path / "b.jsonl").write_text(f'{{"adapterlint-baseline": 1}}\n{json.dumps(entry)}\n')
    reason = json.dumps(planted)  # as TOML has it
    settings(tmp_path, f'"de" = {{ rules = ["CFG104"], reason = {reason} }}')
    result = run("check", ".", "--baseline", "b.jsonl", "-o", form)
    assert result.exit_code == 0
    assert "stale-baseline-entry" in result.stdout or "LNT201" in result.stdout
    for stream in (result.stdout, result.stderr):
        assert TOKEN not in stream
        assert all(line.isprintable() for line in stream.splitlines())


def test_links_to_one_store_keep_their_own_entries(run: Run, write: Write, tmp_path: Path) -> None:
    write("store/de", {"r": 4})
    (tmp_path / "repo").mkdir()
    os.symlink(tmp_path / "store" / "de", tmp_path / "repo" / "de")
    run("check", "repo", "--write-baseline", "repo/b.jsonl")
    assert lines(tmp_path / "repo" / "b.jsonl")[1]["file"] == "de/adapter_config.json"
    write("store/de")
    assert "1 entry" in run("check", "repo", "--baseline", "repo/b.jsonl").stderr


# ----------------------------------------------------------------------------------------------------------- ignores


def settings(tmp_path: Path, text: str) -> None:
    (tmp_path / "adapterlint.toml").write_text(f"[per-file-ignores]\n{text}\n")


@pytest.mark.parametrize(
    "value", ['["rank-mismatch"]', '"FIT101"', '{ rules = ["FIT"], reason = "trained before the rank was fixed" }']
)
def test_rules_are_ignored_with_and_without_a_reason(value: str, run: Run, write: Write, tmp_path: Path) -> None:
    write("old/de", {"r": 4})
    settings(tmp_path, f'"old" = {value}')
    assert run("check", ".").stdout == "1 adapter checked: nothing found (1 finding set aside)\n"
    shown = run("check", ".", "--no-ignores")
    assert (shown.exit_code, "error[FIT101]" in shown.stdout) == (1, True)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("3", "`per-file-ignores`: `old` has neither a list of rules nor a table of `rules` and a `reason`"),
        ('{ reason = "x" }', "`per-file-ignores.old.rules`: field required"),
        ('{ rules = ["FIT"], raeson = "x" }', "no setting `per-file-ignores.old.raeson`; did you mean `reason`"),
        ('["rank-mismach"]', "There is no rule `rank-mismach`; did you mean `rank-mismatch`"),
        ("[]", "`per-file-ignores.old.rules`: tuple should have at least 1 item"),
    ],
)
def test_a_wrong_ignore_is_told_at_once(value: str, sentence: str, run: Run, write: Write, tmp_path: Path) -> None:
    write("old/de")
    settings(tmp_path, f'"old" = {value}')
    result = run("check", ".")
    assert (result.exit_code, result.stdout) == (2, "")
    assert sentence in result.stderr


def unused(result: object) -> list[str]:
    return [f["message"] for f in json.loads(result.stdout)["findings"] if f["rule"] == "unused-ignore"]  # type: ignore[attr-defined]


def test_an_ignore_that_sets_nothing_aside_is_told_with_its_reason(run: Run, write: Write, tmp_path: Path) -> None:
    write("old/de")
    settings(tmp_path, '"old" = { rules = ["FIT101"], reason = "wait for the new run" }')
    result = run("check", ".")
    assert result.exit_code == 0
    assert "info[LNT202] `FIT101` under `per-file-ignores` sets nothing aside in `old`" in result.stdout
    assert "--> adapterlint.toml" in result.stdout
    assert "wait for the new run" in result.stdout
    assert "LNT202" not in run("check", ".", "--no-ignores").stdout
    assert "LNT202" not in run("check", ".", "--ignore", "LNT").stdout


def test_of_several_rules_only_those_that_are_not_needed_are_told(run: Run, write: Write, tmp_path: Path) -> None:
    write("old/de", {"r": 4})
    settings(tmp_path, '"old" = ["CFG104", "rank-mismatch"]\n"new/*" = ["FIT"]')
    assert unused(run("check", ".", "-o", "json")) == [
        "`CFG104` under `per-file-ignores` sets nothing aside in `old`",
        "`FIT` under `per-file-ignores` sets nothing aside in `new/*`",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["old/de"],  # not all that the pattern means
        ["new"],
        ["old/de/adapter_config.json", "old/fr/adapter_config.json"],  # as pre-commit does
        [".", "--select", "CFG"],
        [".", "--ignore", "FIT120"],
        [".", "--exclude", "old"],
    ],
)
def test_an_ignore_is_not_called_unused_by_a_run_over_a_part(
    arguments: list[str], run: Run, write: Write, tmp_path: Path
) -> None:
    for folder in ("old/de", "old/fr", "new/it"):
        write(folder)
    settings(tmp_path, '"old" = ["FIT"]')
    assert unused(run("check", *arguments, "-o", "json")) == []
    assert unused(run("check", ".", "-o", "json")) != []


def test_an_ignore_is_not_called_unused_where_its_rules_had_nothing_to_read(
    run: Run, write: Write, tmp_path: Path
) -> None:
    write("old/de", Patch(files={"adapter_model.safetensors": DROP}))
    settings(tmp_path, '"old" = ["FIT101", "BAS", "FLT", "CFG104"]')
    assert unused(run("check", ".", "-o", "json")) == ["`CFG104` under `per-file-ignores` sets nothing aside in `old`"]


def test_a_pattern_without_a_slash_is_judged_when_the_whole_project_is_checked(
    run: Run, write: Write, tmp_path: Path
) -> None:
    write("a/de")
    settings(tmp_path, '"*.bin" = ["SEC"]\n"legacy" = ["CFG104"]')
    assert unused(run("check", "a", "-o", "json")) == []
    assert unused(run("check", ".", "-o", "json")) == [
        "`SEC` under `per-file-ignores` sets nothing aside in `*.bin`",
        "`CFG104` under `per-file-ignores` sets nothing aside in `legacy`",
    ]


def test_what_is_ignored_is_not_in_the_baseline(run: Run, write: Write, tmp_path: Path) -> None:
    write("old/de", {"r": 4})
    settings(tmp_path, '"old" = ["FIT"]')
    assert "0 findings set aside" in run("check", ".", "--write-baseline", "b.jsonl").stderr
    assert "1 finding set aside" in run("check", ".", "--write-baseline", "b.jsonl", "--no-ignores").stderr
