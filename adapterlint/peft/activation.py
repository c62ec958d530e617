"""Making adapters active: in tuner layers, in auxiliary modules, and in what a tuner remembers.

Follows `BaseTuner.set_adapter` (`peft/tuners/tuners_utils.py`), 0.15 to 0.21.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapterlint.peft.auxiliary import switch
from adapterlint.peft.methods import METHODS
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Module, walk
from adapterlint.peft.particular import particular
from adapterlint.peft.wrappers import TokenLayer, Tuner


def set_adapters(model: Model, names: Sequence[str]) -> None:
    """`BaseTuner.set_adapter`, which before 0.18 left auxiliary modules as they were."""
    particular(model.peft_type).activate(names)
    if model.versions.peft >= (0, 18):
        switch(model.root, names, model.versions)
    set_tuners(model.root, list(names), model.layers_of)
    mark_active(model, list(names))


def mark_active(model: Model, names: list[str]) -> None:
    """What a tuner remembers; that of X-LoRA has no memory of its own before 0.18, but that of the one inside."""
    model.active = names
    if model.versions.peft < (0, 18):
        model.mixed = names


def set_tuners(root: Module, names: list[str], method: str) -> None:
    """Make adapters active in the tuner layers of a method."""
    rows = bool(method) and METHODS[method].token_rows
    for _, module in walk(root):
        if (isinstance(module, Tuner) and module.method == method) or (rows and isinstance(module, TokenLayer)):
            module.active = list(names)
