"""FIL106."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, listed, rule
from adapterlint.lint.example import DROP, GOOD_TENSORS, safetensors_file
from adapterlint.peft import weights_files

_FILE = safetensors_file(GOOD_TENSORS)
_SHARDS = ("adapter_model-00001-of-00002.safetensors", "adapter_model-00002-of-00002.safetensors")


@rule(
    "FIL106",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(files={"adapter_model.safetensors": DROP, "adapter.safetensors": _FILE}),
        Patch(files={"adapter_model.safetensors": DROP, **dict.fromkeys(_SHARDS, _FILE)}),
        Patch(files={"adapter_model.safetensors": DROP, "weights.pt": b"PK"}),
    ),
    good=Patch(),
    source="peft/utils/save_and_load.py, load_peft_weights",
)
def misnamed_weights(adapter: Adapter) -> Iterator[Finding]:
    """The weights have a name that PEFT does not look for.

    PEFT reads `adapter_model.safetensors` or `adapter_model.bin`, nothing else: no other name, no `.pt`, and no shards
    (`adapter_model-00001-of-00002.safetensors`), in no release. It ends where a missing file ends: `HFValidationError`
    or `ValueError: Can't find weights for ...`.

    Rename the file. Shards have to be put together: read each with `safetensors.torch.load_file`, and write the union
    with `save_file`.
    """
    names = weights_files.misnamed_weights(adapter)
    if not names:
        return
    shards = [n for n in names if n.startswith("adapter_model-0")]
    yield Finding(
        f"PEFT looks for `adapter_model.safetensors` or `adapter_model.bin`, but the folder has {listed(names)}",
        at=adapter.files.at(names[0]),
        help="Put the shards together into one `adapter_model.safetensors`; PEFT reads no shards."
        if shards
        else "Rename it, if it holds the adapter's weights in that format; else save the adapter again.",
    )
