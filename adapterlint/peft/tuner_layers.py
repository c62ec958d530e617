"""How PEFT methods build their layers: which kinds of module each one takes, and what it raises for others.

From the dispatchers in `peft/tuners/*/model.py`, 0.15 to 0.21.2. A method without an entry here is not simulated: what
it puts on a module is then what the adapter's file has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapterlint.base.tree import Kind
from adapterlint.peft import tuner_parameters as parameters
from adapterlint.peft.later_parameters import later
from adapterlint.peft.modules import Param
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.tuner_parameters import CONVOLUTIONS, Site
from adapterlint.peft.wrappers import Auxiliary, Tuned

LINEAR, GPT2, EMBEDDING = Kind.LINEAR, Kind.GPT2_CONV1D, Kind.EMBEDDING
CONV1D, CONV2D, CONV3D = CONVOLUTIONS


@dataclass(frozen=True, slots=True)
class Layer:
    """How a method builds its layers.

    Args:
        kinds: Kind of module -> first release that takes it.
        error: What it raises for other modules: (first release, class of the error), newest first; nothing if it passes
            over them.
        attributes: What holds the parameters of all adapters: (attribute, its class), in the order of the layer.
        parameters: Gives the parameters of one adapter.
    """

    kinds: Mapping[Kind, tuple[int, int]]
    error: tuple[tuple[tuple[int, int], str], ...]
    attributes: tuple[tuple[str, str], ...]
    parameters: Callable[[Site], Tuned]


_V = ((0, 0), "ValueError")
_LORA_ATTRIBUTES = (
    ("lora_dropout", "ModuleDict"),
    ("lora_A", "ModuleDict"),
    ("lora_B", "ModuleDict"),
    ("lora_embedding_A", "ParameterDict"),
    ("lora_embedding_B", "ParameterDict"),
    ("lora_magnitude_vector", "ModuleDict"),
)
_ADALORA_ATTRIBUTES = (
    ("lora_dropout", "ModuleDict"),
    ("lora_A", "ParameterDict"),
    ("lora_B", "ParameterDict"),
    ("lora_embedding_A", "ParameterDict"),
    ("lora_embedding_B", "ParameterDict"),
    ("lora_magnitude_vector", "ModuleDict"),
    ("lora_E", "ParameterDict"),
    ("ranknum", "ParameterDict"),
)
_ALWAYS = (0, 0)
_ANY = dict.fromkeys(Kind, _ALWAYS)
_LINEARS, _BOTH = {LINEAR: _ALWAYS}, {LINEAR: _ALWAYS, GPT2: _ALWAYS}
_TYPE_ERROR = ((_ALWAYS, "TypeError"),)
_SINCE_20 = (((0, 20), "TypeError"), _V)


def _later(kinds: Mapping[Kind, tuple[int, int]], error: tuple[tuple[tuple[int, int], str], ...], names: str) -> Layer:
    """A layer whose parameters are in `later_parameters`; a name with a colon is that of a `ModuleDict`."""
    attributes = [(n.removesuffix(":"), "ModuleDict" if n.endswith(":") else "ParameterDict") for n in names.split()]
    return Layer(kinds, error, tuple(attributes), later)


LAYERS: Mapping[str, Layer] = {
    "LORA": Layer(
        {
            LINEAR: (0, 0),
            GPT2: (0, 0),
            EMBEDDING: (0, 0),
            CONV2D: (0, 0),
            CONV3D: (0, 14),
            CONV1D: (0, 15),
            Kind.ATTENTION: (0, 14),
        },
        (_V,),
        _LORA_ATTRIBUTES,
        parameters.lora,
    ),
    "ADALORA": Layer({LINEAR: (0, 0), GPT2: (0, 0), CONV2D: (0, 20)}, (_V,), _ADALORA_ATTRIBUTES, parameters.adalora),
    "IA3": Layer(
        {LINEAR: (0, 0), GPT2: (0, 0), CONV2D: (0, 0), CONV3D: (0, 14)},
        (_V,),
        (("ia3_l", "ParameterDict"),),
        parameters.ia3,
    ),
    "LOHA": Layer(
        {LINEAR: (0, 0), CONV2D: (0, 0), CONV1D: (0, 18)},
        (((0, 20), "TypeError"), _V),
        tuple((f"hada_{name}", "ParameterDict") for name in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")),
        parameters.loha,
    ),
    "LOKR": Layer(
        {LINEAR: (0, 0), CONV2D: (0, 0), CONV1D: (0, 18)},
        (((0, 20), "TypeError"), _V),
        tuple((f"lokr_{name}", "ParameterDict") for name in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")),
        parameters.lokr,
    ),
    "VERA": Layer(
        {LINEAR: (0, 0), GPT2: (0, 0)},
        (((0, 20), "TypeError"), _V),
        (("vera_dropout", "ModuleDict"), ("vera_lambda_b", "ParameterDict"), ("vera_lambda_d", "ParameterDict")),
        parameters.vera,
    ),
    "OFT": Layer(
        {LINEAR: (0, 0), CONV2D: (0, 0), EMBEDDING: (0, 21)},
        (((0, 21), "TypeError"), _V),
        (("oft_R", "ModuleDict"), ("oft_dropout", "ModuleDict")),
        parameters.oft,
    ),
    "BOFT": Layer(
        {LINEAR: (0, 0), CONV2D: (0, 0)},
        (((0, 20), "TypeError"), _V),
        (("boft_dropout", "ModuleDict"), ("boft_R", "ParameterDict"), ("boft_s", "ParameterDict")),
        parameters.boft,
    ),
    "BONE": Layer({LINEAR: (0, 0)}, (_V,), (("bone_block", "ParameterDict"),), parameters.bone),
    "HRA": Layer(
        {LINEAR: (0, 0), CONV2D: (0, 0)}, (((0, 20), "TypeError"), _V), (("hra_u", "ParameterDict"),), parameters.hra
    ),
    "LN_TUNING": Layer(_ANY, (_V,), (("ln_tuning_layers", "ModuleDict"),), parameters.ln_tuning),
    "BEFT": _later(_LINEARS, _TYPE_ERROR, "beft_bias"),
    "C3A": _later(_LINEARS, _SINCE_20, "c3a_kernel"),
    "DEFT": _later(_BOTH, _TYPE_ERROR, "deft_P deft_R deft_dropout:"),
    "DELORA": _later(_LINEARS, _SINCE_20, "delora_dropout: delora_A delora_B delora_lambda delora_w_norm"),
    "FOURIERFT": _later(_BOTH, _SINCE_20, "fourierft_spectrum"),
    "GRALORA": _later(_BOTH, _SINCE_20, "gralora_dropout: gralora_A gralora_B gralora_A_general: gralora_B_general:"),
    "HIRA": _later(
        {**_BOTH, EMBEDDING: (0, 0), **dict.fromkeys(CONVOLUTIONS, (0, 0))},
        (_V,),
        "hira_dropout: hira_A hira_B hira_embedding_A hira_embedding_B",
    ),
    "LILY": _later(_LINEARS, ((_ALWAYS, "NotImplementedError"),), "lily_A: lily_B: lily_router:"),
    "MISS": _later(_LINEARS, _SINCE_20, "miss_dropout: miss_block"),
    "OSF": _later(_LINEARS, (), "osf_svd_params:"),
    "PEANUT": _later(
        _LINEARS,
        ((_ALWAYS, "NotImplementedError"),),
        "peanut_A: peanut_B: peanut_encoders: peanut_decoders:",
    ),
    "POLY": _later(_LINEARS, _SINCE_20, "poly_router: poly_lora_A poly_lora_B"),
    "PSOFT": _later(_LINEARS, (_V,), "psoft_dropout: psoft_R:"),
    "PVERA": _later(_BOTH, (_V,), "pvera_dropout: pvera_lambda_b pvera_lambda_d"),
    "RANDLORA": _later(_BOTH, (_V,), "randlora_dropout: randlora_lambda randlora_gamma"),
    "ROAD": _later(_LINEARS, (_V,), "road_theta road_alpha"),
    "SHIRA": _later(_LINEARS, _SINCE_20, "shira_weight"),
    "SUPERTUNING": _later(
        _LINEARS, _TYPE_ERROR, "supertuning_values supertuning_lora_A: supertuning_lora_B: supertuning_lora_dropout:"
    ),
    "WAVEFT": _later(_BOTH, _SINCE_20, "waveft_spectrum"),
}
"""PEFT type -> how it builds its layers."""


def parameters_at(site: Site) -> Tuned | None:
    """The parameters that an adapter gets on a module; `None` if the method passes over it.

    Raises:
        Refused: The method does not take such a module, or not with this config.
        Undecided: What kind of module it is is not known.
    """
    method = site.config.peft_type
    layer = LAYERS.get(method)
    if isinstance(site.module, Auxiliary) and layer is not None and method != "LN_TUNING":
        _refuse(site, layer)
        return None
    if layer is None and site.module.kind is not LINEAR and not site.partial:
        raise Undecided
    if site.partial or layer is None:
        return _as_in_file(site)
    if site.layer.parameter:
        return parameters.lora_parameter(site)
    kind = site.module.kind
    if kind is Kind.UNKNOWN and method != "LN_TUNING":
        raise Undecided
    since = layer.kinds.get(kind)
    if since is None or since > site.versions.peft:
        _refuse(site, layer)
        return None
    if kind in (*CONVOLUTIONS, Kind.ATTENTION) and method not in ("LORA", "LN_TUNING"):
        raise Undecided  # the shapes of convolutions are known for LoRA only
    if kind is Kind.ATTENTION:
        raise Undecided
    return layer.parameters(site)


def _refuse(site: Site, layer: Layer) -> None:
    if not layer.error:
        return
    error = next(name for first, name in layer.error if first <= site.versions.peft)
    text = f"Target module {site.module.type}(...) is not supported."
    wrapped = isinstance(site.module, Auxiliary)  # which is certain, whatever else is known of the base
    raise Refused(error, text, module=site.key, cause="target-unsupported", sure=wrapped)


def _as_in_file(site: Site) -> Tuned:
    """The parameters that the file has, where nothing else tells what they would be."""
    tuned = Tuned({key: Param(shape, ("random", site.draw)) for key, shape in site.in_file.items()}, frozenset())
    tuned.guessed = True
    return tuned
