"""TEN112."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.peft.keys import PREFIX
from adapterlint.peft.strays import strays
from adapterlint.words import portion


@rule(
    "TEN112",
    Severity.ERROR,
    since="0.1",
    bad=Patch(rename=("base_model.model.", "base_model.model.base_model.model.")),
    good=Patch(),
    source="peft/peft_model.py, PeftModel.from_pretrained on a PeftModel",
)
def doubled_prefix(config: Config, header: WeightsHeader) -> Iterator[Finding]:
    """Names of tensors begin with `base_model.model.` twice.

    A `PeftModel` was wrapped in another one (`PeftModel.from_pretrained(peft_model, ...)` or
    `get_peft_model(peft_model, ...)`) and saved. In a plain base PEFT finds no module of these names and drops the
    tensors without an error: the adapter loads and does nothing. `from_pretrained` warns "Found missing adapter keys"
    since 0.14, `load_adapter` says nothing.

    Remove one `base_model.model.` from the names. When training, add a second adapter with `model.load_adapter` or
    `model.add_adapter`, or take the base with `model.unload()` first.
    """
    names = strays(header.tensors, config.peft_type).doubled
    if names:
        part = portion(names, header.tensors)
        yield Finding(
            f"{part.text} {part.have} {part.names} with {shown(PREFIX)} twice, and {part.lost} into a plain base",
            at=header.at(names[0]),
            help=f"Remove one {shown(PREFIX)} from the names.",
            severity=None if len(names) == len(header.tensors) else Severity.WARNING,
        )
