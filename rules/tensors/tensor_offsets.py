"""TEN102."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.lint.example import GOOD_TENSORS, safetensors_file
from adapterlint.words import counted

_KINDS = frozenset({"offsets-reversed", "size-overflow", "half-byte", "size-mismatch", "hole", "overlap"})
_FIRST = next(iter(GOOD_TENSORS))
_WRONG = {"dtype": "F32", "shape": [8, 16], "data_offsets": [0, 256]}


@rule(
    "TEN102",
    Severity.ERROR,
    since="0.1",
    bad=Patch(files={"adapter_model.safetensors": safetensors_file(GOOD_TENSORS, entries={_FIRST: _WRONG})}),
    good=Patch(),
    source="safetensors/src/tensor.rs, Metadata::validate",
)
def tensor_offsets(header: WeightsHeader) -> Iterator[Finding]:
    """Places of tensors in the file contradict their shapes or each other.

    A header gives every tensor a dtype, a shape and the bytes where its data lie. safetensors refuses the whole file if
    the bytes are not as many as the shape needs, or leave a hole, or overlap: `SafetensorError: Error while
    deserializing header: invalid offset for tensor ...` or `invalid shape, data type, or offset for tensor`. A script
    that edits headers by hand, or a converter that got a dtype wrong, leaves such files.

    Write the file with `safetensors.torch.save_file`, from the original tensors.
    """
    problems = [p for p in header.problems if p.kind in _KINDS]
    if not problems:
        return
    first = problems[0]
    names = {p.tensor for p in problems}
    where = f"{counted(len(names), 'tensor')}, such as {shown(first.tensor)}" if len(names) > 1 else shown(first.tensor)
    yield Finding(
        f"The place of {where} in the file is wrong: {first.message}",
        at=header.at(first.tensor),
        help="Write the file again with `safetensors.torch.save_file`.",
    )
