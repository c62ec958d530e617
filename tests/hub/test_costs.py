"""What the Hub is asked for: a few kilobytes a repository, and nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapterlint import check
from adapterlint.base import read_base
from adapterlint.sources.hub import Network
from hub_server import HubServer
from hub_traffic import Traffic, adapter, safetensors

Run = Callable[..., Any]

HEADER_BYTES = 60_000
DATA = (2_000, 500)  # 4 MB in F32


def long_adapter() -> dict[str, bytes]:
    """An adapter of some megabytes whose header takes 60 kB."""
    names = [
        f"base_model.model.model.layers.{i}.self_attn.q_proj.lora_{half}.weight" for i in range(2) for half in "AB"
    ]
    tensors = {name: (2, DATA[0]) if "lora_A" in name else (DATA[0], 2) for name in names}
    return adapter() | {"adapter_model.safetensors": safetensors(tensors, padding=HEADER_BYTES)}


def test_an_adapter_costs_three_requests_and_one_when_nothing_changed(edge: HubServer, traffic: Traffic) -> None:
    edge.commit("cost/one", {**long_adapter(), "README.md": b"---\nbase_model: acme/tiny-llama\n---\n# One\n"})
    first = check("hf://cost/one")
    assert len(traffic.requests) <= 3
    assert traffic.received <= 150_000
    traffic.requests.clear()
    assert check("hf://cost/one") == first
    assert len(traffic.requests) == 1


def test_a_header_longer_than_the_first_request_costs_one_more(edge: HubServer, traffic: Traffic) -> None:
    files = adapter()
    edge.commit(
        "cost/long", files | {"adapter_model.safetensors": safetensors({"a.lora_A.weight": (8, 4)}, padding=100_000)}
    )
    check("hf://cost/long")
    assert len(traffic.requests) == 4
    assert traffic.received < 200_000


def test_a_card_is_read_only_for_the_line_of_a_finding(edge: HubServer, traffic: Traffic) -> None:
    edge.commit("cost/card", {**adapter(), "README.md": b"---\nbase_model: acme/another\n---\n"})
    report = check("hf://cost/card")
    (finding,) = [f for f in report.findings if f.code == "CRD101"]
    assert finding.location is not None
    assert finding.location.line == 2
    assert [r for r in traffic.requests if r.endswith("README.md")]


def test_a_server_that_ignores_ranges_is_stopped_at_the_header(origin: HubServer, traffic: Traffic) -> None:
    big = safetensors({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (8, 1_000_000)})
    origin.commit("cost/whole", adapter() | {"adapter_model.safetensors": big})
    report = check("hf://cost/whole")
    assert [a.path for a in report.adapters] == ["hf://cost/whole"]
    assert traffic.received < 1_000_000 < len(big)


def test_a_base_of_forty_shards_costs_forty_two_requests(edge: HubServer, traffic: Traffic) -> None:
    shards = [f"model-{i:05}-of-00040.safetensors" for i in range(1, 41)]
    names = {shard: f"model.layers.{i}.self_attn.q_proj.weight" for i, shard in enumerate(shards)}
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 40}
    index = {"weight_map": {tensor: shard for shard, tensor in names.items()}}
    files = {shard: safetensors({tensor: (64, 64)}) for shard, tensor in names.items()}
    files |= {"config.json": json.dumps(config).encode(), "model.safetensors.index.json": json.dumps(index).encode()}
    edge.commit("cost/base", files)
    base = read_base(Network().base("hf://cost/base"))
    assert base.evidence.tensors == dict.fromkeys(names.values(), (64, 64))
    assert not base.problems
    assert len(traffic.requests) <= 42
    traffic.requests.clear()
    assert read_base(Network().base("cost/base")) == base
    assert len(traffic.requests) == 1


def test_adapters_of_one_base_ask_for_it_once(edge: HubServer, traffic: Traffic) -> None:
    edge.commit("cost/tiny", {"config.json": b'{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}'})
    for name in "abc":
        edge.commit(f"cost/of-{name}", adapter({"base_model_name_or_path": "cost/tiny"}))
    check([f"hf://cost/of-{name}" for name in "abc"], network=Network(bases=True))
    assert sum("cost/tiny" in request for request in traffic.requests) == 2


@pytest.mark.parametrize("arguments", [("adapter",), ("adapter", "--base", "some/where")])
def test_nothing_is_asked_for_unless_an_input_or_online_asks(
    arguments: tuple[str, ...], edge: HubServer, traffic: Traffic, run: Run, write: Any
) -> None:
    write("adapter", {"base_model_name_or_path": "cost/tiny"})
    run("check", *arguments)
    assert not traffic.requests
