"""Where a base's name leads on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from base_folders import LLAMA

from adapterlint.base import find_base


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hub cache with one repository of two revisions."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    repository = tmp_path / "hf" / "hub" / "models--org--tiny"
    for revision in ("aaa", "bbb"):
        (repository / "snapshots" / revision).mkdir(parents=True)
        (repository / "snapshots" / revision / "config.json").write_text(json.dumps(LLAMA))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("bbb")
    monkeypatch.chdir(tmp_path)
    return repository


def base_at(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(LLAMA))
    return folder


def test_path_from_the_adapters_folder(tmp_path: Path, cache: Path) -> None:
    base_at(tmp_path / "models" / "tiny")
    found = find_base("../models/tiny", folder=str(tmp_path / "adapters"))
    assert found is None  # the adapter's folder does not exist, nor does the path from here
    (tmp_path / "adapters").mkdir()
    found = find_base("../models/tiny", folder=str(tmp_path / "adapters"))
    assert found is not None
    assert Path(found).resolve() == tmp_path / "models" / "tiny"


def test_path_from_the_working_folder(tmp_path: Path, cache: Path) -> None:
    base_at(tmp_path / "models" / "tiny")
    assert find_base("models/tiny", folder="adapters") == "models/tiny"


def test_repository_in_the_cache_is_its_main_revision(cache: Path) -> None:
    assert find_base("org/tiny", folder=".") == str(cache / "snapshots" / "bbb")


def test_only_snapshot_counts_where_no_main_is_known(cache: Path) -> None:
    (cache / "refs" / "main").unlink()
    assert find_base("org/tiny", folder=".") is None  # two revisions
    (cache / "snapshots" / "aaa" / "config.json").unlink()
    (cache / "snapshots" / "aaa").rmdir()
    assert find_base("org/tiny", folder=".") == str(cache / "snapshots" / "bbb")


def test_cache_named_by_its_own_variable(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert find_base("org/tiny", folder=".") is None


@pytest.mark.parametrize(
    "name", ["", " ", "org/other", "a/b/c", "\0", "/no/such", "..", "x" * 5000, "models--org--tiny"]
)
def test_what_is_not_there_is_not_found(cache: Path, name: str) -> None:
    assert find_base(name, folder=".") is None
