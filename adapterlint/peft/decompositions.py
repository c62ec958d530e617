"""FRoD's joint decompositions: per adapter one of all targets that play one role.

Follows `FrodModel` and `FrodLayer` (`peft/tuners/frod/`), 0.20 to 0.21.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapterlint.base.tree import Kind, Shape
from adapterlint.peft.methods.shared import category, off_diagonal
from adapterlint.peft.modules import Module, Param, Value, walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.preparation import expand_targets, prepare_targets, targets_of
from adapterlint.peft.refused import Refused, Undecided, check_name
from adapterlint.peft.wrappers import Tuned, Tuner, weight_of

if TYPE_CHECKING:
    from adapterlint.peft.model import Model
    from adapterlint.peft.tuner_layers import Site


@dataclass(frozen=True, slots=True)
class Decomposition:
    """What a role has for one adapter.

    Args:
        inputs: The features that its targets take.
        count: How many numbers of a square matrix are trained, besides its diagonal.
        members: The targets that are decomposed together: path, and where the data of its weight comes from.
        drawn: Roles and counts for which random places were drawn, up to this one.
    """

    inputs: int
    count: int
    members: tuple[tuple[str, Value], ...]
    drawn: tuple[tuple[str, int], ...]


def decompose_first(model: Model, adapter: str, config: OpenedConfig) -> None:
    """What the tuner does as the first adapter makes it."""
    if len(model.configs) == 1 and not model.tree.partial:
        decompose(model, adapter, config)


def decompose(model: Model, adapter: str, config: OpenedConfig) -> None:
    """`_init_frod_projections`: decompose the targets of an adapter, and keep what comes of it if it is to be saved.

    Raises:
        Refused: There is no target, or targets of one role have inputs of different sizes.
        Undecided: The size of a target is not known.
    """
    prepare_targets(model, config)
    expand_targets(model, config)
    matcher = targets_of(model, config)
    members: dict[str, dict[str, Param]] = {}
    for path, module in walk(model.root):
        if matcher.verdict(path) and (weight := _decomposed(module)) is not None:
            members.setdefault(category(path), {})[path] = weight
    if not members:
        text = "No layer types compatible with FRoD were found. Please check `peft_config.target_modules`."
        raise Refused("ValueError", text, cause="no-targets")
    check_name(adapter)
    drawn: tuple[tuple[str, int], ...] = ()
    for role, of in sorted(members.items()):
        widths = {weight.shape[1] for weight in of.values() if weight.shape}
        if len(widths) > 1:
            text = "Sizes of tensors must match except in dimension 0."
            raise Refused("RuntimeError", text, cause="shared-projections")
        (inputs,) = widths
        count = off_diagonal(inputs, config.get("sparse_rate"))
        drawn = (*drawn, (role, count))
        made = Decomposition(inputs, count, tuple((path, weight.value) for path, weight in of.items()), drawn)
        model.decomposed.setdefault(role, {})[adapter] = made
        _share(model, adapter, role, made, config)


def share_decomposition(model: Model, adapter: str, path: str, config: OpenedConfig) -> Decomposition | None:
    """What `_create_and_replace` and `update_layer` do for one target: a role that is known is not decomposed again."""
    if model.tree.partial:
        return None
    role = category(path)
    if role not in model.decomposed:
        decompose(model, adapter, config)
    known = model.decomposed.get(role)
    if known is not None and adapter not in known:
        known[adapter] = next(iter(known.values()))
        _share(model, adapter, role, known[adapter], config)
    return known[adapter] if known is not None else None


def _share(model: Model, adapter: str, role: str, made: Decomposition, config: OpenedConfig) -> None:
    if not config.get("save_projection"):
        return
    shapes: dict[str, Shape] = {"V": (made.inputs, made.inputs), "s_indices": (2, made.count), "s_size": (2,)}
    for name, shape in shapes.items():
        attribute = f"frod_{name}.{role}"
        model.shared.setdefault(attribute, {})[adapter] = Param(shape, ("projection", attribute))


def _decomposed(module: Module) -> Param | None:
    """The weight that is decomposed, as a linear layer has it."""
    layer = isinstance(module, Tuner) and module.method == "FROD"
    if module.kind not in (Kind.LINEAR, Kind.GPT2_CONV1D) and not layer:
        return None
    weight = weight_of(module)
    if weight is None or weight.shape is None or len(weight.shape) != 2:
        raise Undecided
    turned = module.kind is Kind.GPT2_CONV1D
    return Param(weight.shape[::-1], weight.value) if turned else weight


def frod(site: Site) -> Tuned:
    """The parameters of an adapter on one target."""
    made = site.decomposition
    if made is None:
        raise Undecided
    params = {
        ("frod_lambda_s_values", ""): site.constant(made.count),
        ("frod_lambda_l", ""): site.constant(made.inputs),
    }
    idle = frozenset(params if site.config.get("init_weights", True) else ())
    weight = weight_of(site.module)
    places = None if site.config.get("save_projection") else (made.drawn, site.config.get("projection_prng_key"))
    return Tuned(params, idle, (made.members, weight.value if weight is not None else None, places))
