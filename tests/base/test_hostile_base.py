"""No config and no header makes a tree fail, or take long."""

from __future__ import annotations

import time
from typing import Any

import pytest
from base_folders import LLAMA, folder, llama_tensors

from adapterlint.base import Base, Evidence, load_base
from adapterlint.base.grow import MAX_NODES

HUGE = 10**9
VALUES: list[Any] = [None, True, -1, 0, 1.5, HUGE, 10**400, "two", [], [1], {}, {"a": {"b": 1}}, "\ud7ff" * 10]


@pytest.mark.parametrize(
    "key", [*LLAMA, "head_dim", "attention_bias", "quantization_config", "id2label", "text_config"]
)
@pytest.mark.parametrize("value", VALUES, ids=lambda v: str(v)[:12])
def test_no_value_of_a_config_makes_it_fail(key: str, value: Any) -> None:
    started = time.perf_counter()
    for tensors in (None, llama_tensors()):
        for release in ("5.23.0", "4.56.2"):
            tree = Base("base", Evidence({**LLAMA, key: value}, tensors)).tree(release)
            assert "" in tree.nodes
            assert len(tree.nodes) <= MAX_NODES
    assert time.perf_counter() - started < 5


def test_a_billion_layers_are_those_of_the_checkpoint() -> None:
    tree = Base("base", Evidence({**LLAMA, "num_hidden_layers": HUGE}, llama_tensors(2))).tree()
    assert "model.layers.1" in tree.nodes
    assert "model.layers.2" not in tree.nodes
    assert not tree.complete


@pytest.mark.parametrize("model_type", ["swin", "mixtral", "qwen3_moe", "resnet", "t5", "wav2vec2", "clip", "llava"])
def test_lists_of_huge_numbers_end(model_type: str) -> None:
    config: dict[str, Any] = {"model_type": model_type}
    for key in ("depths", "layers", "conv_dim", "num_heads", "hidden_sizes"):
        config[key] = [20_000] * 1000
    for key in ("num_hidden_layers", "num_layers", "num_local_experts", "num_experts"):
        config[key] = 20_000
    started = time.perf_counter()
    for release in ("5.23.0", "4.56.2"):
        Base("base", Evidence({**config, "text_config": dict(config), "vision_config": dict(config)}, None)).tree(
            release
        )
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "...",
        "model",
        "model.",
        ".weight",
        "model.layers.99999999999.x",
        "a" * 100_000,
        "a." * 50_000,
        "model.layers.weight",
        "model.embed_tokens.weight.weight",
        "experts." * 100 + "w1.weight",
        "\0",
        "model.layers.-1.x",
    ],
    ids=lambda n: n[:20],
)
@pytest.mark.parametrize("config", [LLAMA, {}, {"model_type": "mixtral"}], ids=["llama", "none", "mixtral"])
def test_no_name_of_a_tensor_makes_it_fail(name: str, config: dict[str, Any]) -> None:
    tensors = {**llama_tensors(), name: (1, 2)}
    for release in ("5.23.0", "4.56.2"):
        assert "" in Base("base", Evidence(config, tensors)).tree(release).nodes


@pytest.mark.parametrize("shape", [(), (0,), (HUGE, HUGE), (1,) * 50])
def test_no_shape_makes_it_fail(shape: tuple[int, ...]) -> None:
    for config in (LLAMA, {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]}, {}):
        base = load_base(
            folder(config, {**llama_tensors(), "model.layers.0.block_sparse_moe.experts.0.w1.weight": shape})
        )
        assert base is not None
        assert "" in base.tree().nodes
