"""CFG120."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Severity, rule, shown
from adapterlint.peft.config_patterns import PatternUse, pattern_uses
from adapterlint.peft.patterns import compile_error


@rule(
    "CFG120",
    Severity.ERROR,
    since="0.1",
    bad=(
        {"target_modules": "*.(q_proj|v_proj)"},
        {"rank_pattern": {"q_proj(": 8}},
        {"alpha_pattern": {"(?i)q_proj": 16}},
        {"modules_to_save": ["score["]},
        {"layers_to_transform": [0, 1], "layers_pattern": ["layers("]},
    ),
    good=({"target_modules": ".*(q_proj|v_proj)"}, {"rank_pattern": {"(q|v)_proj": 8}}),
    also=("module-to-save-by-form",),
    source="peft/tuners/tuners_utils.py, check_target_module_exists; peft/utils/other.py, get_pattern_key",
)
def invalid_pattern(config: Config) -> Iterator[Finding]:
    """A regular expression in the config does not compile.

    PEFT compiles it when it looks for the modules to adapt, and loading ends in `re.error`. A string in
    `target_modules` or `exclude_modules` is one, so are the keys of `rank_pattern` and `alpha_pattern` and the
    entries of `layers_pattern`, and since 0.16 those of `modules_to_save`. They are not file globs: `*` repeats
    what stands before it. The keys of patterns are put inside a larger expression, so a flag such as `(?i)` cannot
    stand in them.

    Repair the expression at the position that is named; write `.*` where a glob has `*`.
    """
    for use in pattern_uses(config):
        error = compile_error(use.wrapped)
        if error is None:
            continue
        yield Finding(
            _message(use, error),
            at=config.at(*use.route, key=use.key),
            help=_help(use),
            severity=None if use.certain else Severity.WARNING,
            peft=f">={use.since}" if use.since else None,
        )


def _message(use: PatternUse, error: str) -> str:
    own = compile_error(use.text)
    where = shown(use.route[0])
    if own is None:  # the position in what PEFT makes of it would mislead
        reason = error.partition(" at position")[0]
        return f"{shown(use.text)} in {where} does not compile inside the expression that PEFT puts it in: {reason}"
    return f"{shown(use.text)} in {where} is no regular expression: {own}"


def _help(use: PatternUse) -> str:
    if use.text.startswith("*"):
        return f"Write {shown('.' + use.text)}: `*` repeats what stands before it, it is no wildcard."
    if "(?" in use.text:
        return "Write the flag as a group, such as `(?i:q_proj)`; a module's name has no other case than its own."
    return "Repair the expression, or escape what is meant literally, such as `\\\\[`.".replace("\\\\", "\\")
