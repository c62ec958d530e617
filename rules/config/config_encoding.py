"""CFG103."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, rule

_JSON = '{"peft_type": "LORA", "r": 8, "target_modules": ["q_proj"], "base_model_name_or_path": "acme/tiny-llama"}'


@rule(
    "CFG103",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(files={"adapter_config.json": b"\xef\xbb\xbf" + _JSON.encode()}),
        Patch(files={"adapter_config.json": _JSON.encode("utf-16")}),
        Patch(files={"adapter_config.json": _JSON.replace("tiny", "é").encode("latin-1")}),
        Patch(files={"adapter_config.json": _JSON.replace("tiny", "\\ud800")}),
    ),
    good=Patch(),
    source="peft/config.py, PeftConfigMixin.from_json_file",
)
def config_encoding(adapter: Adapter) -> Iterator[Finding]:
    """The config is not plain UTF-8.

    PEFT opens `adapter_config.json` as text in the encoding of the system, which is UTF-8 on every usual server: a
    byte order mark ends in `JSONDecodeError: Unexpected UTF-8 BOM`, UTF-16 and other encodings in a
    `UnicodeDecodeError`. Windows tools write both (PowerShell 5's `>` UTF-16, Notepad a byte order mark).

    Save the file as UTF-8 without a byte order mark.

    An escape of half a surrogate pair, such as `\\ud800`, is reported as a warning: PEFT reads it, but such a
    string can be neither printed nor written to a file, and nothing in this config has been checked.
    """
    bad = adapter.unreadable.get("config")
    if bad is None or bad.kind not in ("encoding", "byte-order-mark", "half-pair"):
        return
    if bad.kind == "half-pair":
        yield Finding(
            f"This config is not checked: {bad.message}",
            at=bad.place,
            help="Write the whole character, or both halves of its surrogate pair.",
            severity=Severity.WARNING,
        )
        return
    yield Finding(
        f"PEFT cannot read this config: {bad.message}",
        at=bad.place,
        help="Save the file as UTF-8 without a byte order mark.",
    )
