"""CFG132."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapterlint import Config, Finding, Severity, listed, rule
from adapterlint.peft.fields import fields_of

_NEVER_IN_NAMES = re.compile(r"[*+?|()\[\]{}^$\\,]|^\s|\s$|\.$")


@rule(
    "CFG132",
    Severity.WARNING,
    since="0.1",
    bad={"modules_to_save": [".*head"]},
    good={"modules_to_save": ["classifier", "score"]},
    source="peft/utils/other.py, _set_trainable: str.endswith",
)
def module_to_save_by_form(config: Config) -> Iterator[Finding]:
    """An entry of `modules_to_save` is written in a form that no module's name ends in.

    PEFT saves the modules whose name ends in an entry, letter by letter: a regular expression, a name with a space
    or two names in one entry match nothing. Nothing is said; the module is neither trained nor loaded, and tensors
    of it that are in the file overwrite the base model for all adapters.

    Write the names of the modules, or their ends, one an entry.
    """
    if "modules_to_save" not in fields_of(config.peft_type):
        return
    entries = config.strings("modules_to_save")
    dead = [e for e in entries if _NEVER_IN_NAMES.search(e)]
    if dead:
        yield Finding(
            f"No module's name ends in {listed(dead, word='entries')} of `modules_to_save`, which PEFT compares "
            f"letter by letter: {'it saves' if len(dead) == 1 else 'they save'} nothing, in silence",
            at=config.at("modules_to_save", config.get("modules_to_save").index(dead[0])),
            help="Write the names of the modules, or their ends, one an entry.",
        )
