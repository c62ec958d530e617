"""CFG112."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Patch, Severity, rule, shown
from adapterlint.lint.example import DROP
from adapterlint.peft.methods import METHODS
from adapterlint.peft.releases import RELEASES, before

_LORA_KEYS = (
    *("alpha_pattern", "fan_in_fan_out", "init_lora_weights", "lora_alpha", "lora_dropout", "rank_pattern"),
    *("trainable_token_indices", "use_dora", "use_rslora"),
)
_BONE = Patch(
    config={"peft_type": "BONE", "init_weights": True} | dict.fromkeys(_LORA_KEYS, DROP),
    tensors={"*": DROP}
    | {
        f"base_model.model.model.layers.{layer}.self_attn.{module}.bone_block": ("F32", (8, 16))
        for layer in (0, 1)
        for module in ("q_proj", "v_proj")
    },
)


@rule(
    "CFG112",
    Severity.ERROR,
    since="0.1",
    bad=_BONE,
    good=Patch(),
    source="peft/utils/peft_types.py of each release; scripts/convert-bone-to-miss.py",
)
def peft_type_not_in_release(config: Config) -> Iterator[Finding]:
    """A PEFT release that must load the adapter does not have its PEFT type.

    Loading ends in a `KeyError` that names the type. Without settings the newest release is the one that counts:
    there `BONE` is gone, which existed from 0.14 to 0.18 and became `MISS`. With `peft` in the settings, or
    `--peft`, a type that came later than one of these releases is reported too.

    Require a release that has the type. A `BONE` checkpoint can be converted with `scripts/convert-bone-to-miss.py`
    of PEFT's repository.
    """
    method = METHODS.get(config.peft_type)
    if method is None:
        return
    at = config.at("peft_type")
    if too_old := before(method.since):
        yield Finding(
            f"The type {shown(method.name)} came with PEFT {method.since}: earlier releases raise a `KeyError`",
            at=at,
            help=f"Require `peft>={method.since}`.",
            peft=too_old,
        )
    if method.until is not None:
        gone = RELEASES[RELEASES.index(method.until) + 1]
        convert = "Convert it to `MISS` with PEFT's `scripts/convert-bone-to-miss.py`, or use "
        yield Finding(
            f"PEFT {gone} removed the type {shown(method.name)}: it raises a `KeyError`",
            at=at,
            help=f"{convert if method.name == 'BONE' else 'Use '}`peft>={method.since},<{gone}`.",
            peft=f">={gone}",
        )
