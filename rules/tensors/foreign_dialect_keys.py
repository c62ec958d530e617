"""TEN123."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.lint.example import DROP
from adapterlint.peft.strays import LOWER_CASE, MLX, strays
from adapterlint.words import portion

_HELP = {
    MLX: "Convert it: put `base_model.model.` before the names, call `lora_a` `lora_A.weight`, transpose the factors.",
    "kohya": "Load it with `load_lora_weights` of diffusers, which converts it.",
    "diffusers": "Load it with `load_lora_weights` of diffusers.",
}
_Q = "model.layers.0.self_attn.q_proj."
_K = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q."


@rule(
    "TEN123",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(tensors={"*": DROP, f"{_Q}lora_a": ("F32", (16, 8)), f"{_Q}lora_b": ("F32", (8, 16))}),
        Patch(tensors={"*": DROP, f"{_K}lora_down.weight": ("F32", (8, 16)), f"{_K}alpha": ("F32", ())}),
        Patch(rename=("lora_A", "lora_a")),
    ),
    good=Patch(),
    source="peft/utils/save_and_load.py, set_peft_model_state_dict; https://github.com/ml-explore/mlx-lm/issues/1119",
)
def foreign_dialect_keys(config: Config, header: WeightsHeader) -> Iterator[Finding]:
    """The config is PEFT's, but the tensors have the names of another library.

    MLX-LM (`lora_a`), kohya (`lora_unet_...`, `lora_down`), diffusers (`unet. ...lora.down.weight`), Adapters
    (`loras.`) and llama.cpp (`blk.0. ...`) store low-rank factors under names, and partly in orientations, of their
    own. PEFT matches none of them and drops them without an error, so the adapter loads and does nothing.
    `from_pretrained` warns "Found missing adapter keys" since 0.14, `load_adapter` says nothing. Where only one factor
    of a pair has such a name, the other is loaded and multiplied with random values.

    Convert the file, or load it with the library that wrote it.
    """
    for whose, names in strays(header.tensors, config.peft_type).dialects.items():
        part = portion(names, header.tensors)
        said = f"{part.have} {part.names} of {whose}, such as {shown(names[0])}, and {part.lost}"
        if whose == LOWER_CASE:
            are = "is" if len(names) == 1 else "are"
            said = f"{are} spelled like {shown(names[0])}, but PEFT's factors are `lora_A` and `lora_B`"
        yield Finding(
            f"{part.text} {said}",
            at=header.at(names[0]),
            help=_HELP.get(whose, "Load it with the library that wrote it, or give the tensors PEFT's names."),
            severity=None if len(names) == len(header.tensors) else Severity.WARNING,
        )
