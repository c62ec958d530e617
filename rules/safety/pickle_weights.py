"""SEC101."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.lint.example import DROP, GOOD_TENSORS
from adapterlint.lint.example_pickle import pickle_file


@rule(
    "SEC101",
    Severity.INFO,
    since="0.1",
    bad=Patch(files={"adapter_model.safetensors": DROP, "adapter_model.bin": pickle_file(GOOD_TENSORS)}),
    good=Patch(),
    source="peft/utils/save_and_load.py, torch_load (0.13 and later) and load_peft_weights",
)
def pickle_weights(header: WeightsHeader) -> Iterator[Finding]:
    """The weights are a pickle.

    Unpickling runs what the file says. This one was read opcode by opcode and imports nothing but
    what makes tensors; the next file of that name need not be so. PEFT passes `weights_only=True` to `torch.load` since
    0.13; before, only torch 2.6 and later refuse foreign code. Other loaders unpickle without asking, and some refuse
    `.bin` altogether.

    Convert it once: `save_file(torch.load("adapter_model.bin", weights_only=True), "adapter_model.safetensors")`.
    """
    if header.pickle and not header.imports:
        yield Finding(
            f"{shown(header.file.rpartition('/')[2])} is a pickle; it imports only what tensors need",
            at=header.at(),
            help="Save it as safetensors, which cannot hold code.",
        )
