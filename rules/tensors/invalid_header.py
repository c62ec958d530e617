"""TEN101."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, AdapterlintError, Finding, Patch, Severity, rule, shown
from adapterlint.lint.example import GOOD_TENSORS, safetensors_file
from adapterlint.lint.example_pickle import pickle_file

_FILE = "adapter_model.safetensors"
_WHOLE = safetensors_file(GOOD_TENSORS)
_TOLD_ELSEWHERE = ("io", "lfs-pointer", "empty")
_OWN_BOUNDS = ("too-large", "too-many-entries")

# What a file really is, by its first bytes.
_STARTS = {
    b"PK\x03\x04": "a zip archive, such as `torch.save` writes",
    b"\x80\x02": "a pickle, such as `torch.save` wrote before torch 1.6",
    b"GGUF": "a GGUF file of llama.cpp",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF": "an HDF5 file",
    b"<!do": "a web page, such as a download that failed leaves",
    b"<htm": "a web page, such as a download that failed leaves",
}


@rule(
    "TEN101",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(files={_FILE: _WHOLE[:100]}),
        Patch(files={_FILE: pickle_file(GOOD_TENSORS)}),
        Patch(files={_FILE: "<!DOCTYPE html><html><body>Not found</body></html>"}),
    ),
    good=Patch(),
    source="safetensors/src/tensor.rs, SafeTensors::read_metadata; torch/serialization.py, load",
)
def invalid_header(adapter: Adapter) -> Iterator[Finding]:
    """The weights file is not what its name says, or breaks off inside its header.

    PEFT opens `.safetensors` with safetensors, which raises `SafetensorError: Error while deserializing header: ...`
    with "header too large" (the file is something else), "header too small" or "invalid header length" (it breaks off),
    "invalid UTF-8 in header" or "invalid JSON in header". It opens `.bin` with `torch.load`, which raises
    `UnpicklingError`, `EOFError` or `RuntimeError: PytorchStreamReader failed ...`.

    Download, copy or save the file again. A `torch.save` file belongs under the name `adapter_model.bin`, a safetensors
    file under `adapter_model.safetensors`.
    """
    weights = adapter.unreadable.get("weights")
    if weights is None or weights.kind in _TOLD_ELSEWHERE:
        return
    name = weights.file.rpartition("/")[2]
    if weights.kind in _OWN_BOUNDS:
        yield Finding(f"{shown(name)} was not looked into: {weights.message}", at=weights.place, severity=Severity.INFO)
        return
    head = _head(adapter, name)
    what = next((what for start, what in _STARTS.items() if head.lower().lstrip()[: len(start)] == start.lower()), None)
    kind, other = "safetensors file", "adapter_model.bin"
    if name.endswith(".bin"):
        kind, other = "torch pickle", "adapter_model.safetensors"
        if head[8:9] == b"{":  # after the eight bytes of its length
            what = "a safetensors file"
        elif what and "torch.save" in what:
            what = None
    belongs = what is not None and ("torch.save" in what or what.startswith("a safetensors"))
    yield Finding(
        f"{shown(name)} is {what}, not a {kind}" if what else f"{shown(name)} cannot be read: {weights.message}",
        at=weights.place,
        help=f"Rename it to `{other}`." if belongs else "Download, copy or save the file again.",
    )


def _head(adapter: Adapter, name: str) -> bytes:
    try:
        return adapter.source.read(name, 16)
    except AdapterlintError:
        return b""
