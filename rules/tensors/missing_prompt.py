"""TEN126."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.lint.example import DROP
from adapterlint.peft.methods import METHODS
from adapterlint.peft.strays import strays

_PROMPT = {
    "peft_type": "PROMPT_TUNING",
    "num_virtual_tokens": 4,
    **dict.fromkeys(("alpha_pattern", "bias", "fan_in_fan_out", "init_lora_weights", "layers_pattern"), DROP),
    **dict.fromkeys(("layers_to_transform", "lora_alpha", "lora_dropout", "r", "rank_pattern"), DROP),
    **dict.fromkeys(("target_modules", "trainable_token_indices", "use_dora", "use_rslora"), DROP),
}


@rule(
    "TEN126",
    Severity.ERROR,
    since="0.1",
    bad=Patch(config=_PROMPT, tensors={"*": DROP, "prompt_encoder.default.embedding.weight": ("F32", (4, 16))}),
    good=Patch(config=_PROMPT, tensors={"*": DROP, "prompt_embeddings": ("F32", (4, 16))}),
    types=tuple(name for name, method in METHODS.items() if method.prompt_learning),
    source="peft/tuners/tuners_utils.py, BasePromptEncoder._load_adapter_state_dict",
)
def missing_prompt(config: Config, header: WeightsHeader) -> Iterator[Finding]:
    """The file of a prompt learning method has no `prompt_embeddings`.

    Prompt tuning, prefix tuning, P-tuning and their relatives save their prompt as one tensor of exactly this name,
    without any prefix. PEFT looks it up when it loads: `KeyError: 'prompt_embeddings'`, in every release. The
    parameters of the encoder that made the prompt (`prompt_encoder.default.embedding.weight`) are not read.

    Give the tensor that name, or save the adapter again with `save_pretrained`.
    """
    if "prompt_embeddings" in header.tensors or not header.tensors or strays(header.tensors, config.peft_type):
        return
    near = next((name for name in header.tensors if "prompt_e" in name), None)
    yield Finding(
        "The file has no tensor `prompt_embeddings`" + (f", only {shown(near)}" if near else ""),
        at=header.at(near),
        help="Give the prompt that name, or save the adapter again with `save_pretrained`.",
    )
