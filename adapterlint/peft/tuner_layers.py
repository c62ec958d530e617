"""What an adapter gets on a module: the parameters that the catalogue of methods says, or what PEFT raises.

Follows the dispatchers in `peft/tuners/*/model.py` and `update_layer` in `peft/tuners/*/layer.py`, 0.15 to 0.21.2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapterlint.base.tree import Kind, Shape
from adapterlint.caches import emptied
from adapterlint.peft.allocation import check_sizes
from adapterlint.peft.decompositions import Decomposition
from adapterlint.peft.fields import reads
from adapterlint.peft.inits import changes_base_on_loading
from adapterlint.peft.methods import METHODS, Method
from adapterlint.peft.methods.expected import Made, count_on, form_on, ground_on, lists_part, made_on
from adapterlint.peft.methods.parameter import CONVOLUTIONS, EMBEDDING, GPT2, LINEARS, PARAMETER, Begins, Form
from adapterlint.peft.methods.shapes import SQUARE, Ground
from adapterlint.peft.modules import Module, Param, Value, shape_in, walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.particular import particular
from adapterlint.peft.pattern_keys import overrides
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.releases import in_range
from adapterlint.peft.versions import Versions
from adapterlint.peft.wrappers import Auxiliary, Tuned, Tuner

TRAITS = (
    *("r", "lora_alpha", "alpha", "use_rslora", "use_dora", "use_qalora", "use_bdlora", "kasa_config", "init_r"),
    *("alora_invocation_tokens", "d_initial", "coft", "eps", "block_share", "use_cayley_neumann", "apply_GS"),
    *("variant", "group_size", "block_size", "scaling", "mini_r", "act_fn", "random_loc_seed", "delora_lambda"),
    *("waveft_scaling", "psoft_alpha", "fan_in_fan_out", "init_weights", "randlora_alpha"),
)
"""Values of a config that the output depends on, whatever the method."""
# Fused experts with the inputs before the outputs (`use_experts_implementation(is_transposed=True)`, transformers 5).
_TURNED_EXPERTS = frozenset({"AriaExperts", "GptOssExperts", "OpenAIPrivacyFilterExperts"})


@dataclass(frozen=True, slots=True)
class Recipe:
    """What modules get that are alike.

    Args:
        parameters: (Attribute, rest of the name), shape, and whether there are random numbers in it.
        neutral: Which of them leave the adapter without effect as they begin.
        traits: Whatever else the output depends on.
        problem: The class of the error that a forward pass gives.
        loose: Those that PEFT loads whatever their shape.
    """

    parameters: tuple[tuple[tuple[str, str], Shape | None, bool], ...]
    neutral: frozenset[tuple[str, str]]
    traits: Hashable
    problem: str | None
    loose: tuple[Made, ...]


Recipes = dict[Hashable, Recipe]
MAX_RECIPES = 256  # configs
_kept: dict[Hashable, Recipes] = emptied({})


def recipes_of(config: OpenedConfig, versions: Versions) -> Recipes:
    """What was found for modules that are alike, of configs that say the same of the parameters."""
    said = config.peft_type, versions, tuple(str(config.get(key)) for key in _decisive(config.peft_type))
    if said not in _kept and len(_kept) >= MAX_RECIPES:
        _kept.clear()
    return _kept.setdefault(said, {})


@functools.cache
def _decisive(peft_type: str) -> tuple[str, ...]:
    """The keys of a config that parameters and what is computed with them depend on."""
    forms = METHODS[peft_type].forms
    terms = [one for form in forms for parameter in form.parameters for one in parameter.terms()]
    terms += [one for form in forms for demand in form.demands for one in (demand.when, demand.holds)]
    return tuple({*TRAITS, *(key for one in terms for key in one.keys)})


@dataclass(frozen=True, slots=True)
class Site:
    """Where an adapter's parameters are made.

    Args:
        module: The module of the base.
        key: Its path, or that of the parameter that is targeted.
        config: The adapter's config.
        draw: What random numbers depend on.
        layer: The layer, which knows what its first adapter decided.
        new: Whether this adapter is the first one of the layer.
        in_file: What the adapter's file has for this module: (attribute, rest of the name) -> shape.
        partial: Whether no more of the base is known than what adapters name.
        recipes: What was found for modules that are alike, with this config.
        decomposition: What FRoD has for modules of this role.
    """

    module: Module
    key: str
    config: OpenedConfig
    draw: Value
    layer: Tuner
    new: bool
    versions: Versions
    in_file: Mapping[tuple[str, str], Shape]
    partial: bool
    recipes: Recipes
    decomposition: Decomposition | None = None

    def random(self, *shape: int) -> Param:
        """A parameter with random numbers in it."""
        return Param(shape, ("random", self.draw))

    def constant(self, *shape: int) -> Param:
        """A parameter that begins as it always does."""
        return Param(shape, ("initial",))

    @property
    def features(self) -> tuple[int | None, int | None]:
        """Input and output features of a linear layer, `None` where they are not known."""
        weight = self.module.params.get("weight")
        shape = weight.shape if weight is not None else None
        if shape is None or len(shape) < 2:
            return None, None
        if self.module.kind in (GPT2, EMBEDDING):
            return shape[0], shape[1]
        return shape[1], shape[0]

    @property
    def release(self) -> str:
        """The release of PEFT."""
        return ".".join(map(str, self.versions.peft))


def is_simulated(peft_type: str) -> bool:
    """Whether what a type puts on modules is known, whatever files have."""
    return bool(METHODS[peft_type].forms or METHODS[peft_type].top)


def parameters_at(site: Site) -> Tuned | None:
    """The parameters that an adapter gets on a module; `None` if the method passes over it.

    Raises:
        Refused: The method does not take such a module, or not with this config.
        Undecided: What kind of module it is is not known.
    """
    method, kind = METHODS[site.config.peft_type], site.module.kind
    own = particular(method.name).parameters
    known, any_kind = is_simulated(method.name), any(len(one.on) == len(Kind) for one in method.forms)
    if isinstance(site.module, Auxiliary) and known and not any_kind:
        _refuse(site, method)
        return None
    if not known and kind is not Kind.LINEAR and not site.partial:
        raise Undecided
    if site.partial or not known:
        return _as_in_file(site)
    parameter = site.layer.parameter
    if kind is Kind.UNKNOWN and not (any_kind or parameter):
        raise Undecided
    form = form_on(method.name, PARAMETER if parameter else kind, site.release)
    if form is None:
        _refuse(site, method)
        return None
    if own is not None:
        return own(site)
    return _copied(site, method.copies) if method.copies else _made(site, method, form)


def has_factors(site: Site) -> bool:
    """Whether LoRA has its two factors there, which embeddings have in another form."""
    if site.partial:
        return ("lora_A", ".weight") in site.in_file
    return bool(site.layer.parameter) or site.module.kind in (*LINEARS, *CONVOLUTIONS, Kind.ATTENTION)


def _refuse(site: Site, method: Method) -> None:
    wrapped = isinstance(site.module, Auxiliary)  # which is certain, whatever else is known of the base
    error = unsupported(method, f"{site.module.type}(...)", site.key, site.release, sure=wrapped)
    if error is not None:
        raise error


def unsupported(method: Method, shown: str, key: str, release: str, *, sure: bool = False) -> Refused | None:
    """What a method raises at a target of a kind that it does not take; `None` if it passes over it."""
    error = next((name for first, name in method.refuses.items() if in_range(release, first, None)), None)
    if error is None:
        return None
    return Refused(error, f"Target module {shown} is not supported.", module=key, cause="target-unsupported", sure=sure)


def _as_in_file(site: Site) -> Tuned:
    """The parameters that the file has, where nothing else tells what they would be."""
    tuned = Tuned({key: Param(shape, ("random", site.draw)) for key, shape in site.in_file.items()}, frozenset())
    tuned.guessed = True
    return tuned


def _copied(site: Site, attribute: str) -> Tuned:
    """A copy of the whole module."""
    params = {
        (attribute, f".{path}.{name}" if path else f".{name}"): Param(param.shape, ("initial",))
        for path, module in walk(site.module, duplicates=True)
        for name, param in module.state()
    }
    return Tuned(params, frozenset(params))


def _made(site: Site, method: Method, form: Form) -> Tuned:
    parameter = site.layer.parameter
    weight = site.module.params.get(parameter or form.weight)
    shape = shape_in(site.module, parameter or form.weight)
    own = tuple(overrides(method.patterns, site.config, (site.key,), site.release, first=site.new).items())
    lists = frozenset(name for name in method.lists if _LISTS[name](site, name)) if method.lists else _NO_LISTS
    channels = _channels_in_file(site, shape) if site.module.kind in CONVOLUTIONS else None
    alike = (
        *(id(form), shape, "bias" in site.module.params, own, lists, channels),
        parameter and site.module.type,
    )
    recipe = site.recipes.get(alike)
    if recipe is None:  # refusals are not kept, since they name the module
        values = {**site.config, **dict(own)}
        if parameter:
            ground = _ground_of_parameter(site, values, shape)
        else:
            ground = ground_on(values, site.module.kind, shape, "bias" in site.module.params, lists)
            ground = replace(ground, channels=channels) if channels else ground
        recipe = site.recipes[alike] = _recipe(site, method, form, ground)
    noise, start = ("random", site.draw), ("initial",)
    params = {place: Param(shape, noise if is_noise else start) for place, shape, is_noise in recipe.parameters}
    tuned = Tuned(params, recipe.neutral, recipe.traits)
    tuned.problem, tuned.loose = recipe.problem, recipe.loose
    if weight is not None and not parameter and site.module.kind in LINEARS:
        _take_apart(site, weight, dict(own).get("r", site.config.get("r")))
    return tuned


def _channels_in_file(site: Site, weight: Shape | None) -> int | None:
    """The input channels of a convolution: its weight has those of one group, and LoRA's first factor all of them."""
    factor = site.in_file.get(("lora_A", ".weight"))
    if weight is None or factor is None or len(factor) != len(weight) or not weight[1] or factor[1] % weight[1]:
        return None
    return factor[1]


_NO_LISTS = frozenset[str]()


def _lists_part(site: Site, name: str) -> bool:
    return lists_part(site.config, name, site.key)


_LISTS: Mapping[str, Callable[[Site, str], bool]] = {
    "feedforward_modules": lambda site, name: site.layer.feedforward,
    "use_bdlora.target_modules_bd_a": _lists_part,
    "use_bdlora.target_modules_bd_b": _lists_part,
}


def _ground_of_parameter(site: Site, values: Mapping[str, Any], shape: Shape | None) -> Ground:
    """A single parameter: a weight, or those of fused experts (`lora.ParamWrapper`)."""
    if shape is None:
        return Ground(values)
    if len(shape) < 2 and site.versions.peft < (0, 21):  # it is asked for its columns first
        raise Refused("IndexError", "tuple index out of range", cause="target-parameters")
    if len(shape) not in (2, 3):
        text = f"lora.ParamWrapper was initialized with {len(shape)} dimensional Parameter,"
        raise Refused("ValueError", f"{text} but only 2d and 3d are supported.", cause="target-parameters")
    experts, first, second = shape if len(shape) == 3 else (1, *shape)
    turned = site.module.type in _TURNED_EXPERTS and site.versions.transformers >= (5, 0)
    if len(shape) == 3 and (site.versions.peft < (0, 19) or turned):
        first, second = second, first
    return Ground(values, inputs=second, outputs=first, experts=experts)


def _recipe(site: Site, method: Method, form: Form, ground: Ground) -> Recipe:
    r, problem = ground.values.get("r"), None
    if "r" in method.patterns_in(site.release) and not isinstance(r, int):
        raise Undecided
    if isinstance(r, int) and r <= 0 and not method.zero_rank:
        raise Refused("ValueError", f"`r` should be a positive integer value but the value passed is {r}")
    for demand in form.demands:
        asked = demand.when.of(ground) and in_range(site.release, demand.since, demand.until)
        holds = demand.holds.of(ground)
        if not asked or holds or holds is None:
            continue
        if not demand.in_forward:
            text = demand.text.format_map(_Words(ground, site.key))
            raise Refused(demand.error, text, module=site.key, cause=demand.cause, keys=demand.holds.keys)
        problem = problem or demand.error
    made = tuple(made_on(form.parameters, ground, site.release))
    check_sizes(made, site.key)
    if not all(one.certain for one in made) or any(count_on(one, ground) is None for one in form.parameters):
        raise Undecided
    held = [one for one in made if not one.parameter.file_only]
    return Recipe(
        tuple((one.place, one.sizes, one.begins is Begins.NOISE) for one in held),
        frozenset(one.place for one in held if one.begins is Begins.IDLE),
        tuple(str(ground.values.get(key)) for key in TRAITS),
        problem,
        tuple(one for one in held if one.parameter.loose),
    )


class _Words(dict[str, Any]):
    """What the text of a demand may name."""

    def __init__(self, ground: Ground, module: str) -> None:
        super().__init__(ground.values, module=module)
        self["in_features"], self["out_features"] = ground.inputs, ground.outputs
        self["features"] = SQUARE.of(ground) * ground.inputs if ground.inputs is not None else None


def _take_apart(site: Site, weight: Param, r: Any) -> None:
    """Some initialisations of LoRA take the factors out of the weight."""
    init = site.config.get("init_lora_weights")
    if changes_base_on_loading(init) and reads(site.config.peft_type, "init_lora_weights"):
        weight.value = ("decomposed", weight.value, str(init), r, site.draw if "niter" in str(init) else None)
