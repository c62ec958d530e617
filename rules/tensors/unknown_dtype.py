"""TEN103."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Patch, Severity, WeightsHeader, listed, rule
from adapterlint.lint.example import GOOD_TENSORS, safetensors_file
from adapterlint.words import counted

_FIRST = next(iter(GOOD_TENSORS))
_WRONG = {"dtype": "NF4", "shape": [8, 16], "data_offsets": [0, 512]}


@rule(
    "TEN103",
    Severity.ERROR,
    since="0.1",
    bad=Patch(files={"adapter_model.safetensors": safetensors_file(GOOD_TENSORS, entries={_FIRST: _WRONG})}),
    good=Patch(),
    source="safetensors/src/tensor.rs, Dtype",
)
def unknown_dtype(header: WeightsHeader) -> Iterator[Finding]:
    """A tensor has a dtype that safetensors does not know.

    safetensors refuses the whole file: `SafetensorError: Error while deserializing header: invalid JSON in header:
    unknown variant ..., expected one of BOOL, F4, ...` (the list is that of 0.8.0; older releases know fewer).

    Save the tensors in a dtype that torch has, `torch.float32` or `torch.bfloat16` for an adapter.
    """
    wrong = [p.tensor for p in header.problems if p.kind == "unknown-dtype" and p.tensor is not None]
    if not wrong:
        return
    dtypes = dict.fromkeys(header.tensors[name].dtype for name in wrong if name in header.tensors)
    yield Finding(
        f"{counted(len(set(wrong)), 'tensor has', 'tensors have')} a dtype that safetensors does not know"
        + (f", {listed(dtypes)}" if dtypes else ""),
        at=header.at(wrong[0]),
        help="Save the tensors again in a dtype that torch has.",
    )
