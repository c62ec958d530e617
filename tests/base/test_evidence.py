"""What is read of a base's folder, and what is said of what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from base_folders import LLAMA, folder, llama_tensors, safetensors

from adapterlint.base import Base, load_base
from adapterlint.sources.memory import MemoryFolder


def loaded(source: MemoryFolder) -> Base:
    base = load_base(source)
    assert base is not None
    return base


def said(base: Base) -> list[tuple[str, str]]:
    return [(problem.file.removeprefix("base/"), problem.kind) for problem in base.problems]


def sharded(tensors: dict[str, object], files: dict[str, bytes]) -> MemoryFolder:
    index = json.dumps({"metadata": {}, "weight_map": tensors}).encode()
    source = folder()
    return MemoryFolder("base", {**source.files, **files, "model.safetensors.index.json": index})


def test_folder_without_config_and_weights_is_no_base() -> None:
    assert load_base(MemoryFolder("x", {"README.md": b"hello", "adapter_config.json": b"{}"})) is None


def test_config_alone_is_a_base() -> None:
    base = loaded(folder())
    assert (base.model_type, base.architecture, base.problems) == ("llama", "LlamaForCausalLM", ())
    assert base.evidence.tensors is None


def test_header_alone_is_a_base() -> None:
    base = loaded(folder(None, {"a.b.weight": (2, 3)}))
    assert base.evidence.tensors == {"a.b.weight": (2, 3)}
    assert base.config == {}


def test_bare_header_stands_for_its_file() -> None:
    source = MemoryFolder("base", {"model.safetensors.header": safetensors({"a.weight": (4,)})})
    assert loaded(source).evidence.tensors == {"a.weight": (4,)}


def test_shards_are_read_through_their_index() -> None:
    one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    tensors = llama_tensors()
    first = {name: shape for name, shape in tensors.items() if ".0." in name}
    rest = {name: shape for name, shape in tensors.items() if name not in first}
    files = {one: safetensors(first), two: safetensors(rest)}
    base = loaded(sharded({name: one if name in first else two for name in tensors}, files))
    assert base.evidence.tensors == tensors
    assert base.problems == ()


def test_missing_shard_leaves_its_shapes_unknown_and_is_said() -> None:
    one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    files = {one: safetensors({"model.norm.weight": (16,)})}
    base = loaded(sharded({"model.norm.weight": one, "lm_head.weight": two}, files))
    assert base.evidence.tensors == {"model.norm.weight": (16,), "lm_head.weight": None}
    assert said(base) == [("model.safetensors.index.json", "missing-shards")]
    assert two in base.problems[0].message
    nodes = base.tree().nodes
    assert nodes["lm_head"].parameters == {"weight": (64, 16)}  # from the config


def test_shards_without_an_index_are_read_and_it_is_said() -> None:
    shard = "model-00001-of-00001.safetensors"
    base = loaded(MemoryFolder("base", {shard: safetensors({"a.weight": (2,)})}))
    assert base.evidence.tensors == {"a.weight": (2,)}
    assert said(base) == [(shard, "no-index")]


@pytest.mark.parametrize(
    ("index", "kind"),
    [
        (b"{", "syntax"),
        (b"[]", "not-object"),
        (b'{"weight_map": 3}', "not-object"),
        (b'{"weight_map": {"a": 3}}', "wrong-type"),
        (b'{"weight_map": {"a": "../../etc/passwd"}}', "wrong-type"),
        (b"\xff\xfe", "encoding"),
    ],
)
def test_broken_index_is_said_and_the_config_still_counts(index: bytes, kind: str) -> None:
    source = folder(LLAMA)
    base = loaded(MemoryFolder("base", {**source.files, "model.safetensors.index.json": index}))
    assert ("model.safetensors.index.json", kind) in said(base)
    assert "model.layers.1.mlp.up_proj" in base.tree().nodes


def test_index_longer_than_other_json_is_read() -> None:
    """That of DeepSeek-V3 has nine megabytes."""
    weight_map: dict[str, object] = {
        f"model.layers.{i}.mlp.experts.{i % 256}.gate_proj.weight": "x" for i in range(60_000)
    }
    base = loaded(sharded(weight_map, {}))
    assert base.evidence.tensors is not None
    assert len(base.evidence.tensors) == 60_000
    assert said(base) == [("model.safetensors.index.json", "missing-shards")]


@pytest.mark.parametrize(
    ("config", "kind"),
    [(b"", "syntax"), (b"[1]", "not-object"), (b"{'a': 1}", "syntax"), (b"\xef\xbb\xbf{}", "byte-order-mark")],
)
def test_broken_config_is_said_and_the_header_still_counts(config: bytes, kind: str) -> None:
    base = loaded(folder(config, llama_tensors()))
    assert said(base) == [("config.json", kind)]
    tree = base.tree()
    assert not tree.complete
    assert tree.nodes["model.layers.1.self_attn.k_proj"].parameters == {"weight": (8, 16)}


def test_broken_header_is_said_and_the_config_still_counts() -> None:
    base = loaded(folder(LLAMA, model__safetensors=b"\x05\0\0\0\0\0\0\0{"))
    assert said(base) == [("model.safetensors", "truncated")]
    assert base.tree().nodes["lm_head"].parameters == {"weight": (64, 16)}


def test_equal_evidence_makes_equal_bases() -> None:
    assert loaded(folder(LLAMA, llama_tensors())) == loaded(folder(LLAMA, llama_tensors()))
    assert loaded(folder(LLAMA, llama_tensors())) != loaded(folder(LLAMA, llama_tensors(head=False)))


def test_trees_are_made_once() -> None:
    one, other = (loaded(folder(LLAMA, llama_tensors())) for _ in range(2))
    assert one.tree() is other.tree()
    assert one.tree() is not one.tree("4.56.2")


def test_snapshot_of_the_hub_cache_is_found_from_its_repository(tmp_path: Path) -> None:
    repository = tmp_path / "models--org--tiny"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    (snapshot / "config.json").write_text(json.dumps(LLAMA))
    base = load_base(repository)
    assert base is not None
    assert base.name == str(snapshot)
