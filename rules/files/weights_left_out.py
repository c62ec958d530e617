"""FIL110."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, rule

# Side files of trainers that save parts of a training outside the adapter, and who reads them.
_READERS = {
    "non_lora_trainables.bin": "LLaVA's own loader",
    "new_embeddings.safetensors": "the tool that wrote it",
    "new_embeddings.bin": "the tool that wrote it",
    "value_head.safetensors": "TRL and LLaMA-Factory",
    "value_head.bin": "TRL and LLaMA-Factory",
}


@rule(
    "FIL110",
    Severity.INFO,
    since="0.1",
    bad=Patch(files={"non_lora_trainables.bin": b"PK"}),
    good=Patch(),
    source="peft/utils/save_and_load.py, load_peft_weights; https://github.com/arcee-ai/mergekit/issues/328",
)
def weights_left_out(adapter: Adapter) -> Iterator[Finding]:
    """Trained weights lie in a side file that PEFT never reads.

    Some trainers save what they train outside the adapter (a projector, new embedding rows, a value head) into a file
    of its own. `PeftModel.from_pretrained` reads `adapter_model.safetensors` or `adapter_model.bin` only, so those
    weights keep the values of the base model unless the right loader is used.

    Load the folder with the library that wrote the file, or copy its tensors into the model yourself.
    """
    for name, reader in _READERS.items():
        if name in adapter.files:
            yield Finding(
                f"PEFT does not load `{name}`; it takes {reader}",
                at=adapter.files.at(name),
                help="Use the loader of the library that trained the adapter, or copy these tensors yourself.",
            )
