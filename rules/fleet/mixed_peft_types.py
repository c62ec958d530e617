"""FLT106."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Member, Patch, Severity, rule, shown
from adapterlint.lint.example import DROP, GOOD_CONFIG
from adapterlint.lint.fleet import name_all, paths
from adapterlint.peft.methods import METHODS
from adapterlint.words import MAX_LISTED, counted

_IA3 = Patch(
    config={
        **dict.fromkeys(GOOD_CONFIG, DROP),
        **{key: GOOD_CONFIG[key] for key in ("base_model_name_or_path", "inference_mode", "task_type")},
        "peft_type": "IA3",
        "target_modules": ["k_proj"],
        "feedforward_modules": [],
    },
    tensors={
        "*": DROP,
        **{f"base_model.model.model.layers.{i}.self_attn.k_proj.ia3_l": ("F32", (16, 1)) for i in range(2)},
    },
)


@rule(
    "FLT106",
    Severity.WARNING,
    since="0.1",
    bad=(FleetPatch({"lora": {}, "scaled": _IA3}), FleetPatch({"lora": {}, "scaled": _IA3}, declared=True)),
    good=(FleetPatch({"lora": {}, "another": {"lora_alpha": 32}}), FleetPatch({"scaled": _IA3, "more": _IA3})),
    source="peft/tuners/tuners_utils.py; peft/peft_model.py, PeftModel.add_adapter",
)
def mixed_peft_types(fleet: Fleet) -> Iterator[Finding]:
    """The adapters are of different PEFT types.

    `PeftModel` takes only adapters of the type of the first one: `ValueError: Cannot combine adapters with different
    peft types. Found PeftType.LORA and PeftType.IA3.` `PeftMixedModel` combines some types (LORA, LOHA, LOKR, ADALORA,
    OFT, SHIRA), for inference only.

    Keep one model for each type, or use `PeftMixedModel` where it knows all of them.
    """
    types: dict[str, list[Member]] = {}
    for member in fleet.members:
        if member.peft_type != "XLORA":  # loads LoRA adapters itself, as its experts
            types.setdefault(member.peft_type, []).append(member)
    if len(types) < 2:
        return
    ranked = sorted(types.items(), key=lambda item: -len(item[1]))
    kinds = "; ".join(f"{name} {name_all(those)}" for name, those in ranked[:MAX_LISTED])
    kinds += f"; {counted(len(types) - MAX_LISTED, 'more type')}" if len(types) > MAX_LISTED else ""
    first = next(m for m in fleet.members if m.peft_type != fleet.members[0].peft_type)
    mixed = all(METHODS[name].mixed for name in types)
    yield Finding(
        f"The adapters are of {counted(len(types), 'PEFT type')} ({kinds}), of which `PeftModel` takes one: "
        "`ValueError: Cannot combine adapters with different peft types`",
        at=first.config.at("peft_type"),
        help=(
            f"Load them with `PeftMixedModel`, {shown(_first(types))} first, or into one model for each type."
            if mixed
            else "Load them into one model for each type."
        ),
        severity=fleet.severity,
        adapters=paths(m for those in types.values() for m in those),
    )


def _first(types: dict[str, list[Member]]) -> str:
    """The name of an adapter that `PeftMixedModel.from_pretrained` takes."""
    return next(those[0].name for name, those in types.items() if METHODS[name].mixed_first)
