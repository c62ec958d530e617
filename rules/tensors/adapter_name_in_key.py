"""TEN113."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.peft.strays import strays
from adapterlint.words import portion

_HEAD = "base_model.model.lm_head."
_ROWS = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"


@rule(
    "TEN113",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch(rename=(".weight", ".default.weight")),
        Patch(
            config={"trainable_token_indices": [5, 6]},
            tensors={f"{_ROWS}.default": ("F32", (2, 16))},
        ),
    ),
    good=(Patch(), Patch(config={"modules_to_save": ["lm_head"]}, tensors={f"{_HEAD}weight": ("F32", (64, 16))})),
    source="peft/tuners/tuners_utils.py, BaseTuner._remap_adapter_state_dict_for_load",
)
def adapter_name_in_key(config: Config, header: WeightsHeader) -> Iterator[Finding]:
    """The adapter's name is still in the names of its tensors.

    In memory PEFT's parameters carry the name of their adapter (`lora_A.default.weight`); `save_pretrained` takes it
    out, and loading puts in the name under which the adapter is loaded. A file made of a raw `state_dict()` still has
    it. Since PEFT 0.21 such tensors are loaded only under exactly that adapter name, up to 0.20 not at all. The rest is
    dropped without an error and the adapter does nothing; `from_pretrained` warns "Found missing adapter keys" since
    0.14, `load_adapter` says nothing.
    For whole modules and token rows the name is fatal in every release: `KeyError` on the name without it.

    Remove the name from the tensors' names, or save the adapter with `save_pretrained`.
    """
    found = strays(header.tensors, config.peft_type)
    for adapter, names in found.named.items():
        part = portion(names, header.tensors)
        theirs, them = ("its own", "it") if len(names) == 1 else ("theirs", "them")
        count = f"{part.text} {part.have} the adapter's name {shown(adapter)} in {theirs}"
        remedy = f"Remove {shown(f'.{adapter}')} from the names of the tensors."
        yield Finding(
            f"{count}, and PEFT loads {them} only under that adapter name",
            at=header.at(names[0]),
            help=remedy,
            peft=">=0.21",
        )
        yield Finding(
            f"{count}, and {part.lost}",
            at=header.at(names[0]),
            help=remedy,
            severity=Severity.ERROR if len(names) == len(header.tensors) else None,
            peft="<0.21",
        )
    for adapter, names in found.named_whole.items():
        yield Finding(
            f"{shown(names[0])} has the adapter's name {shown(adapter)} in it, and PEFT looks for it without",
            at=header.at(names[0]),
            help="Save the adapter with `save_pretrained`, which writes names without the adapter's.",
            severity=Severity.ERROR,
        )
