"""FIT110."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from adapterlint import Config, Finding, Footprint, Severity, listed, rule
from adapterlint.peft.fields import fields_of
from adapterlint.peft.pattern_keys import is_affordable, pattern_matches
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
    fields = fields_of(config.peft_type)
    for attribute, plain in (("rank_pattern", "r"), ("alpha_pattern", "lora_alpha"), ("alpha_pattern", "alpha")):
        patterns = config.mapping(attribute)
        if not patterns or not {attribute, plain} <= fields.keys() or not is_affordable(patterns, footprint.tuned):
            continue
        usual = config.get(plain, fields[plain].default)
        idle = [key for key, value in patterns.items() if value != usual and _is_idle(key, config, footprint)]
        if idle:
            yield Finding(
                f"`{attribute}` has {listed(idle, word='keys')}, but no module of the file matches",
                at=config.at(attribute, idle[0], key=True),
                help=_remedy(idle[0], plain),
            )


MAX_PARAMETERS = 64  # names of targeted parameters; real configs have two or three


def _is_idle(key: str, config: Config, footprint: Footprint) -> bool:
    # A target without tensors is excluded, or the matter of another rule; so are tensors of a parameter that is none.
    owner = key.rpartition(".")[0]
    if owner and any(pattern_matches(owner, module) is not False for module in footprint.untargeted):
        return False
    targets = (f"_.{entry}" for entry in config.strings("target_modules"))
    parameters = {parameter.rpartition(".")[2] for parameter in config.strings("target_parameters")}
    inside = (f"{module}.{parameter}" for parameter in parameters for module in footprint.tuned)
    if len(parameters) > MAX_PARAMETERS:
        return False
    return all(pattern_matches(key, name) is False for name in chain(footprint.tuned, targets, inside))


def _remedy(key: str, plain: str) -> str:
    if key.startswith("^"):
        return "Take the `^` away: PEFT puts something before the key by itself."
    if key.startswith("base_model."):
        return "Write the path as it is in the base model, without `base_model.model.`."
    return f"Correct the keys, or take them out: as they are, `{plain}` holds."
