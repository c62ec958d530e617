"""CFG125."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Severity, rule, shown
from adapterlint.peft.fields import fields_of
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.config_class import LAYERS
from adapterlint.peft.releases import RELEASES

_SINCE = {"ADALORA": "0.11"}


@rule(
    "CFG125",
    Severity.ERROR,
    since="0.1",
    bad=(
        {"target_modules": ".*(q_proj|v_proj)", "layers_to_transform": [0, 1]},
        {"target_modules": ".*(q_proj|v_proj)", "layers_pattern": []},
    ),
    good={"layers_to_transform": [0, 1]},
    source="peft/tuners/lora/config.py, LoraConfig.__post_init__",
)
def layers_with_target_string(config: Config) -> Iterator[Finding]:
    """`layers_to_transform` or `layers_pattern` stands beside a `target_modules` that is a string.

    Layers are only counted for a list of target names. For LoRA and a dozen other methods reading the config ends
    in ``ValueError: `layers_to_transform` cannot be used when `target_modules` is a str.``, even for an empty
    list and for `"all-linear"`; the remaining methods ignore the layers and tune all of them, which is reported as
    advice.

    Write the layers into the regular expression, such as `.*\\.layers\\.(0|1)\\..*q_proj`, and set the keys to
    `null`.
    """
    fields = fields_of(config.peft_type)
    if not isinstance(config.get("target_modules"), str):
        return
    help = "Set it to `null`, and write the layers into the regular expression."
    for key in LAYERS:
        value = config.get(key)
        if key not in fields or value is None:
            continue
        if key in METHODS[config.peft_type].config.beside_pattern:
            since = _SINCE.get(config.peft_type, METHODS[config.peft_type].since)
            yield Finding(
                f"{shown(key)} is {shown(value)} beside a `target_modules` that is a string: PEFT refuses both",
                at=config.at(key),
                help=help,
                peft=None if since == RELEASES[0] else f">={since}",
            )
            return  # PEFT comes no further either
        if value != [] and key == "layers_to_transform":
            yield Finding(
                f"{shown(key)} is {shown(value)} beside a `target_modules` that is a string: PEFT ignores it and tunes "
                "every layer that the string matches",
                at=config.at(key),
                help=help,
                severity=Severity.INFO,
            )
