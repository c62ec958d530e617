"""What layers raise around a linear layer that gives more than one tensor, as the routers of some models do.

`several.json` is recorded by `tests/peft/make_several.py`: layers ask the result for its data type, add to it, or give
one tensor in its place.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping

from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.method import Together
from adapterlint.peft.releases import in_range
from adapterlint.peft.wrappers import Tuner

_ACTIVE, _OFF, _ABSENT, _NONE = range(4)  # the layer's adapter runs, is switched off, another one is active, or none


def several_error(layer: Tuner, release: str, *, off: bool) -> str | None:
    """The class of the error of a layer whose base gives several tensors.

    Args:
        layer: The layer.
        release: Of PEFT.
        off: Whether adapters are switched off.

    Raises:
        KeyError: It is not recorded for this method.
    """
    seen = _table()[f"{layer.method} feedforward" if layer.feedforward else layer.method]
    since = [first for first in seen if in_range(release, first, None)]
    return seen[since[-1]][_state(layer, off)] if since else None


def _state(layer: Tuner, off: bool) -> int:
    if off or layer.disabled:
        return _OFF
    active = layer.active[:1] if METHODS[layer.method].together is Together.FIRST else layer.active
    return _ACTIVE if any(name in layer.adapters for name in active) else _ABSENT if active else _NONE


@functools.cache
def _table() -> Mapping[str, Mapping[str, list[str | None]]]:
    from importlib import resources  # imports slowly

    found: Mapping[str, Mapping[str, list[str | None]]] = json.loads(
        resources.files("adapterlint.peft").joinpath("several.json").read_text("utf-8")
    )
    return found
