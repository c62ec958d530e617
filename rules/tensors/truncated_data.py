"""TEN105."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.lint.example import GOOD_TENSORS, safetensors_file

_WHOLE = safetensors_file(GOOD_TENSORS)


@rule(
    "TEN105",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(files={"adapter_model.safetensors": _WHOLE[:-100]}),
        Patch(files={"adapter_model.safetensors": _WHOLE + b"\0" * 16}),
    ),
    good=Patch(),
    source="safetensors/src/tensor.rs, SafeTensors::read_metadata",
)
def truncated_data(header: WeightsHeader) -> Iterator[Finding]:
    """The file has fewer or more bytes of data than its header declares.

    An interrupted download or copy and a full disk cut the end off; a file written over a longer one keeps the old end.
    safetensors refuses both: `SafetensorError: Error while deserializing header: incomplete metadata, file not fully
    covered` (`MetadataIncompleteBuffer` in older releases).

    Download, copy or save the file again.
    """
    for problem in header.problems:
        if problem.kind in ("data-too-short", "data-too-long"):
            name = header.file.rpartition("/")[2]
            short = problem.kind == "data-too-short"
            yield Finding(
                f"{shown(name)} is {'cut off' if short else 'too long'}: {problem.message}",
                at=header.at(),
                help="Download, copy or save the file again.",
            )
