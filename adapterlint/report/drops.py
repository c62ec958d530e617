"""What a release of PEFT does not know of an adapter, in words: `compat`, and the load steps of `simulate`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapterlint.peft.methods import METHODS
from adapterlint.peft.verdicts import drops
from adapterlint.report.layers import clean
from adapterlint.words import counted, listed, shown

if TYPE_CHECKING:
    from adapterlint.compatibility import ReleaseVerdict
    from adapterlint.simulation import DroppedKey

MAX_TOLD = 2  # keys whose loss is told one by one
MAX_TEXT = 160  # characters of a text of PEFT's


def lost_with(keys: Sequence[DroppedKey]) -> str:
    """The keys that matter, with what each does: "`lora_bias`, which gives its layers biases of their own"."""
    told = [key for key in keys if key.matters]
    words = [f"{shown(key.key)}, which {key.role}" for key in told[:MAX_TOLD]]
    more = [f"{counted(len(told) - MAX_TOLD, 'more key')} that it needs"] if len(told) > MAX_TOLD else []
    return "; ".join([*words, *more])


def dropped_keys(keys: Sequence[DroppedKey]) -> str:
    """All keys that are dropped, those that matter first."""
    plain = [key.key for key in keys if not key.matters]
    idle = f"{listed(plain, word='keys')}, which {'changes' if len(plain) == 1 else 'change'} nothing" if plain else ""
    return "; ".join(part for part in (lost_with(keys), idle) if part)


def why_not(found: ReleaseVerdict, release: str, peft_type: str) -> str:
    """Why a release is not right for an adapter, in one sentence without a full stop."""
    if found.verdict == "unknown":
        return f"what {release} does is not known"
    if found.error is not None:
        return _refused(found, release, peft_type)
    if any(key.matters for key in found.dropped):
        return f"{release} drops {lost_with(found.dropped)}"
    if found.lost:
        return f"{release} has no place for {counted(len(found.lost), 'tensor')}, such as {clean(found.lost[0])}"
    if found.forward is None:
        return f"{release} loads it, and it changes nothing"
    return f"a forward pass of {release} raises {found.forward}"


def _refused(found: ReleaseVerdict, release: str, peft_type: str) -> str:
    error = found.error
    if error is None:
        return ""
    if error.type == "KeyError" and peft_type and error.text == repr(peft_type):
        known = "does not know" if peft_type in METHODS else "and all others do not know"
        return f"{release} {known} the type {shown(peft_type)} (KeyError)"
    if error.type == "TypeError" and found.dropped and not drops(release):
        keys = sorted(found.dropped, key=lambda key: not key.matters)
        names = listed([key.key for key in keys], word="keys")
        told = f"{release} refuses the config for {names} (TypeError)"
        idle = "it" if len(keys) == 1 else "they"
        return told if any(key.matters for key in keys) else f"{told}, though {idle} could be left out"
    if sizes := _SIZES.findall(error.text):
        name, has, wanted = sizes[0]
        more = f", and of {counted(len(sizes) - 1, 'more tensor')}" if len(sizes) > 1 else ""
        told = f"{clean(name)} is {clean(has)} in the file and {clean(wanted)} in the model{more}"
        return f"{release} raises {error.type}, size mismatch: {told}"
    return f"{release} raises {clean(f'{error.type}: {error.text}', MAX_TEXT)}"


_SIZES = re.compile(
    r"size mismatch for (.+?): copying a param with shape torch\.Size\((\[[\d, ]*\])\) from checkpoint, "
    r"the shape in current model is torch\.Size\((\[[\d, ]*\])\)"
)
"""A tensor, its shape in the file, and the one that the model has."""
