"""TEN110."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.peft.strays import strays
from adapterlint.words import portion

_WRITERS = {
    "module.": "DistributedDataParallel or DeepSpeed",
    "_orig_mod.": "`torch.compile`",
    "_fsdp_wrapped_module.": "FSDP",
    "_fpw_module.": "FSDP",
    "_checkpoint_wrapped_module.": "activation checkpointing",
}


@rule(
    "TEN110",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(rename=("base_model.model.", "_orig_mod.base_model.model.")),
        Patch(rename=(".self_attn.", "._checkpoint_wrapped_module.self_attn.")),
    ),
    good=Patch(),
    source="https://github.com/huggingface/peft/issues/2957; peft/utils/save_and_load.py, set_peft_model_state_dict",
)
def wrapper_prefix(config: Config, header: WeightsHeader) -> Iterator[Finding]:
    """Names of tensors still have the prefix of a training wrapper.

    `torch.compile`, DDP, FSDP and activation checkpointing put a module of their own around the model, and its name
    ends up in the names of the tensors if the state dict of the wrapper is saved. PEFT drops names that it does not
    know without an error: the adapter loads and does nothing. `from_pretrained` warns "Found missing adapter keys"
    since 0.14, `load_adapter` says nothing. For prompt learning it is `KeyError: 'prompt_embeddings'`.

    Remove the prefix from the names. When saving, unwrap the model first (`accelerator.unwrap_model(model)`,
    `model._orig_mod`, `model.module`) and call `save_pretrained` on the result.
    """
    for wrapper, names in strays(header.tensors, config.peft_type).wrapped.items():
        everything = len(names) == len(header.tensors)
        part = portion(names, header.tensors)
        yield Finding(
            f"{part.text} {part.have} {shown(wrapper)}, which {_WRITERS[wrapper]} leaves, "
            f"in {part.their_names}, and {part.lost}",
            at=header.at(names[0]),
            help=f"Remove {shown(wrapper)} from the names, and unwrap the model before the next `save_pretrained`.",
            severity=None if everything else Severity.WARNING,
        )
