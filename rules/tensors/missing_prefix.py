"""TEN111."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.peft.keys import PREFIX
from adapterlint.peft.strays import strays
from adapterlint.words import portion


@rule(
    "TEN111",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(rename=("base_model.model.", "")),
        Patch(rename=("base_model.model.", "model.base_model.model.")),
    ),
    good=Patch(),
    source="peft/utils/save_and_load.py, set_peft_model_state_dict",
)
def missing_prefix(config: Config, header: WeightsHeader) -> Iterator[Finding]:
    """Names of tensors do not begin with `base_model.model.`.

    In a file of PEFT every tensor of a module is named `base_model.model.<path of the module in the base>.<parameter>`.
    PEFT drops other names without an error in every release: the adapter loads and does nothing. `from_pretrained`
    warns "Found missing adapter keys" since 0.14, `load_adapter` says nothing. (`load_adapter` of transformers takes
    names with and without the prefix, so such a file may work there.) They come from a state dict of the bare model,
    from converters, and from trainers that keep the PEFT model inside a module of their own, whose prefix is then in
    front.

    Put `base_model.model.` before the names, or remove what stands before it.
    """
    names = strays(header.tensors, config.peft_type).bare
    if not names:
        return
    before = names[0].partition(PREFIX)[0] if PREFIX in names[0] else ""
    buried = before and all(name.startswith(before + PREFIX) for name in names)
    part = portion(names, header.tensors)
    yield Finding(
        f"{part.text} {part.have} "
        + (f"{shown(before)} before" if buried else f"{part.names} without")
        + f" {shown(PREFIX)}, and {part.lost}",
        at=header.at(names[0]),
        help=f"Remove {shown(before)} from the names." if buried else f"Put {shown(PREFIX)} before the names.",
        severity=None if len(names) == len(header.tensors) else Severity.WARNING,
    )
