"""CFG105."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import Config, Finding, Patch, Place, Severity, rule, shown

_HEAD = '{"peft_type": "LORA", "target_modules": ["q_proj", "v_proj"], "base_model_name_or_path": "acme/tiny-llama"'
MAX_TOLD = 5  # findings of one config


@rule(
    "CFG105",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch(files={"adapter_config.json": f'{_HEAD}, "lora_alpha": 32, "r": 8, "lora_alpha": 16}}'}),
        Patch(files={"adapter_config.json": f'{_HEAD}, "r": 8, "rank_pattern": {{"q_proj": 4, "q_proj": 8}}}}'}),
        Patch(files={"adapter_config.json": f'{_HEAD}, "r": 8, "r": 8}}'}),
    ),
    good=Patch(files={"adapter_config.json": f'{_HEAD}, "lora_alpha": 16, "r": 8}}'}),
    source="peft/config.py, PeftConfigMixin.from_json_file; json.load keeps the last of equal names",
)
def duplicate_key(config: Config) -> Iterator[Finding]:
    """A key stands in the config more than once.

    PEFT takes the last one and says nothing; other readers (`jq`, JavaScript, Rust engines) may take another or
    refuse the file, so the same adapter has two strengths, ranks or targets depending on who loads it.

    Keep the one that is meant. Where all values are equal, this is only advice.
    """
    for found in config.document.duplicates[:MAX_TOLD]:
        name = _name(found.pointer)
        values = config.document.values(found)
        at = Place(config.file, pointer=found.pointer, key=True, span=found.spans[-1], document=config.document)
        times = f"{len(found.spans)} times" if len(found.spans) > 2 else "twice"
        if all(_same(v, values[-1]) for v in values):
            yield Finding(
                f"{shown(name)} is given {times}, with the same value",
                at=at,
                help="Remove all but one.",
                severity=Severity.INFO,
            )
            continue
        earlier = [v for v in values[:-1] if not _same(v, values[-1])]
        instead = (
            f": {shown(values[-1])} counts, {shown(earlier[0])} is ignored" if earlier else "; the last one counts"
        )
        yield Finding(
            f"{shown(name)} is given {times}{instead}",
            at=at,
            help="Keep the value that the adapter was trained with and remove the other.",
        )


def _name(pointer: str) -> str:
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
