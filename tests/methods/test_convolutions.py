"""Kernels that are not square, and grouped convolutions: as PEFT takes, refuses and runs them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapterlint import simulate
from adapterlint.adapter import load_adapter
from adapterlint.base import load_base
from adapterlint.lint.example import safetensors_file
from adapterlint.simulation import SimulatedAdapter
from adapterlint.sources.memory import MemoryFolder

TALL, FLAT = (8, 4, 3, 1), (8, 4, 1, 3)
GROUPED = (8, 2, 3, 3)  # four channels in two groups


def loaded(weight: tuple[int, ...], config: dict[str, Any], peft: str, **shapes: tuple[int, ...]) -> SimulatedAdapter:
    """An adapter of the one convolution of a base."""
    said = {"target_modules": ["0"], "base_model_name_or_path": None, "task_type": None} | config
    header = {f"base_model.model.0.{name.replace('__', '.')}": ("F32", shape) for name, shape in shapes.items()}
    files = {"adapter_config.json": json.dumps(said).encode(), "adapter_model.safetensors": safetensors_file(header)}
    adapter = load_adapter(MemoryFolder("adapter", files))
    base = load_base(MemoryFolder("base", {"model.safetensors": safetensors_file({"0.weight": ("F32", weight)})}))
    assert adapter is not None
    assert base is not None
    return simulate([adapter], names=["default"], base=base, peft=peft).adapters["default"]


@pytest.mark.parametrize("peft", ["0.17.1", "0.21.2"])
@pytest.mark.parametrize(("weight", "elements"), [(FLAT, 4), (TALL, 36)])
@pytest.mark.parametrize(
    ("config", "name", "shape"),
    [
        ({"peft_type": "HRA", "r": 8}, "hra_u", lambda n: (n, 8)),
        ({"peft_type": "BOFT", "boft_block_size": 4}, "boft_R", lambda n: (1, n // 4, 4, 4)),
        ({"peft_type": "OFT", "oft_block_size": 4, "r": 0}, "oft_R__weight", lambda n: (n // 4, 6)),
    ],
)
def test_a_kernel_is_taken_to_be_square_and_does_not_run_if_it_is_not(
    peft: str, weight: tuple[int, ...], elements: int, config: dict[str, Any], name: str, shape: Any
) -> None:
    scale = {"boft_s": (1, 8)} if name == "boft_R" else {}
    found = loaded(weight, config, peft, **{name: shape(elements)}, **scale)
    assert (found.loads, found.forward) == (True, "RuntimeError")


@pytest.mark.parametrize(("weight", "side"), [(FLAT, 1), (TALL, 9)])
def test_so_it_is_with_the_whole_matrices_of_old_oft(weight: tuple[int, ...], side: int) -> None:
    config = {"peft_type": "OFT", "r": 4, "oft_block_size": 0}
    found = loaded(weight, config, "0.15.2", oft_r=(4, side, side), oft_s=(8, 1))
    assert (found.loads, found.forward) == (True, "RuntimeError")


@pytest.mark.parametrize("peft", ["0.17.1", "0.21.2"])
@pytest.mark.parametrize("weight", [FLAT, TALL])
def test_lora_takes_any_kernel(peft: str, weight: tuple[int, ...]) -> None:
    factors = {"lora_A__weight": (3, *weight[1:]), "lora_B__weight": (8, 3, 1, 1)}
    found = loaded(weight, {"peft_type": "LORA", "r": 3}, peft, **factors)
    assert (found.loads, found.forward) == (True, "effective")


@pytest.mark.parametrize(("peft", "loads"), [("0.15.2", True), ("0.17.1", False), ("0.21.2", False)])
def test_the_rank_of_lora_on_a_grouped_convolution_is_divisible_by_its_groups(peft: str, loads: bool) -> None:
    factors = {"lora_A__weight": (3, 4, 3, 3), "lora_B__weight": (8, 3, 1, 1)}
    found = loaded(GROUPED, {"peft_type": "LORA", "r": 3}, peft, **factors)
    assert found.loads is loads
    if not loads:
        assert found.error is not None
        assert found.error.type == "ValueError"
        assert "divisible by groups" in found.error.text
