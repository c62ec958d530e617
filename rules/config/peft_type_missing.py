"""CFG110."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Severity, rule
from adapterlint.lint.example import DROP


@rule(
    "CFG110",
    Severity.ERROR,
    since="0.1",
    bad={"peft_type": DROP},
    good={"peft_type": "LORA"},
    source="peft/config.py, PeftConfigMixin._get_peft_type",
)
def peft_type_missing(config: Config) -> Iterator[Finding]:
    """The config does not say which PEFT method it is for.

    Every way to load the adapter ends in `KeyError: 'peft_type'`. The key is missing in configs that were written
    by hand, or by a script that dumped the arguments of `LoraConfig` instead of calling `save_pretrained`.

    Add `"peft_type"`, for LoRA `"LORA"`, and check that the other keys of the config are there too: what is missing
    takes the default of the PEFT release that loads it.
    """
    if "peft_type" not in config:
        lora = any(key in config for key in ("lora_alpha", "lora_dropout", "rank_pattern"))
        yield Finding(
            "`peft_type` is missing: PEFT raises `KeyError: 'peft_type'`",
            at=config.at(),
            help='Add `"peft_type": "LORA"`.' if lora else 'Add the method, such as `"peft_type": "LORA"`.',
        )
