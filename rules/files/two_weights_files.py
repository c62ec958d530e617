"""FIL105."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, WeightsHeader, load_adapter, rule
from adapterlint.lint.example import GOOD_TENSORS
from adapterlint.lint.example_pickle import pickle_file

_OLD = {name: (dtype, tuple(4 if d == 8 else d for d in shape)) for name, (dtype, shape) in GOOD_TENSORS.items()}


@rule(
    "FIL105",
    Severity.INFO,
    since="0.1",
    bad=(
        Patch(files={"adapter_model.bin": pickle_file(GOOD_TENSORS)}),
        Patch(files={"adapter_model.bin": pickle_file(_OLD)}),
    ),
    good=Patch(),
    source="peft/utils/save_and_load.py, load_peft_weights",
)
def two_weights_files(adapter: Adapter) -> Iterator[Finding]:
    """`adapter_model.safetensors` and `adapter_model.bin` lie side by side.

    PEFT reads the safetensors file and never looks at the other one. If a later training wrote only `.bin`, its weights
    are silently not the ones that are loaded; other tools may prefer the `.bin`. Where the two files differ in the
    names or shapes of their tensors, they are certainly not the same adapter, and the finding is a warning.

    Delete the file that is out of date.
    """
    if "adapter_model.bin" not in adapter.files or "adapter_model.safetensors" not in adapter.files:
        return
    other = load_adapter(adapter.source, weights="adapter_model.bin")
    ours, theirs = adapter.header, other.header if other else None
    differ = ours is not None and theirs is not None and _shapes(ours) != _shapes(theirs)
    beside = "`adapter_model.safetensors` and `adapter_model.bin` lie side by side"
    yield Finding(
        f"{beside} with different tensors, and PEFT reads only the first"
        if differ
        else f"{beside}, and PEFT reads only the first",
        at=adapter.files.at("adapter_model.bin"),
        help="Delete the file that is out of date.",
        severity=Severity.WARNING if differ else None,
    )


def _shapes(header: WeightsHeader) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in header.tensors.items()}
