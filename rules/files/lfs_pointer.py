"""FIL103."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, rule
from adapterlint.words import counted

_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'5e' * 32}\nsize 167832240\n"


@rule(
    "FIL103",
    Severity.ERROR,
    since="0.1",
    bad=(Patch(files={"adapter_model.safetensors": _POINTER}), Patch(files={"adapter_config.json": _POINTER})),
    good=Patch(),
    source="https://git-lfs.com; safetensors and json refuse the pointer's text",
)
def lfs_pointer(adapter: Adapter) -> Iterator[Finding]:
    """A file is a git-LFS pointer, not the file itself.

    The repository was cloned or downloaded without git-LFS, so a text of three lines stands in the place of the file.
    PEFT takes it for the file: `SafetensorError: Error while deserializing header: header too large` for
    `adapter_model.safetensors`, `UnpicklingError` for `adapter_model.bin`, `JSONDecodeError` for the config.

    Run `git lfs install` once and `git lfs pull` in the clone, or download the file itself.
    """
    for part in adapter.unreadable.values():
        if part.kind == "lfs-pointer" and part.lfs is not None:
            name = part.file.rpartition("/")[2]
            yield Finding(
                f"`{name}` is a git-LFS pointer that stands for {counted(part.lfs.size, 'byte')}",
                at=adapter.files.at(name),
                help="Run `git lfs pull` in the clone, or download the file itself.",
            )
