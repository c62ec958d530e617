"""What an adapter has once, beside its layers: projections that all adapters share, or tensors of its own.

VeRA, PVeRA and RandLora share projections: the first adapter makes them, as large as its largest target; later ones
take its own, if large enough. Follows `_find_dim` and `_init_*` of `peft/tuners/{vera,pvera,randlora}/model.py` and
`update_layer` of their layers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from adapterlint.base.tree import Kind
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.expected import form_on, made_on
from adapterlint.peft.methods.method import Begins
from adapterlint.peft.methods.shapes import Ground
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
        sources: Rank, and features of the largest target -> what the numbers in A and B depend on, besides the seed.
        checks: (Name, dimension of A or B, what must fit into it), in PEFT's order; what must fit is `inputs`,
            `outputs`, `smaller`, `larger` or `r`.
        registered: Whether each layer has them in its state dict too.
    """

    sources: Callable[[int, int, int], tuple[Hashable, Hashable]]
    checks: tuple[tuple[str, int, str], ...]
    registered: bool = False


_FIRST = (("A", 1, "inputs"), ("B", 0, "outputs"), ("A", 0, "r"), ("B", 1, "r"))
# A and B come from one stream of random numbers, and more rows of B do not change the first ones.
_FAMILIES: Mapping[str, _Family] = {
    "VERA": _Family(lambda r, i, o: ((r, i), (r, i)), _FIRST),
    "PVERA": _Family(lambda r, i, o: ((r, i), (r, i)), _FIRST),
    # Both are divided by the deviation of all their numbers.
    "RANDLORA": _Family(
        lambda r, i, o: ((r, min(i, o)), (r, i, o)),
        (("B", 0, "larger"), ("A", 2, "smaller"), ("A", 0, "r"), ("B", 2, "r")),
        registered=True,
    ),
}


def make_top(model: Model, adapter: str, config: OpenedConfig) -> None:
    """Make what an adapter has once: projections that later adapters share, or tensors of its own.

    Raises:
        Refused: It has no target that projections are made for.
        Undecided: The size of a target is not known.
    """
    family = _FAMILIES.get(config.peft_type)
    own = tuple(
        one for one in METHODS[config.peft_type].top if one.group is None
    )  # those of groups of targets are FRoD's: see `decompose`
    if not own or model.tree.partial or (family is not None and model.shared):
        return
    check_name(adapter)
    sizes = _target_sizes(model, config)
    if family is not None:
        _make_projections(model, adapter, config, family, sizes)
        return
    for made in made_on(own, Ground(dict(config), targets=len(sizes)), model.release):
        start = ("random", model.random()) if made.begins is Begins.NOISE else ("initial",)
        model.shared.setdefault(made.name, {})[adapter] = Param(made.sizes, start)


def _target_sizes(model: Model, config: OpenedConfig) -> dict[str, tuple[int, int]]:
    """Target -> input and output features, of the kinds of modules that the method takes."""
    prepare_targets(model, config)
    expand_targets(model, config)
    matcher = targets_of(model, config)
    found = {}
    for path, module in walk(model.root):
        base = unwrapped(module)
        if matcher.verdict(path) and form_on(config.peft_type, base.kind, model.release) is not None:
            weight = base.params.get("weight")
            shape = weight.shape if weight is not None else None
            if shape is None:
                raise Undecided
            first, second = shape
            found[path] = (second, first) if base.kind is Kind.LINEAR else (first, second)
    return found


def _make_projections(
    model: Model, adapter: str, config: OpenedConfig, family: _Family, sizes: Mapping[str, tuple[int, int]]
) -> None:
    method = METHODS[config.peft_type]
    if not sizes:
        text = f"No layers types compatible with {method.title} were found. Please check `peft_config.target_modules`."
        raise Refused("ValueError", text, cause="no-targets")
    inputs, outputs = max(s[0] for s in sizes.values()), max(s[1] for s in sizes.values())
    r, seed = config.get("r"), config.get("projection_prng_key")
    if not isinstance(r, int) or r <= 0:
        raise Undecided
    sparse = (config.get("sparse"), config.get("very_sparse"))
    made = made_on(method.top, Ground(dict(config), inputs, outputs), model.release)
    for one, source in zip(made, family.sources(r, inputs, outputs), strict=True):
        param = Param(one.sizes, ("projection", one.name, seed, sparse, source))
        model.shared[one.name] = {adapter: param}


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
        vectors = model.shared.get("unilora_theta_d", {})
        return {("unilora_theta_d", ""): vectors[adapter]} if adapter in vectors else {}
    family = _FAMILIES.get(config.peft_type)
    if family is None or not family.registered or not config.get("save_projection"):
        return {}
    return {(name, ""): of[adapter] for name, of in model.shared.items() if adapter in of}
