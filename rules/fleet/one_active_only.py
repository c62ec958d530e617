"""FLT115."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapterlint import Finding, Fleet, FleetPatch, Patch, Severity, rule, shown
from adapterlint.lint.example import DROP, GOOD_CONFIG
from adapterlint.lint.fleet import paths
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.method import Together

_NORMS = Patch(
    config={
        **dict.fromkeys(GOOD_CONFIG, DROP),
        **{key: GOOD_CONFIG[key] for key in ("base_model_name_or_path", "inference_mode", "task_type")},
        "peft_type": "LN_TUNING",
        "target_modules": ["input_layernorm"],
    },
    tensors={
        "*": DROP,
        **{
            f"base_model.model.model.layers.{i}.input_layernorm.ln_tuning_layers.weight": ("F32", (16,))
            for i in range(2)
        },
    },
)
_WHAT_HAPPENS: Mapping[str, str] = {
    name: method.refusal for name, method in METHODS.items() if method.together is Together.ONE
}


@rule(
    "FLT115",
    Severity.ERROR,
    since="0.1",
    bad=FleetPatch({"de": _NORMS, "fr": _NORMS}, activate=(("de", "fr"),), declared=True),
    good=FleetPatch({"de": _NORMS, "fr": _NORMS}),
    source="peft/tuners/ln_tuning/layer.py, LNTuningLayer.forward; peft/tuners/shadow/model.py",
)
def one_active_only(fleet: Fleet) -> Iterator[Finding]:
    """A declared set has adapters of a PEFT type of which only one can be active.

    Prompt learning (PROMPT_TUNING, P_TUNING, PREFIX_TUNING, ...) has one prompt at a time, LN_TUNING one norm in place
    of the base's own, SHADOW and ADAPTION_PROMPT one adapter. Activating several raises, for LN_TUNING not before the
    forward pass. Switching between them works.

    Take the set out of `activate` in the settings, and switch with `set_adapter`.
    """
    for company in fleet.companies():
        peft_type = company.members[0].peft_type
        if company.declared and peft_type in _WHAT_HAPPENS:
            yield Finding(
                f"{company.who(company.members)} are of the type {shown(peft_type)}, of which one can be active: "
                f"{_WHAT_HAPPENS[peft_type]}",
                at=company.members[0].config.at("peft_type"),
                help="Switch between them with `set_adapter`.",
                adapters=paths(company.members),
            )
