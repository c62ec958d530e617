"""TEN106."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Patch, Severity, WeightsHeader, rule
from adapterlint.lint.example import GOOD_TENSORS, safetensors_file

_ENTRIES = {"__metadata__": {"format": "pt", "step": 500}}


@rule(
    "TEN106",
    Severity.ERROR,
    since="0.1",
    bad=Patch(files={"adapter_model.safetensors": safetensors_file(GOOD_TENSORS, entries=_ENTRIES)}),
    good=Patch(),
    source="safetensors/src/tensor.rs, HashMetadata",
)
def invalid_metadata(header: WeightsHeader) -> Iterator[Finding]:
    """`__metadata__` of the weights is not a table of strings.

    The header may carry notes under `__metadata__`, each a string. With a number, a list or `null` among them
    safetensors refuses the whole file: `SafetensorError: Error while deserializing header: invalid JSON in header:
    invalid type: integer ..., expected a string`. `save_file` does not write such a header; scripts that edit headers
    do.

    Turn every value into a string (`json.dumps`), or drop it.
    """
    for problem in header.problems:
        if problem.kind == "metadata":
            yield Finding(
                f"The header's notes are not as safetensors wants them: {problem.message}",
                at=header.at(),
                help="Make every value under `__metadata__` a string.",
            )
