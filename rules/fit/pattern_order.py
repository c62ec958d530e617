"""FIT111."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapterlint import Config, Finding, Footprint, Severity, listed, rule, shown
from adapterlint.lint.example import DROP
from adapterlint.peft.pattern_keys import is_affordable, matching_keys
from adapterlint.peft.ranks import PATTERNED, misfits
from adapterlint.words import counted


@rule(
    "FIT111",
    Severity.WARNING,
    since="0.1",
    bad=(
        {"alpha_pattern": {".*proj": 32, "q_proj": 64}},
        {"r": 2, "rank_pattern": {".*": 4, "q_proj|v_proj": 8}},
    ),
    good=(
        {"alpha_pattern": {"layers.0.self_attn.q_proj": 64, "q_proj": 32}},
        {"alpha_pattern": {"q_proj": 64, ".*proj": 32}, "r": DROP},
        {"alpha_pattern": {"k_proj": 32, "q_proj": 64}, "target_modules": ["q_proj", "v_proj"], "lora_alpha": 32},
    ),
    source="peft/config.py, save_pretrained (json.dumps with sort_keys=True); peft/utils/other.py, get_pattern_key",
    types=PATTERNED,
)
def pattern_order(config: Config, footprint: Footprint) -> Iterator[Finding]:
    """Two keys of a pattern match one module, and their order was not kept.

    The first key of `rank_pattern` or `alpha_pattern` that matches a module decides, in the order of the file; but PEFT
    sorts the keys when it saves. Where the tensors have the rank that a later key gives, the order is proven wrong, and
    they are refused (`RuntimeError: ... size mismatch`): an error. Which `lora_alpha` a module was trained with cannot
    be seen, and another one scales it otherwise without a word: a warning where an earlier key takes everything from a
    later one, as nobody writes them who knows the rule. Keys that are not sorted were written by hand and are not told.

    Write keys that no two of match one module, or the more special ones so that they sort first.
    """
    wrong: dict[tuple[str, str], list[str]] = {}
    for one in misfits(config, footprint):
        if one.better is not None:
            wrong.setdefault((one.route[-1], one.better), []).append(one.module)
    for (first, better), modules in wrong.items():
        yield Finding(
            f"{shown(first)} comes before {shown(better)} in `rank_pattern`, but {listed(modules, word='modules')} "
            f"have the rank of the latter",
            at=config.at("rank_pattern", first, key=True),
            help="Narrow the first key, so that it does not match these modules.",
            severity=Severity.ERROR,
        )
    patterns = config.mapping("alpha_pattern")
    if len(patterns) < 2 or list(patterns) != sorted(patterns) or not is_affordable(patterns, footprint.tuned):
        return
    for (first, later), modules in _shadowed(patterns, footprint).items():
        yield Finding(
            f"{shown(first)} takes all that {shown(later)} in `alpha_pattern` matches, "
            f"{counted(len(modules), 'module')}, and their values differ",
            at=config.at("alpha_pattern", later, key=True),
            help="Write keys of which no two match one module: PEFT does not keep their order.",
        )


def _shadowed(patterns: Mapping[str, Any], footprint: Footprint) -> dict[tuple[str, str], list[str]]:
    """(the key that decides, the key that never does) -> the modules that both match."""
    decides: set[str] = set()
    beaten: dict[str, dict[str, list[str]]] = {}
    for module in footprint.tuned:
        first, *others = [*matching_keys(patterns, module)] or [""]
        decides.add(first)
        for other in others:
            beaten.setdefault(other, {}).setdefault(first, []).append(module)
    return {
        (first, other): modules
        for other, firsts in beaten.items()
        if other not in decides
        for first, modules in list(firsts.items())[:1]
        if patterns[first] != patterns[other]
    }
