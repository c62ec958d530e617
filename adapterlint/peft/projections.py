"""What an adapter has once, beside its layers: projections that all adapters share, or tensors of its own.

Follows `_find_dim` and `_init_*` of `peft/tuners/{vera,pvera,randlora}/model.py` and `update_layer` of their layers.
"""

from __future__ import annotations

from collections.abc import Mapping

from adapterlint.base.tree import Kind
from adapterlint.peft.allocation import check_rank, check_sizes
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.expected import form_on, made_on
from adapterlint.peft.methods.method import Shared
from adapterlint.peft.methods.parameter import Begins
from adapterlint.peft.methods.shapes import Ground, size_of
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Param, walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.preparation import expand_targets, prepare_targets, targets_of
from adapterlint.peft.refused import Refused, Undecided, check_name
from adapterlint.peft.tuner_layers import Site
from adapterlint.peft.wrappers import unwrapped


def make_top(model: Model, adapter: str, config: OpenedConfig) -> None:
    """Make what an adapter has once: projections that later adapters share, or tensors of its own.

    Raises:
        Refused: It has no target that projections are made for.
        Undecided: The size of a target is not known.
    """
    method = METHODS[config.peft_type]
    r = config.get("r")
    if method.shared is not None and not model.shared and isinstance(r, int):
        check_rank(r, divides=method.shared.by_rank)
    own = tuple(one for one in method.top if one.group is None)  # those of groups of targets: see `decompose`
    if not own or model.tree.partial or (method.shared is not None and model.shared):
        return
    check_name(adapter)
    sizes = _target_sizes(model, config)
    if method.shared is not None:
        _make_projections(model, adapter, config, method.shared, sizes)
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
    model: Model, adapter: str, config: OpenedConfig, shared: Shared, sizes: Mapping[str, tuple[int, int]]
) -> None:
    method = METHODS[config.peft_type]
    if not sizes:
        text = f"No layers types compatible with {method.title} were found. Please check `peft_config.target_modules`."
        raise Refused("ValueError", text, cause="no-targets")
    inputs, outputs = max(s[0] for s in sizes.values()), max(s[1] for s in sizes.values())
    r, seed = config.get("r"), config.get("projection_prng_key")
    if not isinstance(r, int):
        raise Undecided
    sparse = (config.get("sparse"), config.get("very_sparse"))
    ground = Ground(dict(config), inputs, outputs)
    made = tuple(made_on(method.top, ground, model.release))
    check_sizes(made)
    for one, terms in zip(made, shared.drawn, strict=True):
        source = tuple(term.of(ground) for term in terms)
        param = Param(one.sizes, ("projection", one.name, seed, sparse, source))
        model.shared[one.name] = {adapter: param}


def share_projections(model: Model, adapter: str, site: Site) -> None:
    """Give a later adapter the projections that are there.

    Raises:
        Refused: They are too small for one of its targets.
    """
    method = METHODS[site.config.peft_type]
    if method.shared is None or adapter in model.shared[method.top[0].name]:
        return
    taken = [(one.name, next(iter(model.shared[one.name].values()))) for one in method.top]
    ground = Ground(site.config, *site.features)
    for which, dimension, term in method.shared.fits:
        (name, param), needed = taken[which], size_of(term, ground)
        if param.shape is None or needed is None:
            raise Undecided
        if param.shape[dimension] < needed:
            text = f"{name} has a size of {param.shape[dimension]} but {needed} or greater is required; this probably "
            raise Refused("ValueError", f"{text}happened because ...", module=site.key, cause="shared-projections")
    for name, param in taken:
        model.shared[name][adapter] = param


def registered_projections(model: Model, adapter: str, config: OpenedConfig) -> dict[tuple[str, str], Param]:
    """What stands at the top as parameters of a layer, for a method whose layers have it in their state dict."""
    top = [one for one in METHODS[config.peft_type].top if one.in_layers is not None]
    if not top:
        return {}
    ground = Ground(config)
    saved = [one.name for one in top if one.saved.of(ground) and adapter in model.shared.get(one.name, ())]
    return {(name, ""): model.shared[name][adapter] for name in saved}
