"""FLT112."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapterlint import Finding, Fleet, FleetPatch, Member, Patch, Severity, listed, rule
from adapterlint.lint.fleet import name_all, paths, they

_EMBEDDING, _HEAD = "base_model.model.model.embed_tokens", "base_model.model.lm_head"
_DELTA = "token_adapter.trainable_tokens_delta"
_TOKENS = Patch(config={"trainable_token_indices": [60]}, tensors={f"{_EMBEDDING}.{_DELTA}": ("F32", (1, 16))})
_HEAD_TOKENS = Patch(
    config={"trainable_token_indices": {"lm_head": [60]}}, tensors={f"{_HEAD}.{_DELTA}": ("F32", (1, 16))}
)
_TYPES = ("LORA", "ADALORA")
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
def tokens_block_later_adapter(fleet: Fleet) -> Iterator[Finding]:
    """An adapter replaces token rows, and adapters without rows there cannot be loaded after it.

    Once a module has token rows, PEFT asks every adapter that is loaded for rows of it: `KeyError:
    '...token_adapter.trainable_tokens_delta'`, in all releases from 0.15 to 0.21. The adapter stays behind half
    loaded. The order matters: adapters without token rows first. Where two adapters replace rows of different modules,
    no order works. Whatever the order, `save_pretrained()` raises `KeyError` for the adapters without rows;
    `selected_adapters=[...]` with the others works.

    Load the adapters with token rows last, those with more modules after those with fewer, and declare this `order` in
    the settings.
    """
    for members in fleet.alike():
        if members[0].peft_type not in _TYPES:
            continue
        kinds = _kinds(members)
        late = [k for k in kinds if any(k.blocks(other) for other in kinds)]
        if not late:
            continue
        if fleet.ordered:
            yield from _in_order(members, kinds)
            continue
        early = [k for k in kinds if any(other.blocks(k) for other in kinds)]
        blocking, blocked = _members(late), _members(early)
        modules = listed(dict.fromkeys(name for k in late for name in sorted(k.rows)), word="modules")
        circle = any(k.blocks(other) and other.blocks(k) for k in late for other in late)
        yield Finding(
            f"{name_all(blocking)} replace token rows of different modules ({modules}): whichever is loaded first, the "
            f"next one raises {_ERROR}"
            if circle
            else f"{they(blocking, 'replaces', 'replace')} token rows of {modules}, and {name_all(blocked)} cannot be "
            f"loaded after that: {_ERROR}",
            at=blocking[0].at_tokens(min(late[0].rows)),
            help="Load them into models of their own."
            if circle
            else f"Load {name_all(blocking)} last{', in this order' if len(late) > 1 else ''}. To save, name these in "
            "`selected_adapters`: the others cannot be saved from a model with token rows.",
            severity=fleet.severity if circle else None,
            adapters=paths((*blocking, *blocked)),
        )


@dataclass(slots=True, eq=False)
class _Kind:
    """Adapters that are alike in what counts here: whose rows they have, and what else they do to modules with rows."""

    rows: frozenset[str]
    touched: frozenset[str]
    members: list[Member]

    def blocks(self, later: _Kind) -> bool:
        return not self.rows <= later.touched


def _kinds(members: tuple[Member, ...]) -> list[_Kind]:
    """The kinds of adapters, those with rows of more modules later."""
    modules = {module for m in members for module in m.rows}
    kinds: dict[tuple[frozenset[str], frozenset[str]], _Kind] = {}
    for m in members:
        rows = frozenset(m.rows)
        # What else an adapter does to such a module is a conflict of its own, which other rules tell.
        touched = rows.union(n for n in modules if m.tunes(n) or n in m.footprint.modules_to_save)
        kinds.setdefault((rows, touched), _Kind(rows, touched, [])).members.append(m)
    return sorted(kinds.values(), key=lambda k: len(k.rows))


def _members(kinds: list[_Kind]) -> list[Member]:
    return [m for k in kinds for m in k.members]


def _in_order(members: tuple[Member, ...], kinds: list[_Kind]) -> Iterator[Finding]:
    kind_of = {m: k for k in kinds for m in k.members}
    loaded: list[Member] = []
    blocked: list[Member] = []
    for m in members:
        blocks = any(kind_of[other].blocks(kind_of[m]) for other in loaded)
        (blocked if blocks else loaded).append(m)
    blocking = [m for m in loaded if any(kind_of[m].blocks(kind_of[other]) for other in blocked)]
    if blocked:
        modules = listed(dict.fromkeys(name for m in blocking for name in sorted(kind_of[m].rows)), word="modules")
        yield Finding(
            f"{they(blocked, 'is', 'are')} declared to be loaded after {name_all(blocking)}, but "
            f"{'has' if len(blocked) == 1 else 'have'} no token rows of {modules}: {_ERROR}",
            at=blocking[0].at_tokens(min(kind_of[blocking[0]].rows)),
            help=f"Load {name_all(blocked)} first.",
            severity=Severity.ERROR,
            adapters=paths((*blocking, *blocked)),
        )
