"""The text file that git-LFS leaves in the place of a large file that was not downloaded.

The format is that of https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: the version line first, then the keys
in order, extensions (`ext-0-...`) among them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_POINTER_BYTES = 1024  # a pointer is shorter than this, says the specification

_POINTER = re.compile(
    rb"version (?:https://git-lfs\.github\.com|https://hawser\.github\.com)/spec/v1\r?\n"
    rb"(?:ext-\d-[\w.-]+ [^\r\n]+\r?\n)*"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\r?\n"
    rb"size (?P<size>\d{1,19})(?:\r?\n)?"
)


@dataclass(frozen=True, slots=True)
class LfsPointer:
    """What a pointer says of the file it stands for.

    Attributes:
        oid: SHA-256 of the content, 64 hexadecimal digits.
        size: Length of the content in bytes.
    """

    oid: str
    size: int


def parse_lfs_pointer(raw: bytes) -> LfsPointer | None:
    """Return what a pointer says, or `None` if the bytes are no pointer.

    Args:
        raw: The file, or its first `MAX_POINTER_BYTES` at least; what is as long as that is no pointer.
    """
    match = _POINTER.fullmatch(raw) if len(raw) < MAX_POINTER_BYTES else None
    return LfsPointer(match["oid"].decode("ascii"), int(match["size"])) if match else None
