"""The same folder gives the same findings from disk and from both servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapterlint import check
from adapterlint.lint.example import Patch
from adapterlint.lint.loader import load_rules
from hub_server import HubServer
from hub_traffic import adapter

PATCHES: dict[str, Patch | dict[str, Any]] = {
    "whole": {},
    "zero-rank": {"r": 0},
    "card": Patch(files={"README.md": "---\nlibrary_name: peft\nbase_model: acme/another\n---\n"}),
    "card-without-front-matter": Patch(files={"README.md": "# An adapter\n"}),
    "broken-config": Patch(files={"adapter_config.json": '{"peft_type": "LORA",}'}),
    "broken-weights": Patch(files={"adapter_model.safetensors": "version https"}),
    "empty-weights": Patch(files={"adapter_model.safetensors": ""}),
    "settings": Patch(files={"training_args.bin": "x", "tokenizer.json": "{}"}),
}


def drawn(report: Any, root: str) -> list[Any]:
    return [
        json.loads(one.model_dump_json().replace(root, "ROOT"))
        for one in sorted(report.findings, key=lambda f: (f.adapters, f.code, f.message))
    ]


@pytest.fixture(scope="module")
def folders(server: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each patch as a folder on disk, and as one of a repository."""
    root = tmp_path_factory.mktemp("disk") / "all"
    files = {path: content for name, patch in PATCHES.items() for path, content in adapter(patch, f"{name}/").items()}
    files |= pickles()
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    server.commit("same/all", files)
    return root


def pickles() -> dict[str, bytes]:
    """The examples of rules whose weights are torch pickles."""
    found = {}
    for rule in load_rules():
        for index, patch in enumerate(rule.bad):
            files = patch.folder().files if isinstance(patch, Patch) else {}
            if "adapter_model.bin" in files:
                found |= {f"pickle-{rule.code}-{index}/{name}": content for name, content in files.items()}
    return found


@pytest.mark.parametrize("which", ["edge", "origin"])
def test_disk_and_server_agree(which: str, folders: Path, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(which)
    from_disk = drawn(check(folders), str(folders))
    assert len({one["code"] for one in from_disk}) > 5
    assert drawn(check("hf://same/all"), "hf://same/all") == from_disk
