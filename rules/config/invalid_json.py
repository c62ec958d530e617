"""CFG101."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, rule
from adapterlint.adapter import Unreadable
from adapterlint.files.json_text import MAX_JSON_BYTES
from adapterlint.files.text_lines import Lines
from adapterlint.formats import CONFIG
from adapterlint.sources import SourceError
from adapterlint.words import shown

_GOOD = (
    '{"peft_type": "LORA", "r": 8, "base_model_name_or_path": "acme/tiny-llama", "target_modules": ["q_proj", "v_proj"]'
)


@rule(
    "CFG101",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(files={"adapter_config.json": f"{_GOOD},}}"}),
        Patch(files={"adapter_config.json": f'{_GOOD}, "use_dora": False}}'}),
        Patch(files={"adapter_config.json": ""}),
    ),
    good=Patch(files={"adapter_config.json": f'{_GOOD}, "use_dora": false, "lora_alpha": 16}}'}),
    source="peft/config.py, PeftConfigMixin.from_json_file",
)
def invalid_json(adapter: Adapter) -> Iterator[Finding]:
    """The config is not JSON.

    PEFT reads `adapter_config.json` with `json.load`, so every way to load the adapter ends in a `JSONDecodeError`.
    JSON has no comments, no comma after the last entry, no single quotes, and writes `true`, `false` and `null` in
    lower case.

    Save the config anew with `config.save_pretrained(folder)`, or repair the place that is shown.

    A config that is nested too deep or too large for adapterlint to read is reported here too, as a warning: PEFT
    may still load it, but nothing in it has been checked.
    """
    bad = adapter.unreadable.get("config")
    if bad is None:
        return
    if bad.kind == "syntax":
        yield Finding(
            f"PEFT cannot read this config: {bad.message}",
            at=bad.place,
            help=_help(adapter, bad),
        )
    elif bad.kind in ("depth", "too-large"):
        yield Finding(
            f"This config is not checked: {bad.message}",
            at=bad.place,
            help="An adapter config is a flat object of a few kilobytes; save it anew with `config.save_pretrained`.",
            severity=Severity.WARNING,
        )


_PYTHON = {"True": "true", "False": "false", "None": "null"}


def _help(adapter: Adapter, bad: Unreadable) -> str:
    rest = _from(adapter, bad)
    for word, instead in _PYTHON.items():
        if rest.startswith(word):
            return f"JSON writes {shown(instead)}, not {shown(word)}."
    if rest.startswith("'"):
        return "JSON strings stand in double quotes."
    if rest.startswith(("//", "#", "/*")):
        return "JSON has no comments: remove it."
    if rest.startswith("<<<<<<<"):
        return "A merge conflict was committed: keep one side and remove the markers."
    if not rest and bad.message.endswith("empty"):
        return "Take the file from the folder that training wrote, or download it again."
    return "Repair the JSON here, or save the config anew with `config.save_pretrained(folder)`."


def _from(adapter: Adapter, bad: Unreadable) -> str:
    """The text at the place of the error, to the end of its line."""
    try:
        text = adapter.source.read(CONFIG, MAX_JSON_BYTES).decode(errors="replace")
    except SourceError:
        return ""
    return "" if bad.span is None else Lines(text).line(bad.span.line)[bad.span.column - 1 :]
