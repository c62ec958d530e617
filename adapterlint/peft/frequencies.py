"""WaveFT's budget of frequencies, which targets share by their sizes (`WaveFTModel`, 0.18 to 0.21.2)."""

from __future__ import annotations

from math import prod

from adapterlint.base.tree import Kind
from adapterlint.peft.model import Model
from adapterlint.peft.modules import walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.preparation import expand_targets, prepare_targets, targets_of
from adapterlint.peft.wrappers import Tuner, weight_of


def share_frequencies(model: Model, _: str, config: OpenedConfig) -> None:
    """`_calculate_proportional_parameters`: the number of each target stands in `n_frequency_pattern` then.

    Where the size of a target is not known, nothing changes, and no number is known.
    """
    if not config.get("proportional_parameters") or model.tree.partial:
        return
    prepare_targets(model, config)
    expand_targets(model, config)
    matcher = targets_of(model, config)
    sizes: dict[str, int] = {}
    for path, module in walk(model.root):
        plain = module.base if isinstance(module, Tuner) else module
        if not matcher.verdict(path) or plain.kind not in (Kind.LINEAR, Kind.GPT2_CONV1D):
            continue
        weight = weight_of(plain)
        if weight is None or not weight.shape:
            return
        sizes[path] = prod(weight.shape)
    total, budget = sum(sizes.values()), config["n_frequency"] * len(sizes)
    least = 1 if model.versions.peft >= (0, 20) else 0
    config["n_frequency_pattern"] = {path: max(least, round(size / total * budget)) for path, size in sizes.items()}
    config["proportional_parameters"] = False
