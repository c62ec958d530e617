"""FIT110."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, Severity, listed, rule
from adapterlint.peft.fields import fields_of
from adapterlint.peft.matching import is_affordable, pattern_matches
from adapterlint.peft.ranks import PATTERNED


@rule(
    "FIT110",
    Severity.WARNING,
    since="0.1",
    bad=(
        {"alpha_pattern": {"^q_proj": 32}},
        {"rank_pattern": {"base_model.model.model.layers.0.self_attn.q_proj": 4}},
    ),
    good=({"alpha_pattern": {"q_proj": 32}}, {"alpha_pattern": {"model.layers.0.self_attn.q_proj": 32}}),
    source="peft/utils/other.py, get_pattern_key; peft/tuners/tuners_utils.py, inject_adapter",
    types=PATTERNED,
)
def pattern_matches_nothing(config: Config, footprint: Footprint) -> Iterator[Finding]:
    """A key of `rank_pattern` or `alpha_pattern` matches no module of the file.

    PEFT puts a key into `re.match(rf"(.*\\.)?({key})$", name)`, where `name` is the module's path in the base model.
    Keys of paths below `base_model.model.`, keys of parameters (`q_proj.lora_A`) and, unless it is the whole path, keys
    that begin with `^` never match: the modules get the plain `r` and `lora_alpha`, so that they are scaled otherwise
    than the config says, or their tensors are refused for their size. Since 0.21 PEFT warns (`keys did not match any
    targeted module and were ignored`), before it says nothing.

    Write keys as the last components of module paths (`q_proj`, `layers.0.self_attn.q_proj`), or take them out.
    """
    if not footprint.tuned or footprint.foreign:
        return
    for attribute, plain in (("rank_pattern", "r"), ("alpha_pattern", "lora_alpha")):
        patterns = config.mapping(attribute)
        if not patterns or not is_affordable(patterns, footprint.tuned):
            continue
        plain = plain if plain in fields_of(config.peft_type) else "alpha"
        usual = config.get(plain, fields_of(config.peft_type)[plain].default)
        parameters = [p.rpartition(".")[2] for p in config.strings("target_parameters")]
        idle = [
            key
            for key, value in patterns.items()
            if value != usual
            and not any(pattern_matches(key, module) is not False for module in footprint.tuned)
            and not any(pattern_matches(key, f"{m}.{p}") is not False for p in parameters for m in footprint.tuned)
        ]
        if idle:
            yield Finding(
                f"`{attribute}` has {listed(idle, word='keys')}, but no module of the file matches",
                at=config.at(attribute, idle[0], key=True),
                help=_remedy(idle[0], plain),
            )


def _remedy(key: str, plain: str) -> str:
    if key.startswith("^"):
        return "Take the `^` away: PEFT puts something before the key by itself."
    if key.startswith("base_model."):
        return "Write the path as it is in the base model, without `base_model.model.`."
    return f"Correct the keys, or take them out: as they are, `{plain}` holds."
