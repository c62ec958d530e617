"""TEN120."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapterlint import Config, Finding, Footprint, Patch, Severity, WeightsHeader, listed, rule, shown
from adapterlint.lint.example import DROP
from adapterlint.peft.strays import strays

_Q = "base_model.model.model.layers.0.self_attn.q_proj."

# Parameters that PEFT always saves together: what has one of a set has all of it.
_TOGETHER: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "LORA": (("lora_A.weight", "lora_B.weight"), ("lora_embedding_A", "lora_embedding_B")),
    "ADALORA": (("lora_A", "lora_B", "lora_E"),),
    "LOHA": (("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),),
    "LOKR": (("lokr_w1_a", "lokr_w1_b"), ("lokr_w2_a", "lokr_w2_b")),
    "BOFT": (("boft_R", "boft_s"),),
    "VERA": (("vera_lambda_b", "vera_lambda_d"),),
    "PVERA": (("pvera_lambda_b", "pvera_lambda_d"),),
    "RANDLORA": (("randlora_lambda", "randlora_gamma"),),
    "VBLORA": (("vblora_logits_A", "vblora_logits_B"),),
    "SHIRA": (("shira_weight", "shira_indices"),),
    "ROAD": (("road_theta", "road_alpha"),),
    "OSF": (("osf_svd_params.U_low", "osf_svd_params.S_low", "osf_svd_params.V_low"),),
    "DELORA": (("delora_A", "delora_B", "delora_lambda"),),
    "GRALORA": (("gralora_A", "gralora_B"), ("gralora_A_general.weight", "gralora_B_general.weight")),
    "DEFT": (("deft_P", "deft_R"),),
    "HIRA": (("hira_A", "hira_B"),),
    "ADAPTION_PROMPT": (("adaption_prompt", "adaption_gate"),),
}
_LORA = {
    "lora_B.weight": "PEFT keeps it at zero there, so these modules are not changed",
    "lora_A.weight": "PEFT keeps it random there, so these modules are changed at random",
}


@rule(
    "TEN120",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch(tensors={f"{_Q}lora_B.weight": DROP}),
        Patch(tensors={f"{_Q}lora_A.weight": DROP}),
    ),
    good=Patch(),
    types=tuple(_TOGETHER),
    source="peft/peft_model.py, PeftModel.from_pretrained: missing keys are a warning",
)
def unpaired_factor(config: Config, header: WeightsHeader, footprint: Footprint) -> Iterator[Finding]:
    """A module has one factor of its update, but not the other.

    The update of a module is a product (`lora_B @ lora_A` in LoRA), and PEFT saves all its factors. If the file lacks
    one, PEFT keeps the value the layer began with: a missing `lora_B` is zero, so the module is not changed at all; a
    missing `lora_A` is random, so the trained `lora_B` is multiplied with noise, another one at each load.
    `from_pretrained` warns "Found missing adapter keys" since 0.14, `load_adapter` says nothing.
    Such files come from shards that were put together badly, from filters on names, and from extraction tools.

    Save the adapter again from where it was trained; what is missing cannot be computed from the rest.
    """
    sets = _TOGETHER[config.peft_type]
    uniform = sum(map(len, footprint.tuned.values())) == len(footprint.tuned) * len(footprint.shapes)
    if uniform and not _lacking(sets, tuple(footprint.shapes)):
        return  # every module has every parameter
    kinds = set(map(tuple, footprint.tuned.values()))  # few: most modules have the same parameters
    lacking = {names: lacks for names in kinds if (lacks := _lacking(sets, names))}
    if not lacking or strays(header.tensors, config.peft_type):
        return  # a tensor under a wrong name is told as that
    missing: dict[str, list[str]] = {}
    for module, parameters in footprint.tuned.items():
        for name in lacking.get(tuple(parameters), ()):
            missing.setdefault(name, []).append(module)
    for name, modules in missing.items():
        present = next(p for p in footprint.tuned[modules[0]] if p.startswith(name[: name.index("_")]))
        nothing = name == "lora_B.weight" and len(modules) == len(header.tensors)
        yield Finding(
            f"{shown(name)} is missing beside {shown(present)} in {listed(modules, word='modules')}; "
            f"{_LORA.get(name, 'PEFT keeps the value it begins with')}",
            at=header.at(footprint.names.get((modules[0], present))),
            help="Save the adapter again from where it was trained.",
            severity=Severity.ERROR if nothing else None,
        )


def _lacking(sets: tuple[tuple[str, ...], ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """What a module lacks of the sets of which it has something."""
    inner = {n.removesuffix(n.replace("base_layer.", "")) for n in names}  # `base_layer.` of inner parameters
    wanted = [[before + one for one in together] for before in inner for together in sets]
    return tuple(n for together in wanted if any(n in names for n in together) for n in together if n not in names)
