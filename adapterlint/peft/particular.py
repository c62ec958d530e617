"""Steps that three methods take and no entry of the catalogue can say: their tuners do more than make layers.

ShadowPEFT draws up a copy of the base (`shadow`), FRoD decomposes weights together (`decompositions`), and WaveFT
shares out a budget (`frequencies`). What takes the place of injection is in `loading`: adaption prompts, and X-LoRA's
experts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapterlint.peft.decompositions import Decomposition, decompose_first, frod, share_decomposition
from adapterlint.peft.frequencies import share_frequencies
from adapterlint.peft.shadow import bound_shadow, check_active, make_shadow, prepare_shadow, shadow
from adapterlint.peft.wrappers import Tuned

if TYPE_CHECKING:
    from adapterlint.peft.model import Model
    from adapterlint.peft.opened import OpenedConfig
    from adapterlint.peft.tuner_layers import Site


def _nothing(*_: object) -> None:
    """What other methods do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Particular:
    """The steps of one method, each of which may raise `Refused` or `Undecided`.

    Args:
        prepare: Before its targets are looked for: model, adapter, config.
        at_target: Before the layer of a target is made: model, adapter, path, config; gives what the target shares.
        parameters: Makes the parameters of a layer, in place of those that the catalogue says.
        injected: After all layers are there: model.
        activate: Before adapters of these names are made active.
    """

    prepare: Callable[[Model, str, OpenedConfig], None] = _nothing
    at_target: Callable[[Model, str, str, OpenedConfig], Decomposition | None] = _nothing
    parameters: Callable[[Site], Tuned] | None = None
    injected: Callable[[Model], None] = _nothing
    activate: Callable[[Sequence[str]], None] = _nothing


_PARTICULAR: Mapping[str, Particular] = {
    "FROD": Particular(prepare=decompose_first, at_target=share_decomposition, parameters=frod),
    "SHADOW": Particular(
        prepare=prepare_shadow,
        at_target=make_shadow,
        parameters=shadow,
        injected=bound_shadow,
        activate=check_active,
    ),
    "WAVEFT": Particular(prepare=share_frequencies),
}
_ORDINARY = Particular()


def particular(peft_type: str | None) -> Particular:
    """The steps of a method; of most there are none."""
    return _PARTICULAR.get(peft_type or "", _ORDINARY)
