"""Layers around a linear layer that gives more than one tensor."""

from __future__ import annotations

import pytest
from recorded import adapters_of, bases, recorded

from adapterlint.base.tree import Kind
from adapterlint.peft.methods import METHODS
from adapterlint.peft.modules import Module
from adapterlint.peft.several import several_error
from adapterlint.peft.wrappers import Tuned, Tuner
from adapterlint.simulation import simulate

# It copies the module; it needs scikit-learn; what the rest asks for comes first, or it takes no class of its own.
NOT_RECORDED = {"LN_TUNING", "ADAMSS", "POLY", "GLORA", "SHADOW", "CARTRIDGE", "TRAINABLE_TOKENS"}


def layer(method: str, *, active: str) -> Tuner:
    made = Tuner(Module(Kind.LINEAR, "Router"), "Linear", method, active)
    made.adapters = {"a": Tuned({}, frozenset())}
    return made


def test_it_is_recorded_of_every_method_that_takes_linear_layers() -> None:
    linear = {name for name, method in METHODS.items() if any(Kind.LINEAR in form.on for form in method.forms)}
    assert len(linear - NOT_RECORDED) > 30
    for method in linear - NOT_RECORDED:
        assert several_error(layer(method, active="a"), METHODS[method].until or "0.21.2", off=False) is not None


@pytest.mark.parametrize(
    ("method", "release", "active", "off", "error"),
    [
        ("LORA", "0.21.2", "a", False, "AttributeError"),
        ("LORA", "0.21.2", "a", True, None),
        ("LORA", "0.21.2", "b", False, "AttributeError"),
        ("BOFT", "0.19.1", "a", False, "ValueError"),
        ("BOFT", "0.20.0", "a", False, "TypeError"),
        ("OSF", "0.21.2", "b", False, None),
    ],
)
def test_the_error_depends_on_what_is_active(
    method: str, release: str, active: str, off: bool, error: str | None
) -> None:
    assert several_error(layer(method, active=active), release, off=off) == error


def test_a_router_is_told_by_its_class() -> None:
    fleet = next(fleet for fleet in recorded("fifth") if fleet["id"] == "fifth-0035")
    adapter = adapters_of(fleet)["green"]
    found = simulate([adapter], names=["green"], base=bases()[fleet["base"]].tree("5.23.0")).adapters["green"]
    assert found.footprint is not None
    assert "model.layers.1.feed_forward.router" in found.footprint.tuned
    assert found.forward == "TypeError"
