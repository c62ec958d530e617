"""`adapterlint explain`: what an error means, and whether its cause is there."""

from __future__ import annotations

from pathlib import Path

from conftest import Run, Write

RANK = (
    "size mismatch for base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight: copying a param with "
    "shape torch.Size([8, 32]) from checkpoint, the shape in current model is torch.Size([4, 32])."
)
LFS = "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge"


def test_meaning_rule_and_remedy_are_a_line_each(run: Run, tmp_path: Path) -> None:
    result = run("explain", pasted=f"Traceback (most recent call last):\n{LFS}\n")
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0].strip() for line in lines] == ["safetensors", "means", "rules", "remedy"]
    assert "lfs-pointer (FIL103)" in lines[2]
    assert "git lfs pull" in lines[3]


def test_the_cause_is_looked_for_in_the_adapters_that_are_given(run: Run, write: Write, tmp_path: Path) -> None:
    write("adapters/de", {"r": 4})
    write("adapters/fr")
    there = run("explain", "adapters", pasted=RANK)
    assert there.exit_code == 1
    assert "  there: adapters/de/adapter_config.json:15:8: error[FIT101]" in there.stdout
    assert "adapters/fr" not in there.stdout
    absent = run("explain", "adapters/fr", pasted=RANK)
    assert absent.exit_code == 0
    assert "there: no cause found in 1 adapter" in absent.stdout


def test_a_cause_is_found_whatever_the_settings_leave_out(run: Run, write: Write, tmp_path: Path) -> None:
    write("de", {"r": 4})
    (tmp_path / "adapterlint.toml").write_text(
        'select = ["CRD"]\nignore = ["FIT"]\n[per-file-ignores]\n"de" = ["rank-mismatch"]\n'
    )
    assert run("explain", "de", pasted=RANK).exit_code == 1


def test_an_unknown_text_is_one_sentence_and_3(run: Run, tmp_path: Path) -> None:
    result = run("explain", pasted="ValueError: something else")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "adapterlint: no error is recognised in this text\n"


def test_a_text_can_be_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(LFS, encoding="utf-16")
    assert "lfs-pointer" in run("explain", "--text", "log.txt").stdout
    missing = run("explain", "--text", "nowhere.txt")
    assert missing.exit_code == 2
    assert missing.stderr == "adapterlint: nowhere.txt: No such file or directory\n"


def test_a_place_without_adapters_is_told_beside_the_meaning(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("explain", "empty", pasted="ValueError: Can't find 'adapter_config.json' at 'empty'")
    assert result.exit_code == 3
    assert "missing-config (FIL102)" in result.stdout
    assert result.stdout.splitlines()[-1] == "  there: no PEFT adapter found"


def test_a_place_that_is_not_there_is_told(run: Run, tmp_path: Path) -> None:
    result = run("explain", "nowhere", pasted=RANK)
    assert result.exit_code == 2
    assert result.stderr == "adapterlint: nowhere: There is no such file or folder\n"


def test_nothing_of_the_text_comes_out_again(run: Run, tmp_path: Path) -> None:
    token = "hf_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3"
    result = run("explain", pasted=f"\x1b[31mHF_TOKEN={token}\x1b[0m \x07\u202e {LFS} {token}")
    assert "HeaderTooLarge" not in result.stderr
    assert token not in result.stdout + result.stderr
    assert all(line.isprintable() for line in result.stdout.splitlines())


def test_bytes_of_any_kind_and_number_are_taken(run: Run, tmp_path: Path) -> None:
    assert run("explain", pasted=bytes(range(256)) * 100 + LFS.encode()).exit_code == 0
    endless = run("explain", pasted=LFS.encode() + b"\xff" * 6_000_000)
    assert endless.exit_code == 0
    assert endless.stderr == "adapterlint: only the first 4,000,000 bytes are read\n"
