"""FIT116."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import Config, Finding, Footprint, Patch, Severity, WeightsHeader, counted, rule
from adapterlint.lint.example import DROP
from adapterlint.lint.simulated import AdapterSimulation
from adapterlint.peft.needs import needs_of
from adapterlint.peft.releases import RELEASES, in_range, numbers
from adapterlint.peft.versions import FIRST_SIMULATED

_CONVOLUTION: dict[str, Any] = {"*": DROP} | {
    "base_model.model.encoder.conv.lora_A.weight": ("F32", (8, 16, 3)),
    "base_model.model.encoder.conv.lora_B.weight": ("F32", (16, 8, 1)),
}


@rule(
    "FIT116",
    Severity.ERROR,
    since="0.1",
    bad=Patch({"target_modules": ["conv"]}, _CONVOLUTION, peft=("0.14",)),
    good=Patch({"target_modules": ["conv"]}, _CONVOLUTION, peft=("0.15",)),
    source="peft/tuners/*/layer.py of each release",
)
def peft_too_old(
    config: Config, header: WeightsHeader, footprint: Footprint, simulation: AdapterSimulation | None
) -> Iterator[Finding]:
    """A PEFT release that must load the adapter does not have the layers that its tensors are for.

    LoRA of `Conv1d` and of `MultiheadAttention` came with 0.15 (DoRA of `Conv1d` with 0.16), of `Conv3d` with 0.14,
    DoRA of embeddings with 0.13: earlier releases raise as they build the layers. OFT has other tensors since 0.16;
    earlier releases load such an adapter and apply nothing of it. Types and keys of the config that came later are
    told by `peft-type-not-in-release` and `key-not-in-release`. Without settings the newest release counts.

    Require the release that brought the layers. `adapterlint compat` shows what each release makes of an adapter.
    """
    told = RELEASES[0]
    for need in sorted(needs_of(config, footprint), key=lambda need: numbers(need.since)):
        if simulation is not None and not in_range(need.since, "0", FIRST_SIMULATED):
            continue  # what the base says of it is told by others
        consequence = f"raise `{need.error}`" if need.error else "load the adapter, and nothing of these"
        count = counted(len(need.tensors), "tensor is", "tensors are")
        yield Finding(
            f"{count} {need.what}, which came with PEFT {need.since}: earlier releases {consequence}",
            at=header.at(need.tensors[0]),
            help=f"Require `peft>={need.since}`.",
            peft=f">={told},<{need.since}",
        )
        told = need.since
