"""FIL104."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, rule, shown


@rule(
    "FIL104",
    Severity.ERROR,
    since="0.1",
    bad=Patch(files={"adapter_model.safetensors": b""}),
    good=Patch(),
    source="peft/utils/save_and_load.py, load_peft_weights",
)
def empty_weights(adapter: Adapter) -> Iterator[Finding]:
    """The weights file has no bytes.

    What a full disk, an interrupted copy or a placeholder leaves. PEFT refuses it: `SafetensorError: Error while
    deserializing header: header too small`, or `EOFError` for `adapter_model.bin`.

    Copy or save the weights again.
    """
    weights = adapter.unreadable.get("weights")
    if weights is not None and weights.kind == "empty":
        name = weights.file.rpartition("/")[2]
        yield Finding(f"{shown(name)} is empty: 0 bytes", at=weights.place, help="Copy or save the weights again.")
