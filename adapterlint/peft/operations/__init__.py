"""Operations on several loaded adapters: merging, weighting, mixed batches and hot-swapping.

Each is tried on a symbolic model in which all adapters are loaded, and leaves it as it was.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft.loading import load
from adapterlint.peft.methods import METHODS
from adapterlint.peft.model import Model
from adapterlint.peft.operations.merging import merge
from adapterlint.peft.operations.mixing import mix
from adapterlint.peft.operations.outcome import Outcome
from adapterlint.peft.operations.swapping import swap
from adapterlint.peft.operations.weighting import weigh
from adapterlint.peft.refused import Refused
from adapterlint.peft.simulate import UNDECIDABLE, switch_to
from adapterlint.peft.versions import Versions

__all__ = ["Outcome", "loaded", "merge", "mix", "swap", "weigh"]


def loaded(adapters: Mapping[str, Adapter], tree: ModuleTree, versions: Versions) -> Model | None:
    """A model with adapters loaded in the order given, and the first one active.

    Returns:
        The model; `None` if one does not load, or that is not known, or if what it puts into a model is not asked for
        operations.
    """
    model = Model(tree, versions)
    try:
        for name, adapter in adapters.items():
            load(model, adapter, name)
    except (Refused, *UNDECIDABLE):
        return None
    if model.peft_type is not None and not METHODS[model.peft_type].layers_only:
        return None
    if adapters:
        switch_to(model, next(iter(adapters)))
    return model
