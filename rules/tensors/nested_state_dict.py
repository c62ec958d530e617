"""TEN125."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.lint.example import DROP, GOOD_TENSORS
from adapterlint.lint.example_pickle import pickle_file

_NESTED = pickle_file(GOOD_TENSORS, under="state_dict")


@rule(
    "TEN125",
    Severity.ERROR,
    since="0.1",
    bad=Patch(files={"adapter_model.safetensors": DROP, "adapter_model.bin": _NESTED}),
    good=Patch(),
    also=("pickle-weights",),
    source="peft/utils/save_and_load.py, load_peft_weights",
)
def nested_state_dict(header: WeightsHeader) -> Iterator[Finding]:
    """`adapter_model.bin` holds a checkpoint with the tensors inside, not the tensors.

    Trainers save `{"state_dict": ..., "epoch": ...}`; PEFT takes what `torch.load` returns for the tensors by name.
    Names that it does not know are dropped without an error, so the adapter loads and does nothing. `from_pretrained`
    warns "Found missing adapter keys" since 0.14, `load_adapter` says nothing.

    Save the inner dict alone, best as safetensors:
    `save_file(torch.load(path)["state_dict"], "adapter_model.safetensors")`.
    """
    if header.nested:
        yield Finding(
            f"{shown(header.file.rpartition('/')[2])} holds its {len(header.tensors)} tensors under `state_dict`, "
            "where PEFT does not look",
            at=header.at(),
            help='Save the inner dict alone: `save_file(torch.load(path)["state_dict"], "adapter_model.safetensors")`.',
        )
