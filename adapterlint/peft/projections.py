"""Projections that all adapters of a method share: VeRA's, PVeRA's and RandLora's.

The first adapter makes them, as large as its largest target; later ones take its own, if large enough. Follows
`_find_dim` and `_init_*` of `peft/tuners/{vera,pvera,randlora}/model.py` and `update_layer` of their layers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from adapterlint.base.tree import Kind, Shape
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Param, walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.preparation import expand_targets, prepare_targets, targets_of
from adapterlint.peft.refused import Refused, Undecided, check_name
from adapterlint.peft.tuner_layers import Site
from adapterlint.peft.wrappers import unwrapped


@dataclass(frozen=True, slots=True)
class _Family:
    """A method with shared projections.

    Args:
        title: How its messages call it.
        shapes: Rank, and features of the largest target -> shapes of A and B.
        sources: The same -> what the numbers in A and B depend on, besides the seed.
        checks: (Name, dimension of A or B, what must fit into it), in PEFT's order; what must fit is `inputs`,
            `outputs`, `smaller`, `larger` or `r`.
        registered: Whether each layer has them in its state dict too.
    """

    title: str
    shapes: Callable[[int, int, int], tuple[Shape, Shape]]
    sources: Callable[[int, int, int], tuple[Hashable, Hashable]]
    checks: tuple[tuple[str, int, str], ...]
    registered: bool = False


def _random_bases(r: int, inputs: int, outputs: int) -> tuple[Shape, Shape]:
    small, large = sorted((inputs, outputs))
    return (r, 1, small), (large, -(-small // r), r)


_FIRST = (("A", 1, "inputs"), ("B", 0, "outputs"), ("A", 0, "r"), ("B", 1, "r"))
# A and B come from one stream of random numbers, and more rows of B do not change the first ones.
_FAMILIES: Mapping[str, _Family] = {
    "VERA": _Family("VeRA", lambda r, i, o: ((r, i), (o, r)), lambda r, i, o: ((r, i), (r, i)), _FIRST),
    "PVERA": _Family("PVeRA", lambda r, i, o: ((2 * r, i), (o, r)), lambda r, i, o: ((r, i), (r, i)), _FIRST),
    # Both are divided by the deviation of all their numbers.
    "RANDLORA": _Family(
        "RandLora",
        _random_bases,
        lambda r, i, o: ((r, min(i, o)), (r, i, o)),
        (("B", 0, "larger"), ("A", 2, "smaller"), ("A", 0, "r"), ("B", 2, "r")),
        registered=True,
    ),
}


def make_projections(model: Model, adapter: str, config: OpenedConfig) -> None:
    """Make the projections of a first adapter, if its method has any.

    Raises:
        Refused: It has no target that they are made for.
        Undecided: The size of a target is not known.
    """
    if config.peft_type == "UNILORA":  # one vector for each adapter, that all its layers take their numbers from
        vector = Param((config.get("theta_d_length"),), ("random", model.random()))
        model.shared.setdefault("unilora_theta_d", {})[adapter] = vector
        return
    family = _FAMILIES.get(config.peft_type)
    if family is None:
        return
    check_name(adapter)
    prepare_targets(model, config)
    expand_targets(model, config)
    matcher = targets_of(model, config)
    shapes = []
    for path, module in walk(model.root):
        if matcher.verdict(path) and module.kind in (Kind.LINEAR, Kind.GPT2_CONV1D):
            weight = unwrapped(module).params.get("weight")
            shape = weight.shape if weight is not None else None
            if shape is None:
                raise Undecided
            shapes.append(shape if module.kind is Kind.LINEAR else shape[::-1])
    if not shapes:
        text = f"No layers types compatible with {family.title} were found. Please check `peft_config.target_modules`."
        raise Refused("ValueError", text, cause="no-targets")
    outputs, inputs = max(s[0] for s in shapes), max(s[1] for s in shapes)
    r, seed = config.get("r"), config.get("projection_prng_key")
    if not isinstance(r, int) or r <= 0:
        raise Undecided
    sparse = (config.get("sparse"), config.get("very_sparse"))
    made = zip("AB", family.shapes(r, inputs, outputs), family.sources(r, inputs, outputs), strict=True)
    for letter, shape, source in made:
        attribute = f"{config.peft_type.lower()}_{letter}"
        model.shared[attribute] = {adapter: Param(shape, ("projection", attribute, seed, sparse, source))}


def share_projections(model: Model, adapter: str, site: Site) -> None:
    """Give a later adapter the projections that are there.

    Raises:
        Refused: They are too small for one of its targets.
    """
    method = site.config.peft_type
    family = _FAMILIES.get(method)
    if family is None or adapter in model.shared[f"{method.lower()}_A"]:
        return
    of = {letter: model.shared[f"{method.lower()}_{letter}"] for letter in "AB"}
    inputs, outputs = site.features
    r = site.config.get("r")
    if inputs is None or outputs is None:
        raise Undecided
    needs = {
        "inputs": inputs,
        "outputs": outputs,
        "smaller": min(inputs, outputs),
        "larger": max(inputs, outputs),
        "r": r,
    }
    taken = {letter: next(iter(params.values())) for letter, params in of.items()}
    for letter, dimension, needed in family.checks:
        shape = taken[letter].shape
        if shape is None:
            raise Undecided
        if shape[dimension] < needs[needed]:
            text = f"{method.lower()}_{letter} has a size of {shape[dimension]} but {needs[needed]} or greater is "
            text += "required; this probably happened because ..."
            raise Refused("ValueError", text, module=site.key, cause="shared-projections")
    for letter, param in taken.items():
        of[letter][adapter] = param


def registered_projections(model: Model, adapter: str, config: OpenedConfig) -> dict[tuple[str, str], Param]:
    """The projections as parameters of a layer, for a method whose layers have them in their state dict."""
    if config.peft_type == "UNILORA":
        return {("unilora_theta_d", ""): model.shared["unilora_theta_d"][adapter]}
    family = _FAMILIES.get(config.peft_type)
    if family is None or not family.registered or not config.get("save_projection"):
        return {}
    return {(name, ""): of[adapter] for name, of in model.shared.items() if adapter in of}
