"""FIL109."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Finding, Patch, Severity, listed, rule
from adapterlint.lint.example import DROP, safetensors_file
from adapterlint.peft.weights_files import has_weights, model_files

_MODEL: dict[str, str | bytes] = {
    "config.json": "{}",
    "model.safetensors": safetensors_file({"model.norm.weight": ("F32", (16,))}),
}


@rule(
    "FIL109",
    Severity.WARNING,
    since="0.1",
    bad=(Patch(files=_MODEL), Patch(files={**_MODEL, "adapter_model.safetensors": DROP})),
    good=(Patch(), Patch(files={"config.json": "{}"})),
    source="transformers/integrations/peft.py; https://github.com/unslothai/unsloth/issues/1061",
)
def model_beside_adapter(adapter: Adapter) -> Iterator[Finding]:
    """A whole model and an adapter share one folder.

    `AutoModelForCausalLM.from_pretrained(folder)` (and every other class of transformers) notices
    `adapter_config.json`. transformers 5 (seen with 5.23.0) loads the model of the folder and puts the adapter on top
    of it: if that model is the merged one, as after `merge_and_unload`, the adapter counts twice, without a message.
    transformers 4 (4.56.2) loads `base_model_name_or_path` with the adapter and ignores the model that lies there.
    Unsloth refuses the folder ("Your repo has a LoRA adapter and a base model").
    Without the adapter's weights the config alone makes `from_pretrained` raise: the model cannot be loaded any more.
    `PeftModel.from_pretrained(base, folder)` is not concerned.

    Move the adapter's files into a folder of their own; a merged model needs none of them.
    """
    model = model_files(adapter.files)
    if adapter.config is None or not model:
        return
    if has_weights(adapter):
        message = (
            f"A whole model, {listed(model)}, lies in the adapter's folder: `from_pretrained` of transformers 5 puts "
            "the adapter on top of it, that of transformers 4 ignores it"
        )
    else:
        message = (
            f"`adapter_config.json` without weights lies beside a whole model, {listed(model)}: "
            "`from_pretrained` of transformers looks for the adapter and raises"
        )
    yield Finding(
        message,
        at=adapter.files.at("adapter_config.json"),
        help="Move the files of the adapter into a folder of their own; a merged model needs none of them.",
        severity=None if has_weights(adapter) else Severity.ERROR,
    )
