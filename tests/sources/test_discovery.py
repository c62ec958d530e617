"""Discovery: which folders under the arguments are looked at, each once, whatever lies between them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapterlint import check, load_adapter
from adapterlint.lint.example import DROP, GOOD_TENSORS, Patch, safetensors_file
from adapterlint.sources.discovery import discover
from conftest import Write


def found(*paths: Path | str, exclude: tuple[str, ...] = ()) -> list[str]:
    return [c.source.path for c in discover([os.fspath(p) for p in paths], exclude=exclude).candidates]


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_nested_trees_are_walked_in_order_of_name(write: Write) -> None:
    write("b/deep/er/two")
    write("a/one")
    assert found(".") == ["a/one", "b/deep/er/two"]


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_file_of_an_adapter_stands_for_its_folder(name: str, write: Write) -> None:
    folder = write("de")
    assert found(folder / name) == [str(folder)]
    assert found(f"de/{name}") == ["de"]


def test_a_file_in_the_working_folder_is_found(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write("de"))
    assert found("adapter_config.json") == ["."]
    report = check("adapter_config.json")
    assert report.adapters[0].name == "de"


def test_a_file_that_belongs_to_no_adapter_finds_nothing(write: Write) -> None:
    folder = write("de")
    (folder / "notes.txt").write_text("")
    assert found(folder / "notes.txt") == []


def test_arguments_that_reach_one_folder_count_once(write: Write, tmp_path: Path) -> None:
    folder = write("de")
    (tmp_path / "link").symlink_to(folder)
    assert found("de", ".", "de/adapter_config.json", folder, "link") == ["de"]


def test_loops_of_links_end(write: Write, tmp_path: Path) -> None:
    write("a/de")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a")
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    assert found(".") == ["a/de"]


@pytest.mark.parametrize("name", [".git", "__MACOSX", ".venv", "node_modules", "__pycache__"])
def test_folders_that_hold_no_adapters_of_the_project_are_skipped(name: str, write: Write) -> None:
    write(f"{name}/de")
    assert found(".") == []


def test_a_virtual_environment_is_known_by_its_mark_not_its_name(write: Write, tmp_path: Path) -> None:
    write("env/lib/de")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    assert found(".") == []


def test_appledouble_files_are_no_adapters(tmp_path: Path) -> None:
    (tmp_path / "mac").mkdir()
    (tmp_path / "mac" / "._adapter_config.json").write_bytes(b"\0\5\x16\7")
    (tmp_path / "mac" / "._adapter_model.safetensors").write_bytes(b"\0\5\x16\7")
    assert found(".") == []
    assert check(".").summary.adapters == 0


def test_the_hub_cache_is_read_through_its_links(write: Write, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--acme--de"
    (repository / "blobs").mkdir(parents=True)
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    for number, (name, content) in enumerate(Patch().folder().files.items()):
        (repository / "blobs" / f"{number:040}").write_bytes(content)
        (snapshot / name).symlink_to(Path("..", "..", "blobs", f"{number:040}"))
    assert found("hub") == ["hub/models--acme--de/snapshots/0123abcd"]
    assert check("hub").findings == ()


def test_excluded_folders_are_left_out(write: Write) -> None:
    write("keep/de")
    write("old/fr")
    write("keep/old/it")
    assert found(".", exclude=("old",)) == ["keep/de"]
    assert found(".", exclude=("keep/*",)) == ["old/fr"]


def test_a_header_without_data_is_taken_instead_of_the_weights(write: Write) -> None:
    whole = safetensors_file(GOOD_TENSORS)
    header = whole[: 8 + int.from_bytes(whole[:8], "little")]
    folder = write("de", Patch(files={"adapter_model.safetensors": DROP, "adapter_model.safetensors.header": header}))
    assert check(folder).findings == ()
    adapter = load_adapter(folder)
    assert adapter is not None
    assert adapter.header is not None
    assert len(adapter.header.tensors) == len(GOOD_TENSORS)
    assert not adapter.header.whole


def test_a_header_under_a_name_of_its_own_is_taken_when_a_path_names_it(write: Write) -> None:
    whole = safetensors_file(GOOD_TENSORS)
    header = whole[: 8 + int.from_bytes(whole[:8], "little")]
    folder = write("de", Patch(files={"adapter_model.safetensors": DROP, "epoch-3.safetensors.header": header}))
    report = check(folder / "epoch-3.safetensors.header")
    assert report.findings == ()
    assert report.adapters[0].footprint is not None
    assert "model.layers.1.self_attn.v_proj" in report.adapters[0].footprint.tuned


def test_a_path_that_does_not_exist_is_told_and_the_rest_goes_on(write: Write) -> None:
    write("de")
    report = check(["nowhere", "de", "bad\0name"])
    assert [p.place for p in report.problems] == ["nowhere", "bad\0name"]
    assert report.summary.adapters == 1


def test_an_empty_path_is_told_and_is_not_the_folder_one_stands_in(write: Write) -> None:
    write("de")
    report = check([""])
    assert [p.message for p in report.problems] == ["An empty path names no file or folder"]
    assert report.summary.adapters == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_told(write: Write, tmp_path: Path) -> None:
    folder = write("closed/de").parent
    folder.chmod(0)
    try:
        assert [p.message for p in check(".").problems] == ["Permission denied: the folder is skipped"]
    finally:
        folder.chmod(0o700)


FOREIGN = {
    "MLX-LM": {"adapter_config.json": '{"fine_tune_type": "lora", "lora_parameters": {"rank": 8}, "num_layers": 4}',
               "adapters.safetensors": safetensors_file({"model.layers.0.q_proj.lora_a": ("F32", (16, 8))})},
    "Adapters (adapter-hub)": {"adapter_config.json": '{"config": {"mh_adapter": true}, "model_class": "BertModel"}',
                               "pytorch_adapter.bin": b""},
    "diffusers LoRA": {"pytorch_lora_weights.safetensors": safetensors_file({"unet.x.lora.down.weight": ("F32", ())})},
    "kohya LoRA": {"style.safetensors": safetensors_file({"lora_unet_mid_q.lora_down.weight": ("F32", (4, 4))})},
    "base model": {"config.json": '{"model_type": "llama"}', "model.safetensors": safetensors_file({})},
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_formats_are_recognised_and_not_judged_as_peft(kind: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for name, content in FOREIGN[kind].items():
        (tmp_path / "other" / name).write_bytes(content.encode() if isinstance(content, str) else content)
    report = check("other")
    assert [a.format for a in report.adapters] == [kind]
    assert report.summary.adapters == 0
    assert {f.rule for f in report.findings} <= {"foreign-format"}


def test_a_linked_folder_outside_is_looked_at_but_not_walked_down(write: Write, tmp_path: Path) -> None:
    outside = write("outside/de")
    write("outside/de/deeper")
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters" / "de").symlink_to(outside)
    (tmp_path / "adapters" / "root").symlink_to("/")
    assert found("adapters") == ["adapters/de"]


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_single_file_is_judged_as_its_folder_is(kind: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for name, content in FOREIGN[kind].items():
        (tmp_path / "other" / name).write_bytes(content.encode() if isinstance(content, str) else content)
    for name in FOREIGN[kind]:
        report = check(f"other/{name}")
        assert {f.severity for f in report.findings} <= {"info"}, name


def test_weights_of_others_beside_an_adapter_are_not_taken_for_its_own(write: Write) -> None:
    folder = write("de")
    (folder / "vae.safetensors").write_bytes(safetensors_file({"x": ("F32", (1,))}))
    assert check(folder / "vae.safetensors").findings == ()


def test_the_card_stands_for_its_adapter(write: Write) -> None:
    folder = write("de")
    assert check(folder / "README.md").summary.adapters == 1
