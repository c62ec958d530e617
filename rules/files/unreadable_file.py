"""FIL108."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, rule, shown
from adapterlint.lint.example import DROP

_TARGET = "/data/blobs/5e5e5e"


@rule(
    "FIL108",
    Severity.ERROR,
    since="0.1",
    bad=Patch(files={"adapter_model.safetensors": DROP}, links={"adapter_model.safetensors": _TARGET}),
    good=Patch(),
    source="peft/utils/save_and_load.py, load_peft_weights: os.path.exists is false for a dangling link",
)
def unreadable_file(adapter: Adapter) -> Iterator[Finding]:
    """A file is there but cannot be read.

    A link whose target is gone, a file without read permission, a pipe or a device. PEFT fails on it too: a dangling
    link is as good as no file (`HFValidationError`, `ValueError: Can't find 'adapter_config.json'`), the rest raises
    `OSError`. A `README.md` is not needed for loading, so there the finding is only a note.

    Restore the file, or the link's target, or the permissions.
    """
    for part, what in adapter.unreadable.items():
        if what.kind != "io":
            continue
        name = what.file.rpartition("/")[2]
        yield Finding(
            f"{shown(name)} cannot be read: {what.message}",
            at=what.place,
            help="Restore the file, the target of the link, or the permissions.",
            severity=Severity.INFO if part == "card" else None,
        )
