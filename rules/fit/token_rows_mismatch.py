"""FIT106."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import (
    AdapterSimulation,
    Config,
    Finding,
    Footprint,
    Patch,
    Severity,
    WeightsHeader,
    listed,
    rule,
    shown,
)
from adapterlint.lint.against_base import reached_in_base
from adapterlint.lint.example import HIDDEN
from adapterlint.lint.places import entry_at
from adapterlint.peft.fields import token_key
from adapterlint.peft.keys import TOKENS
from adapterlint.words import counted

_ROWS = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"
_THREE = {_ROWS: ("F32", (3, HIDDEN))}


@rule(
    "FIT106",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch({"trainable_token_indices": [60, 61]}, _THREE),
        Patch({"trainable_token_indices": {"embed_tokens": [60, 61, 62, 63]}}, _THREE),
        {"trainable_token_indices": [60, 61]},
        Patch({}, _THREE),
        Patch({"trainable_token_indices": {"lm_head": [60, 61, 62]}}, _THREE),
    ),
    good=(
        Patch({"trainable_token_indices": [60, 61, 62]}, _THREE),
        Patch({"trainable_token_indices": {"embed_tokens": [60, 61, 62]}}, _THREE),
        Patch({"trainable_token_indices": {"embed_tokens": [60, 61, 62], "lm_head": [60, 61, 62]}}, _THREE),
    ),
    source="peft/tuners/trainable_tokens/layer.py, update_layer; peft/utils/other.py, TrainableTokensWrapper",
    types=("LORA", "ADALORA", "TRAINABLE_TOKENS"),
)
def token_rows_mismatch(
    config: Config, footprint: Footprint, header: WeightsHeader, simulation: AdapterSimulation | None
) -> Iterator[Finding]:
    """The token indices of the config and the token rows of the file do not go together.

    The rows hang on the indices by their position alone. Another number of rows than of indices is refused
    (`RuntimeError: ... size mismatch for ...trainable_tokens_delta`), indices without rows too
    (`KeyError: '...token_adapter.trainable_tokens_delta'`; for `peft_type: TRAINABLE_TOKENS` the adapter loads and does
    nothing). Rows for which the config has no indices are dropped without a word.

    Give `trainable_token_indices` (or `token_indices`) as it was in training, in the same order: the file does not say
    which tokens its rows belong to. Where tied modules share one list, their rows are in the file once.
    """
    key = token_key(config.peft_type)
    yield from _missing_rows(config, footprint, key)
    sizes: dict[tuple[int, int], list[str]] = {}
    for module, tokens in footprint.trainable_tokens.items():
        if tokens.rows is not None and tokens.indices is not None:
            rows = tokens.rows.shape[0] if tokens.rows.shape else 0
            sizes.setdefault((len(tokens.indices), rows), []).append(module)
    for (indices, rows), modules in sizes.items():
        if indices != rows:
            yield Finding(
                f"{shown(key)} has {counted(indices, 'index', 'indices')}, "
                f"but the file has {counted(rows, 'row')} for {listed(modules, word='modules')}",
                at=entry_at(config, key, modules[0]),
                help=f"Give the {counted(rows, 'index', 'indices')} that were trained, in their order.",
            )
    foreign = set(footprint.foreign)
    homeless = [name for name in footprint.unexpected if name.endswith(TOKENS) and name not in foreign]
    reached = reached_in_base(simulation, header)
    homeless = [name for name in homeless if name not in reached]  # rows of a tied module are those of both
    if homeless:
        nothing = config.peft_type == "TRAINABLE_TOKENS" and not footprint.trainable_tokens
        yield Finding(
            f"The config has no indices for the token rows {listed(homeless, word='tensors')}, which are dropped",
            at=header.at(homeless[0]),
            help=f"Give {shown(key)} as it was in training, or take the rows out.",
            severity=None if nothing else Severity.WARNING,
        )


def _missing_rows(config: Config, footprint: Footprint, key: str) -> Iterator[Finding]:
    if footprint.foreign or not footprint.names:
        return
    kept = {tokens.indices for tokens in footprint.trainable_tokens.values() if tokens.rows is not None}
    if kept and config.peft_type == "TRAINABLE_TOKENS":
        return
    missing = [m for m, t in footprint.trainable_tokens.items() if t.rows is None and t.indices not in kept]
    if missing:
        yield Finding(
            f"{shown(key)} trains tokens of {listed(missing, word='modules')}, but the file has no rows for them",
            at=entry_at(config, key, missing[0]),
            help=f"Take {shown(key)} out if no tokens were trained; else the file has lost their rows.",
        )
