"""CFG121."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapterlint import Adapter, Finding, Severity, rule, shown
from adapterlint.peft.backtracking import MAX_PLACES, endless_match, multiplies
from adapterlint.peft.config_patterns import pattern_uses
from adapterlint.peft.layout import layout
from adapterlint.peft.patterns import MAX_PATTERN, compile_error

# Names as models have them: long words, deep paths, and few modules that any pattern is made for.
_USUAL = (
    "model.language_model.layers.31.post_attention_layernorm",
    "model.layers.31.self_attn.rotary_emb",
    "model.vision_tower.encoder.layers.11.self_attn.q_proj",
    "roberta.encoder.layer.11.attention.output.LayerNorm",
)
OWN_MODULES = 4  # of the adapter's own modules, the longest names


@rule(
    "CFG121",
    Severity.WARNING,
    since="0.1",
    bad=(
        {"target_modules": r"(([a-z_]+)*\.|\d+\.)*(q_proj|v_proj)"},
        {"rank_pattern": {r"(\w+\.?)+(q|v)_proj": 8}},
    ),
    good=({"target_modules": r"(.*\.)?(q_proj|v_proj)"}, {"rank_pattern": {r"(\w+\.)*(q|v)_proj": 8}}),
    source="peft/tuners/tuners_utils.py, check_target_module_exists: re.fullmatch for every module of the base",
)
def slow_pattern(adapter: Adapter) -> Iterator[Finding]:
    """A regular expression in the config backtracks without end.

    PEFT matches it with Python's `re` against the name of every module in the base, without a bound of time:
    loading seems to hang. One repetition inside another over the same letters, such as `([a-z_]+)*`, tries every
    way to divide a name between them, and each further letter doubles the number. The steps are counted, not taken,
    on names as models have them and on the adapter's own.

    Let only one of the nested repetitions stand, or end each turn with something that the inner one cannot match,
    such as a dot: `(\\w+\\.)*q_proj`.
    """
    config = adapter.config
    if config is None:
        return
    own: tuple[str, ...] | None = None
    places = MAX_PLACES
    for use in pattern_uses(config):
        if len(use.wrapped) > MAX_PATTERN or not multiplies(use.wrapped) or compile_error(use.wrapped) is not None:
            continue
        if own is None:
            tuned: Mapping[str, Any] = layout(adapter.header.tensors, config.peft_type).tuned if adapter.header else {}
            own = tuple(sorted(tuned, key=len)[-OWN_MODULES:])
        name, places = endless_match(use.wrapped, (*_USUAL, *own), whole=use.whole, places=places)
        if name is not None:
            yield Finding(
                f"{shown(use.text)} in {shown(use.route[0])} backtracks without end: on a module named {shown(name)} "
                "Python's `re` takes more than 10 million steps, and PEFT tries it on every module",
                at=config.at(*use.route, key=use.key),
                help="Do not repeat a group that consists of a repetition, or end the group with what the inner one "
                "cannot match, such as a dot.",
                peft=f">={use.since}" if use.since else None,
            )
