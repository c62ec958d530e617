"""TEN124."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.lint.example import DROP


@rule(
    "TEN124",
    Severity.ERROR,
    since="0.1",
    bad=Patch(tensors={"*": DROP}),
    good=Patch(),
    source="https://github.com/huggingface/peft/issues/2450",
)
def no_tensors(header: WeightsHeader) -> Iterator[Finding]:
    """The weights file holds no tensors.

    An empty state dict was saved: on a rank that had none of the weights, with a filter that let nothing through, or by
    a script that replaced `model.state_dict`. PEFT loads it and changes nothing (`from_pretrained` warns "Found missing
    adapter keys" since 0.14), or raises `KeyError` if the config has `modules_to_save`, trainable tokens or a prompt. A
    pickle may also hold its tensors one level deeper, where PEFT does not look.

    Save the adapter again; there is nothing in this file.
    """
    if not header.tensors:
        name = header.file.rpartition("/")[2]
        where = " at its top level" if header.pickle else ""
        yield Finding(
            f"{shown(name)} holds no tensors{where}, so PEFT applies nothing",
            at=header.at(),
            help="Save the adapter again from where it was trained.",
        )
