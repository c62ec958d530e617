"""What loads and what does not, where the recorded fleets show it of bases that are not among them."""

from __future__ import annotations

from typing import Any

import pytest

from adapterlint import ModuleTree, Patch, simulate
from adapterlint.adapter import load_adapter
from adapterlint.lint.example import DROP, HIDDEN, base_of
from conftest import Write


def tree() -> ModuleTree:
    found = base_of(Patch(base={"tie_word_embeddings": False}))
    assert found is not None
    return found.tree()


def told(write: Write, patch: Patch, release: str) -> str | None:
    """The class of the error that loading gives, as real PEFT gave it on a Llama."""
    adapter = load_adapter(write("one", patch))
    assert adapter is not None
    (one,) = simulate([adapter], names=["one"], base=tree(), peft=release).adapters.values()
    assert one.loads is (one.error is None)
    return one.error.type if one.error else None


@pytest.mark.parametrize(("release", "error"), [("0.20.0", "ValueError"), ("0.21.2", None)])
def test_projections_under_a_doubled_prefix_are_found_since_keys_are_mapped_back(
    write: Write, release: str, error: str | None
) -> None:
    config: dict[str, Any] = {"peft_type": "VERA", "r": 2, "target_modules": ["q_proj"], "save_projection": True}
    named = "base_model.model.base_model.vera_"
    tensors: dict[str, Any] = {f"{named}A": ("F32", (2, HIDDEN)), f"{named}B": ("F32", (HIDDEN, 2))}
    assert told(write, Patch(config=config, tensors={"*": DROP, **tensors}), release) == error


@pytest.mark.parametrize(
    ("release", "entry", "error"),
    [
        ("0.18.1", "w_norm", "KeyError"),
        ("0.21.2", "norm", "KeyError"),
        ("0.21.2", "delora_B", "TypeError"),
        ("0.21.2", "nothing", None),
    ],
)
def test_saved_buffers_of_a_layer_can_be_wrapped_and_then_no_file_has_them(
    write: Write, release: str, entry: str, error: str | None
) -> None:
    """DeLoRA keeps norms in a `BufferDict`, which PEFT wraps; its other containers it refuses to wrap."""
    config: dict[str, Any] = {"peft_type": "DELORA", "r": 2, "target_modules": ["q_proj"], "modules_to_save": [entry]}
    assert told(write, Patch(config=config, tensors={"*": DROP, "base_model.model.x": ("F32", (1,))}), release) == error
