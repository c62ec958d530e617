"""What `from_pretrained` made of tiny models in two releases of transformers, recorded by `make_recorded.py`."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adapterlint.base import Base, Evidence, Kind, ModuleTree

RECORDED = Path(__file__).parent / "recorded.jsonl.gz"


@cache
def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(RECORDED.read_bytes()).splitlines()]


def label(line: dict[str, Any]) -> str:
    return f"{line['name']}-{line['class']}-{line['by'][0]}-in-{line['in'][0]}"


def tree(line: dict[str, Any], *, header: bool) -> ModuleTree:
    tensors = {name: tuple(shape) for name, shape in line["tensors"].items()} if header else None
    return Base(line["name"], Evidence(line["config"], tensors)).tree(line["in"], architecture=line["class"])


@pytest.mark.parametrize("line", lines(), ids=label)
def test_tree_is_what_transformers_loads(line: dict[str, Any]) -> None:
    """With the config and the header: every module in order, its class, its parameters and their shapes."""
    found = tree(line, header=True)
    assert [(n.path, n.type, {p: list(s or ()) for p, s in n.parameters.items()}) for n in found.nodes.values()] == [
        tuple(node) for node in line["nodes"]
    ]


@pytest.mark.parametrize("line", lines(), ids=label)
def test_config_alone_gives_the_same_modules(line: dict[str, Any]) -> None:
    found = tree(line, header=False)
    assert [(n.path, n.type, list(n.parameters)) for n in found.nodes.values()] == [
        (path, cls, list(parameters)) for path, cls, parameters in line["nodes"]
    ]


@pytest.mark.parametrize("line", lines(), ids=label)
def test_config_alone_gives_no_wrong_shape(line: dict[str, Any]) -> None:
    found = tree(line, header=False)
    for path, _, parameters in line["nodes"]:
        for name, shape in parameters.items():
            assert found.nodes[path].parameters[name] in (tuple(shape), None), f"{path}.{name}"


@pytest.mark.parametrize("header", [True, False], ids=["header", "config"])
@pytest.mark.parametrize("line", lines(), ids=label)
def test_shared_parameters_and_embeddings_are_known(line: dict[str, Any], header: bool) -> None:
    """But for one: whether a checkpoint has two tensors where release 5 would tie, the header alone shows."""
    if not header and line["name"] in ("flan-t5", "mt5") and (line["by"][0], line["in"][0]) == ("4", "5"):
        return
    found = tree(line, header=header)
    assert {frozenset(group) for group in found.tied} == {frozenset(group) for group in line["tied"]}
    assert [group[0] for group in found.tied] == [group[0] for group in line["tied"]]
    assert dict(found.aliases) == line["aliases"]
    assert (found.input_embeddings, found.output_embeddings) == (line["input"], line["output"])


@pytest.mark.parametrize("line", lines(), ids=label)
def test_everything_recorded_is_certain(line: dict[str, Any]) -> None:
    found = tree(line, header=True)
    assert found.complete
    assert [n.path for n in found.nodes.values() if not n.certain] == []


KINDS = {
    "Linear": Kind.LINEAR,
    "NonDynamicallyQuantizableLinear": Kind.LINEAR,
    "Embedding": Kind.EMBEDDING,
    "Conv1D": Kind.GPT2_CONV1D,
    "Conv1d": Kind.CONV1D,
    "Conv2d": Kind.CONV2D,
    "Conv3d": Kind.CONV3D,
    "ModuleList": Kind.LIST,
    "LayerNorm": Kind.NORM,
    "LlamaRMSNorm": Kind.NORM,
    "LlamaAttention": Kind.CONTAINER,
    "Sequential": Kind.CONTAINER,
    "Dropout": Kind.OTHER,
    "Qwen3MoeExperts": None,  # a list in release 4, parameters in release 5
}


@pytest.mark.parametrize("line", lines(), ids=label)
def test_kinds_follow_the_classes(line: dict[str, Any]) -> None:
    found = tree(line, header=True)
    for node in found.nodes.values():
        expected = KINDS.get(node.type or "")
        assert expected in (None, node.kind), node


def test_names_in_one_string_are_a_list_of_names() -> None:
    """As in the configs of DeBERTa that Microsoft published, which transformers takes apart."""
    line = next(line for line in lines() if line["name"] == "deberta-v2-shared")
    for names in ("c2p|p2c", "P2C | c2p"):
        config = {**line["config"], "pos_att_type": names, "share_att_key": False}
        found = Base("x", Evidence(config, None)).tree("5.23.0")
        own = [n.path.rpartition(".")[2] for n in found.nodes.values() if "layer.0.attention.self.p" in n.path]
        assert own == ["pos_dropout", "pos_key_proj", "pos_query_proj"]


def test_experts_of_release_4_are_one_tensor_in_release_5() -> None:
    """A checkpoint has the experts one by one, however it was saved."""
    by_release = {
        line["in"][0]: tree(line, header=True) for line in lines() if (line["name"], line["by"][0]) == ("mixtral", "5")
    }
    new, old = by_release["5"].nodes, by_release["4"].nodes
    assert new["model.layers.0.mlp.experts"].parameters == {"gate_up_proj": (3, 64, 16), "down_proj": (3, 16, 32)}
    assert old["model.layers.0.block_sparse_moe.experts.2.w1"].parameters == {"weight": (32, 16)}
