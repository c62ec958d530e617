"""CFG111."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Severity, rule, shown
from adapterlint.peft.methods import METHODS, suggest_type
from adapterlint.peft.releases import NEWEST
from adapterlint.peft.writer import is_newer


@rule(
    "CFG111",
    Severity.ERROR,
    since="0.1",
    bad=({"peft_type": "lora"}, {"peft_type": "FINEGATES"}, {"peft_type": None}, {"peft_type": ["LORA"]}),
    good={"peft_type": "LORA"},
    source="peft/config.py, PeftConfigMixin.from_peft_type; peft/mapping.py",
)
def peft_type_unknown(config: Config) -> Iterator[Finding]:
    """The PEFT type is none that PEFT has.

    PEFT looks the type up as it is written, with case: `"lora"` ends in `KeyError: 'lora'`. Methods that live in a
    fork or in an open pull request fail in the same way with every release.

    Write the type as PEFT does, in upper case; a method of a fork needs that fork to be loaded.
    """
    value = config.get("peft_type")
    if "peft_type" not in config or (isinstance(value, str) and value in METHODS):
        return
    at = config.at("peft_type")
    if not isinstance(value, str):
        error = "TypeError" if isinstance(value, list | dict) else "KeyError"
        yield Finding(
            f"`peft_type` is {shown(value)}, not the name of a method: PEFT raises a `{error}`",
            at=at,
            help='Write the name as a string, such as `"LORA"`.',
        )
        return
    meant = suggest_type(value)
    if meant is not None and meant.casefold() == value.strip().casefold():
        help = f"Write {shown(meant)}: PEFT compares with case."
    elif is_newer(config):
        help = "A later release wrote this config: load it with that one, and update adapterlint to have it checked."
    else:
        nearest = f" The nearest name that PEFT has is {shown(meant)}." if meant else ""
        help = f"The adapter needs the fork or the development version of PEFT that it was trained with.{nearest}"
    yield Finding(
        f"No release of PEFT up to {NEWEST} has the type {shown(value)}: it raises a `KeyError`",
        at=at,
        help=help,
    )
