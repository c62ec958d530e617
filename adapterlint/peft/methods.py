"""The catalogue of PEFT types: one entry a type, with the releases that know it.

Facts from `peft/utils/peft_types.py`, the `register_peft_method` calls in `peft/tuners/*/__init__.py` (before 0.15:
`peft/mapping.py` and `peft/utils/constants.py`) and the `config.py` of each tuner, PEFT 0.10 to 0.21.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from adapterlint.peft.releases import in_range


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One PEFT type, as it stands in the `peft_type` of a config.

    Args:
        name: The value of `PeftType`; PEFT compares it with case.
        since: First release line with the type; `"0.10"` means 0.10 or older.
        until: Last release line with it; `None` if the newest one still has it.
        prefix: What the names of its parameters start with (`PEFT_TYPE_TO_PREFIX_MAPPING`); `None` for prompt
            learning, whose entry in that mapping names no parameter.
        prompt_learning: `PeftConfig.is_prompt_learning`: no modules are injected, virtual tokens are.
        mixed: In `COMPATIBLE_TUNER_TYPES` of `peft/tuners/mixed/model.py`.
        mixed_first: In `PEFT_TYPE_TO_MIXED_MODEL_MAPPING` too, so that `PeftMixedModel.from_pretrained` takes it as
            the first adapter; equals `mixed` except for OFT.
        has_modules_to_save: The config class has `modules_to_save` (prompt learning: since 0.17).
        has_bias: The config class has `bias`, which says which biases of the base are trained and saved; everything
            else is read as `"none"` (`BaseTuner._mark_only_adapters_as_trainable`).
    """

    name: str
    since: str = "0.10"
    until: str | None = None
    prefix: str | None = None
    prompt_learning: bool = False
    mixed: bool = False
    mixed_first: bool = False
    has_modules_to_save: bool = True
    has_bias: bool = False

    def known_in(self, release: str) -> bool:
        """Whether PEFT `release` (`"0.18"` or `"0.18.1"`) has the type."""
        return in_range(release, self.since, self.until)


def suggest_type(name: str) -> str | None:
    """The PEFT type that `name` was probably meant to be: the same in upper case, else the nearest spelling.

    A variant that PEFT has as an option of LoRA (`"DoRA"`, `"QLoRA"`) is LoRA.
    """
    upper = name.strip().upper()
    if upper in METHODS:
        return upper
    if upper in _LORA_VARIANTS:
        return "LORA"
    return next(iter(difflib.get_close_matches(upper, METHODS, n=1, cutoff=0.7)), None)


_LORA_VARIANTS = frozenset(
    {"ALORA", "BDLORA", "CORDA", "DORA", "EVA", "KASA", "LOFTQ", "LORA+", "LORAPLUS", "LORA_GA", "MICA", "OLORA"}
    | {"PISSA", "QALORA", "QDORA", "QLORA", "RSLORA", "VELORA"}
)

_CATALOGUE = (
    Method(name="ADALORA", prefix="lora_", mixed=True, mixed_first=True, has_bias=True),
    Method(name="ADAMSS", since="0.19", prefix="adamss_"),
    Method(name="ADAPTION_PROMPT", prefix="adaption_prompt_", has_modules_to_save=False),
    Method(name="BEFT", since="0.20", prefix="beft_"),
    Method(name="BOFT", since="0.11", prefix="boft_", has_bias=True),
    Method(name="BONE", since="0.14", until="0.18", prefix="bone_", has_bias=True),
    Method(name="C3A", since="0.16", prefix="c3a_", has_bias=True),
    Method(name="CARTRIDGE", since="0.19", prompt_learning=True),
    Method(name="CPT", since="0.14", prompt_learning=True),
    Method(name="DEFT", since="0.20", prefix="deft_", has_bias=True),
    Method(name="DELORA", since="0.18", prefix="delora_", has_bias=True),
    Method(name="FOURIERFT", since="0.12", prefix="fourierft_", has_bias=True),
    Method(name="FROD", since="0.20", prefix="frod_", has_bias=True),
    Method(name="GLORA", since="0.20", prefix="glora_", has_bias=True),
    Method(name="GRALORA", since="0.19", prefix="gralora_", has_bias=True),
    Method(name="HIRA", since="0.20", prefix="hira_"),
    Method(name="HRA", since="0.12", prefix="hra_", has_bias=True),
    Method(name="IA3", prefix="ia3_"),
    Method(name="LILY", since="0.19", prefix="lily_"),
    Method(name="LN_TUNING", since="0.11", prefix="ln_tuning_"),
    Method(name="LOHA", prefix="hada_", mixed=True, mixed_first=True),
    Method(name="LOKR", prefix="lokr_", mixed=True, mixed_first=True),
    Method(name="LORA", prefix="lora_", mixed=True, mixed_first=True, has_bias=True),
    Method(name="MISS", since="0.17", prefix="miss_", has_bias=True),
    Method(name="MULTITASK_PROMPT_TUNING", prompt_learning=True),
    Method(name="OFT", prefix="oft_", mixed=True, has_bias=True),
    Method(name="OSF", since="0.18", prefix="osf_"),
    Method(name="PEANUT", since="0.19", prefix="peanut_"),
    Method(name="POLY", prefix="poly_"),
    Method(name="PREFIX_TUNING", prompt_learning=True),
    Method(name="PROMPT_TUNING", prompt_learning=True),
    Method(name="PSOFT", since="0.19", prefix="psoft_"),
    Method(name="PVERA", since="0.19", prefix="pvera_lambda_", has_bias=True),
    Method(name="P_TUNING", prompt_learning=True),
    Method(name="RANDLORA", since="0.16", prefix="randlora_", has_bias=True),
    Method(name="ROAD", since="0.18", prefix="road_"),
    Method(name="SHADOW", since="0.21", prefix="shadow_"),
    Method(name="SHIRA", since="0.17", prefix="shira_", mixed=True, mixed_first=True),
    Method(name="SUPERTUNING", since="0.21", prefix="supertuning_"),
    Method(name="TINYLORA", since="0.19", prefix="tinylora_", has_bias=True),
    Method(name="TRAINABLE_TOKENS", since="0.15", prefix="trainable_tokens_", has_modules_to_save=False),
    Method(name="UNILORA", since="0.20", prefix="unilora_", has_bias=True),
    Method(name="VBLORA", since="0.13", prefix="vblora_", has_bias=True),
    Method(name="VERA", since="0.11", prefix="vera_lambda_", has_bias=True),
    Method(name="WAVEFT", since="0.18", prefix="waveft_", has_bias=True),
    Method(name="XLORA", since="0.12", prefix="xlora_", has_modules_to_save=False),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _CATALOGUE})
"""Every PEFT type by name."""
