"""FIL102."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, rule, shown
from adapterlint.lint.example import DROP
from adapterlint.peft.weights_files import has_weights
from adapterlint.words import suggestion


@rule(
    "FIL102",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(files={"adapter_config.json": DROP}),
        Patch(files={"adapter_config.json": DROP, "adapter_config (1).json": "{}"}),
    ),
    good=Patch(),
    source="peft/config.py, PeftConfigMixin._get_peft_type",
)
def missing_config(adapter: Adapter) -> Iterator[Finding]:
    """The folder has weights but no `adapter_config.json`.

    Every way into PEFT reads the config first: `ValueError: Can't find 'adapter_config.json' at '...'`. The weights
    alone tell neither `lora_alpha` nor the base model.
    Typical causes: `torch.save(model.state_dict(), ...)` instead of `save_pretrained`, a trainer's checkpoint of which
    only the weights were copied, a browser that renamed the download.

    Copy the config from where the adapter was saved, or save the adapter again with `model.save_pretrained(folder)`.
    """
    if "adapter_config.json" in adapter.files or not has_weights(adapter):
        return
    near = suggestion("adapter_config.json", [n for n in adapter.files if n.endswith((".json", ".txt"))])
    yield Finding(
        "The folder has weights but no `adapter_config.json`, which PEFT reads first",
        at=adapter.files.at(),
        help=f"Rename {shown(near)} if it is the config."
        if near
        else "Copy `adapter_config.json` from where the adapter was saved, or save it again with `save_pretrained`.",
    )
