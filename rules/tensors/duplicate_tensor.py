"""TEN104."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

from adapterlint import Finding, Patch, Severity, WeightsHeader, listed, rule
from adapterlint.lint.example import GOOD_TENSORS, safetensors_file


def _twice() -> bytes:
    """The known-good file with its first entry given once more."""
    whole = safetensors_file(GOOD_TENSORS)
    (length,) = struct.unpack("<Q", whole[:8])
    text = whole[8 : 8 + length].decode().rstrip()
    name = next(iter(GOOD_TENSORS))
    text = f"{text[:-1]}, {json.dumps(name)}: {json.dumps(json.loads(text)[name])}}}"
    return struct.pack("<Q", len(text)) + text.encode() + whole[8 + length :]


@rule(
    "TEN104",
    Severity.WARNING,
    since="0.1",
    bad=Patch(files={"adapter_model.safetensors": _twice()}),
    good=Patch(),
    source="safetensors/src/tensor.rs, HashMetadata; serde keeps the last of equal keys",
)
def duplicate_tensor(header: WeightsHeader) -> Iterator[Finding]:
    """A tensor's name is given twice in the header.

    safetensors keeps the last entry of a name without a word, so the data of the others cannot be reached by any
    loader; readers in other languages may take the first one. No writer of the safetensors library makes such a file:
    it was put together by hand, or to show different readers different weights.

    Write the file again with `safetensors.torch.save_file`, from tensors you know.
    """
    names = dict.fromkeys(p.tensor for p in header.problems if p.kind == "duplicate-name")
    if names:
        yield Finding(
            f"The header has {listed(names, word='tensors')} more than once, and only the last entry counts",
            at=header.at(next(iter(names))),
            help="Write the file again with `safetensors.torch.save_file`.",
        )
