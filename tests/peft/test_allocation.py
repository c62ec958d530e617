"""Ranks that torch makes no tensor of: tried with PEFT 0.21.2, those of VeRA, RandLora and LoRA with 0.17.1 too."""

from __future__ import annotations

import json

import pytest

from adapterlint.adapter import load_adapter
from adapterlint.base.tree import Kind, ModuleTree, Node
from adapterlint.peft.loading import create
from adapterlint.peft.model import Model
from adapterlint.peft.opened import open_config
from adapterlint.peft.refused import Refused
from adapterlint.peft.versions import Versions, usual_transformers
from adapterlint.sources.memory import MemoryFolder

OVERFLOW, BEYOND = 10**18, 10**30


def raised(peft_type: str, release: str, **given: object) -> str | None:
    config = {"peft_type": peft_type, "target_modules": ["target"], **given}
    adapter = load_adapter(MemoryFolder("one", {"adapter_config.json": json.dumps(config).encode()}))
    assert adapter is not None
    nodes = {"": Node("", Kind.OTHER), "target": Node("target", Kind.LINEAR, parameters={"weight": (16, 16)})}
    model = Model(ModuleTree(nodes), Versions.of(release, usual_transformers(release)))
    try:
        create(model, "default", open_config(adapter, model.release))
    except Refused as refused:
        return refused.type
    return None


@pytest.mark.parametrize(
    ("peft_type", "errors"),
    [
        # for an r of 0, -1, 10**18 and 10**30
        ("LORA", ("ValueError", "ValueError", "RuntimeError", "TypeError")),
        ("VERA", ("ZeroDivisionError", "RuntimeError", "RuntimeError", "TypeError")),
        ("PVERA", ("ValueError", "RuntimeError", "RuntimeError", "TypeError")),
        ("RANDLORA", ("ZeroDivisionError", "RuntimeError", "RuntimeError", "TypeError")),
        ("LOHA", ("ValueError", "ValueError", "RuntimeError", "TypeError")),
        ("LOKR", ("ValueError", "ValueError", None, None)),
        ("HRA", ("ValueError", "ValueError", "RuntimeError", "TypeError")),
        ("MISS", ("ValueError", "ValueError", "ValueError", "ValueError")),
        ("HIRA", ("ValueError", "ValueError", "RuntimeError", "TypeError")),
        ("DEFT", ("ValueError", "ValueError", None, None)),
        ("GLORA", (None, "RuntimeError", "RuntimeError", "TypeError")),
    ],
)
def test_a_rank_that_no_tensor_has_is_refused_as_torch_does(peft_type: str, errors: tuple[str | None, ...]) -> None:
    assert tuple(raised(peft_type, "0.21", r=r) for r in (0, -1, OVERFLOW, BEYOND)) == errors


@pytest.mark.parametrize("peft_type", ["LORA", "VERA", "RANDLORA"])
def test_older_releases_refuse_the_same(peft_type: str) -> None:
    ranks = (0, -1, OVERFLOW, BEYOND)
    assert [raised(peft_type, "0.17", r=r) for r in ranks] == [raised(peft_type, "0.21", r=r) for r in ranks]


def test_so_is_the_rank_of_one_module() -> None:
    assert raised("LORA", "0.21", r=8, rank_pattern={"target": BEYOND}) == "TypeError"
    assert raised("LORA", "0.21", r=8, rank_pattern={"target": 4}) is None
