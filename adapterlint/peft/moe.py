"""What PEFT makes of configs and tensors that were saved for modules which transformers 5 calls otherwise, or fuses.

Follows `peft/utils/transformers_weight_conversion.py`, 0.19 to 0.21.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adapterlint.base.renames import renamed_plainly
from adapterlint.base.tree import Shape
from adapterlint.peft.calls import is_listed
from adapterlint.peft.matching import ALL_LINEAR, Targets
from adapterlint.peft.methods import METHODS
from adapterlint.peft.model import Model, all_linear
from adapterlint.peft.modules import walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.refused import Refused

# Family -> old name of a module -> what its weight is now part of.
_TARGETS: Mapping[str, Mapping[str, str]] = {
    "mixtral": {"gate": "gate.weight", "w1": "gate_up_proj", "w3": "gate_up_proj", "w2": "down_proj"},
    "qwen2_moe": {
        "gate": "gate.weight",
        "gate_proj": "gate_up_proj",
        "up_proj": "gate_up_proj",
        "down_proj": "down_proj",
    },
}
_FUSED: Mapping[str, tuple[str, ...]] = {"mixtral": ("w1", "w3"), "qwen2_moe": ("gate_proj", "up_proj")}
# Model type -> family, for the types that transformers 5.23 converts like one of the two (not `qwen2_moe` itself).
FAMILIES: Mapping[str, str] = dict.fromkeys(("mixtral", "minimax", "minimax_m2"), "mixtral") | dict.fromkeys(
    [
        "afmoe",
        "deepseek_v2",
        "deepseek_v3",
        "deepseek_v32",
        "dots1",
        "ernie4_5_moe",
        "glm4_moe",
        "glm4_moe_lite",
        "glm_moe_dsa",
        "glm4v_moe",
        "longcat_flash",
        "solar_open",
        "mellum",
        "qwen3_moe",
        "beam",
        "qwen3_omni_moe",
        "qwen3_omni_moe_thinker",
        "qwen3_omni_moe_text",
        "qwen3_next",
        "hunyuan_v1_moe",
        "flex_olmo",
        "olmoe",
        "exaone_moe",
        "cohere2_moe",
    ],
    "qwen2_moe",
)


def convert_config(model: Model, config: OpenedConfig) -> None:
    """`convert_peft_config_for_transformers`: targets of unfused experts become targeted parameters.

    Raises:
        Refused: Of two modules that are fused into one parameter only one is targeted.
    """
    family = FAMILIES.get(model.tree.model_type or "")
    if family is None or not METHODS[config.peft_type].fused_experts:
        return
    mapping, fused = _TARGETS[family], _FUSED[family]
    targets = config.get("target_modules")
    if isinstance(targets, str):
        targets = _leaves(model, config, targets, mapping)
        if not targets:
            return
    parameters = set(config.get("target_parameters") or ())
    remaining: list[str] = []
    present: set[str] = set()
    for target in dict.fromkeys(targets or ()):
        old = next((name for name in mapping if target == name or target.endswith(f".{name}")), None)
        if old is None:
            remaining.append(target)
            continue
        parameters.add(mapping[old])
        if old in fused:
            present.add(old)
    if 0 < len(present) < len(fused):
        missing = ", ".join(sorted(set(fused) - present))
        text = (
            f"Cannot convert PEFT target(s) {', '.join(sorted(present))} without also targeting {missing} because they "
            "are fused into gate_up_proj."
        )
        raise Refused("ValueError", text, cause="no-targets")
    if present:
        key = rf".*\.{re.escape('gate_up_proj')}"
        config["rank_pattern"] = {**(config.get("rank_pattern") or {}), key: config.get("r") * len(fused)}
        config["alpha_pattern"] = {**(config.get("alpha_pattern") or {}), key: config.get("lora_alpha") * len(fused)}
    config["target_parameters"] = sorted(parameters)
    config["target_modules"] = remaining


def _leaves(model: Model, config: OpenedConfig, text: str, mapping: Mapping[str, str]) -> list[str]:
    """`_resolve_string_target_modules`: the last components of all that a pattern matches."""
    if text.lower() == ALL_LINEAR:
        linear = all_linear(model, config)
        return list(dict.fromkeys([*(path.rpartition(".")[2] for path in linear), *mapping]))
    targets = Targets(config, saved=tuple(config.get("modules_to_save") or ()))
    parameters = [name for name, _ in model.parameters()]
    names = [path for path, _ in walk(model.root)] + parameters
    matched = dict.fromkeys(name.rpartition(".")[2] for name in names if targets.verdict(name))
    for old, new in mapping.items():
        containers = {name.rpartition(".")[0] for name in parameters if name.rpartition(".")[2] == new}
        if old not in matched and any(targets.verdict(f"{container}.{old}") for container in containers):
            matched[old] = None
    return list(matched)


_LORA, _PREFIX = ".lora_", "base_model.model."
# A tensor of LoRA on one expert that is fused: what stands before, the expert's number, the module, the factor.
_EXPERT = re.compile(r"(.*\.experts)\.(\d+)\.(w1|w2|w3|gate_proj|up_proj|down_proj)\.lora_([AB])\.(?:[^.]+\.)?weight")


def convert_tensors(
    model: Model, adapter: str, config: OpenedConfig, tensors: Mapping[str, Shape]
) -> dict[str, tuple[Shape, tuple[str, ...]]]:
    """`convert_peft_adapter_state_dict_for_transformers`: the tensors of unfused experts become one of all experts.

    Args:
        tensors: Name -> shape, as they stand in the file.

    Returns:
        Name -> shape, and the names in the file that it is made of.
    """
    plain: dict[str, tuple[Shape, tuple[str, ...]]] = {name: (shape, (name,)) for name, shape in tensors.items()}
    since = model.versions.transformers >= (5, 0) and model.versions.peft >= (0, 19)
    if not since or not METHODS[config.peft_type].fused_experts:
        return plain
    if is_listed("converts", model.versions.transformers, model.tree.model_type):
        plain = {_without(adapter, _renamed(name, model.tree.renames)): value for name, value in plain.items()}
    if model.tree.model_type not in FAMILIES and model.tree.model_type != "qwen2_moe":
        return plain
    rename = FAMILIES.get(model.tree.model_type or "") == "mixtral"
    found: dict[str, tuple[Shape, tuple[str, ...]]] = {}
    groups: dict[tuple[str, str], dict[tuple[int, str], tuple[Shape, str]]] = {}
    for name, (shape, origin) in plain.items():
        new = name.replace(".block_sparse_moe.", ".mlp.") if rename and ".lora_" in name else name
        match = _EXPERT.fullmatch(new)
        if match is None:
            found[new] = (shape, origin)
            continue
        above, expert, module, factor = match.groups()
        fused = module in ("w1", "w3", "gate_proj", "up_proj")
        target = f"{above}.base_layer.lora_{factor}.weight" if fused else f"{above}.lora_{factor}.weight"
        groups.setdefault((target, factor), {})[int(expert), module] = (shape, origin[0])
    for (target, factor), members in groups.items():
        shapes = [shape for shape, _ in members.values()]
        experts = len({expert for expert, _ in members})
        if any(len(shape) != 2 for shape in shapes):
            raise Refused(
                "ValueError", "To convert this LoRA adapter, the LoRA weights all need to have either 2 or 3 dims"
            )
        modules = len(members) // max(experts, 1)
        rank, width = shapes[0] if factor == "A" else shapes[0][::-1]
        rows = (rank * modules * experts, width)
        found[target] = (
            rows if factor == "A" else (width * modules, rows[0]),
            tuple(name for _, name in members.values()),
        )
    return found


def _without(adapter: str, name: str) -> str:
    """A tensor of LoRA without the adapter's name, which PEFT puts into some and takes out of all afterwards."""
    head, _, last = name.rpartition(".")
    if _LORA not in name or last == adapter:
        return head if _LORA in name else name
    return f"{head.removesuffix(f'.{adapter}')}.{last}"


def _renamed(name: str, renames: tuple[Any, ...]) -> str:
    """A tensor of LoRA under the name that the module has now; others are left alone."""
    if _LORA not in name or not name.startswith(_PREFIX):
        return name
    new = renamed_plainly(name[len(_PREFIX) :], renames)
    return name if name.endswith(new) else _PREFIX + new  # PEFT takes back what only leaves out a beginning
