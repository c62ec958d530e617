"""CFG102."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, rule


@rule(
    "CFG102",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(files={"adapter_config.json": '[{"peft_type": "LORA", "r": 8}]'}),
        Patch(files={"adapter_config.json": "null"}),
    ),
    good=Patch(),
    source="peft/config.py, PeftConfigMixin._get_peft_type",
)
def config_not_an_object(adapter: Adapter) -> Iterator[Finding]:
    """The config holds something other than an object.

    PEFT asks `adapter_config.json` for its key `peft_type`; a list, a string or `null` ends in a `TypeError` before
    anything is loaded.

    Put the keys of the config into one object: `{"peft_type": "LORA", ...}`.
    """
    bad = adapter.unreadable.get("config")
    if bad is not None and bad.kind == "not-object":
        yield Finding(
            f"{bad.message}; PEFT raises a `TypeError` as it asks for `peft_type`",
            at=bad.place,
            help="Write the keys of one adapter as one object, or save the config anew with `config.save_pretrained`.",
        )
