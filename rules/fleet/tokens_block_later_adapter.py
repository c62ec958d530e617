"""FLT112."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapterlint import Cause, Finding, Fleet, FleetPatch, FleetSimulation, Member, Patch, Severity, listed, rule
from adapterlint.lint.causes import by_type, first_of, later_of, modules_of, worst
from adapterlint.lint.example import with_tokens
from adapterlint.lint.fleet import name_all, paths, they

_HEAD = "base_model.model.lm_head.token_adapter.trainable_tokens_delta"
_TOKENS = with_tokens(60)
_HEAD_TOKENS = Patch(config={"trainable_token_indices": {"lm_head": [60]}}, tensors={_HEAD: ("F32", (1, 16))})
_ERROR = "`KeyError: '...token_adapter.trainable_tokens_delta'`"


@rule(
    "FLT112",
    Severity.WARNING,
    since="0.1",
    bad=(
        FleetPatch({"chat": _TOKENS, "plain": {}}),
        FleetPatch({"chat": _TOKENS, "plain": {}}, declared=True, ordered=True),
        FleetPatch({"embedding": _TOKENS, "head": _HEAD_TOKENS}, declared=True),
    ),
    good=(
        FleetPatch({"plain": {}, "chat": _TOKENS}, declared=True, ordered=True),
        FleetPatch({"plain": {}, "more": {"lora_alpha": 8}}),
    ),
    source="peft/utils/other.py, TrainableTokensWrapper.adapter_state_dict_load_map",
)
def tokens_block_later_adapter(fleet: Fleet, simulation: FleetSimulation) -> Iterator[Finding]:
    """An adapter replaces token rows, and adapters without rows there cannot be loaded after it.

    Once a module has token rows, PEFT asks every adapter that is loaded for rows of it: `KeyError:
    '...token_adapter.trainable_tokens_delta'`, in all releases from 0.15 to 0.21. The adapter stays behind half
    loaded. The order matters: adapters without token rows first. Where two adapters replace rows of different modules,
    no order works. Whatever the order, `save_pretrained()` raises `KeyError` for the adapters without rows;
    `selected_adapters=[...]` with the others works.

    Load the adapters with token rows last, those with more modules after those with fewer, and declare this `order` in
    the settings.
    """
    for causes in by_type(simulation.about("tokens-block-later-adapter")):
        declared = [cause for cause in causes if cause.declared and not cause.hopeless]
        circle = [cause for cause in causes if cause.hopeless]
        if circle:
            yield _finding(circle, "Load them into models of their own.", circle=True)
        if declared:
            blocked = later_of(declared)
            yield _finding(declared, f"Load {name_all(blocked)} first.")
        simple = [cause for cause in causes if cause not in declared and cause not in circle]
        if simple:
            last = _last(simple)
            order = ", in this order" if len({frozenset(m.rows) for m in last}) > 1 else ""
            yield _finding(
                simple,
                f"Load {name_all(last)} last{order}. To save, name these in `selected_adapters`: the others cannot be "
                "saved from a model with token rows.",
            )


def _last(causes: Sequence[Cause]) -> list[Member]:
    """Those with token rows, those with rows of more modules later."""
    return sorted(first_of(causes), key=lambda m: len(m.rows))


def _finding(causes: Sequence[Cause], remedy: str, *, circle: bool = False) -> Finding:
    blocking = _last(causes)
    blocked = list(later_of(causes))
    names = modules_of(causes)
    modules = listed(names, word="modules")
    if circle:
        blocking = list(dict.fromkeys((*blocking, *blocked)))
        message = (
            f"{name_all(blocking)} replace token rows of different modules ({modules}): whichever is loaded first, the "
            f"next one raises {_ERROR}"
        )
    elif causes[0].declared:
        message = (
            f"{they(blocked, 'is', 'are')} declared to be loaded after {name_all(blocking)}, but "
            f"{'has' if len(blocked) == 1 else 'have'} no token rows of {modules}: {_ERROR}"
        )
    else:
        message = (
            f"{they(blocking, 'replaces', 'replace')} token rows of {modules}, and {name_all(blocked)} cannot be "
            f"loaded after that: {_ERROR}"
        )
    return Finding(
        message,
        at=blocking[0].at_tokens(names[0]),
        help=remedy,
        severity=worst(causes),
        adapters=paths(dict.fromkeys((*blocking, *blocked))),
        peft=causes[0].peft,
    )
