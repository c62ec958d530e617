"""FIT114."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import (
    DROP,
    AdapterSimulation,
    Config,
    Finding,
    Footprint,
    Patch,
    Severity,
    WeightsHeader,
    rule,
    shown,
)
from adapterlint.lint.against_base import reached_in_base
from adapterlint.lint.of_method import is_of_method
from adapterlint.peft.methods import METHODS
from adapterlint.words import none_of

_PATH = "base_model.model.model.layers.0.self_attn.q_proj."
_KOHYA = {f"{_PATH}lora_down.weight": ("F32", (8, 16)), f"{_PATH}lora_up.weight": ("F32", (16, 8))}
_DIFFUSERS = {f"{_PATH}lora.down.weight": ("F32", (8, 16)), f"{_PATH}lora.up.weight": ("F32", (16, 8))}
_BARE = {f"{_PATH}lora_A": ("F32", (8, 16)), f"{_PATH}lora_B": ("F32", (16, 8))}


@rule(
    "FIT114",
    Severity.ERROR,
    since="0.1",
    bad=(
        {"peft_type": "IA3"},
        Patch(tensors={"*": DROP, **_KOHYA}),
        Patch(tensors={"*": DROP, **_DIFFUSERS}),
        Patch(tensors={"*": DROP, **_BARE}),
    ),
    good=Patch(),
    also=("unknown-key",),
    source="peft/utils/save_and_load.py, set_peft_model_state_dict: names that no module has are dropped in silence",
)
def no_tensor_of_method(
    config: Config, header: WeightsHeader, footprint: Footprint, simulation: AdapterSimulation | None
) -> Iterator[Finding]:
    """None of the tensors belongs to the method that the config names.

    PEFT builds the layers of `peft_type` and looks for their parameters by name. Tensors of another method, or LoRA
    under the names of kohya (`lora_down`), diffusers (`lora.down`, `lora_linear_layer`) or without `.weight`, are
    dropped without an error: the adapter loads and does nothing. `from_pretrained` warns "Found missing adapter keys"
    since 0.14; VeRA, which needs its projections, raises a `ValueError`.

    Set `peft_type` to the method the tensors are of, or rename them as PEFT saves them.
    """
    method = METHODS[config.peft_type]
    # Names outside PEFT's grammar are the matter of other rules; a prompt, or a shared tensor, is one of the method.
    if method.prompt_learning or method.prefix is None or footprint.foreign or footprint.shared:
        return
    if footprint.modules_to_save or footprint.trainable_tokens or footprint.overwrites or footprint.biases:
        return
    if not header.tensors or is_of_method(config.peft_type, footprint):
        return
    if reached_in_base(simulation, header):
        return
    first = next(iter(header.tensors))
    yield Finding(
        f"{none_of(header.tensors)} belongs to the method {shown(method.name)}, so PEFT loads nothing of the file",
        at=header.at(first),
        help="Set `peft_type` to the method they are of, or rename them as PEFT saves them.",
    )
