"""FIL101."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, rule
from adapterlint.lint.example import DROP
from adapterlint.peft.weights_files import has_weights, is_saved, misnamed_weights, model_files


@rule(
    "FIL101",
    Severity.ERROR,
    since="0.1",
    bad=Patch(files={"adapter_model.safetensors": DROP}),
    good=Patch(),
    source="peft/utils/save_and_load.py, load_peft_weights",
)
def missing_weights(adapter: Adapter) -> Iterator[Finding]:
    """The folder has a config but no weights.

    PEFT injects the layers and then looks for `adapter_model.safetensors` and `adapter_model.bin`. If a local folder
    has neither it takes the path for a repository on the Hub: `HFValidationError: Repo id must be ...` for most paths,
    a request to huggingface.co for a relative path of one or two parts, or `ValueError: Can't find weights for ...`.
    Common causes are a `.gitignore` with `*.safetensors`, a copy of the config alone, and `save_pretrained` under an
    adapter name other than `default`, which writes into a sub-folder of that name.

    A config that `save_pretrained` wrote has `inference_mode: true`. Without it the config may be a recipe for a
    training that is yet to run, so there the finding is only a note.

    Copy the weights beside the config, or load the sub-folder that has them (`subfolder=...`).
    """
    if adapter.config is None or has_weights(adapter) or misnamed_weights(adapter) or model_files(adapter.files):
        return
    if is_saved(adapter):
        yield Finding(
            "The folder has a config but neither `adapter_model.safetensors` nor `adapter_model.bin`, "
            "so PEFT cannot load it",
            at=adapter.files.at("adapter_config.json"),
            help="Copy the weights beside the config, or load the sub-folder that has them (`subfolder=...`).",
        )
    else:
        yield Finding(
            "The folder has a config without weights: a recipe for a training, but no adapter that PEFT could load",
            at=adapter.files.at("adapter_config.json"),
            severity=Severity.INFO,
        )
