"""The parameters that a PEFT method makes on a module: `update_layer` in `peft/tuners/*/layer.py`, 0.15 to 0.21.2.

Each function is given a site and says which parameters one adapter has there, of which shape, and which of them leave
the adapter without effect as long as they are as initialised.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from adapterlint.base.tree import Kind, Shape
from adapterlint.peft.inits import changes_base_on_loading
from adapterlint.peft.matching import matching_keys
from adapterlint.peft.modules import Module, Param, Value, walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.versions import Versions
from adapterlint.peft.wrappers import Tuned, Tuner

LINEAR, GPT2, EMBEDDING = Kind.LINEAR, Kind.GPT2_CONV1D, Kind.EMBEDDING
CONVOLUTIONS = (Kind.CONV1D, Kind.CONV2D, Kind.CONV3D)


@dataclass(frozen=True, slots=True)
class Site:
    """Where an adapter's parameters are made.

    Args:
        module: The module of the base.
        key: Its path, or that of the parameter that is targeted.
        config: The adapter's config.
        draw: What random numbers depend on.
        layer: The layer, which knows what its first adapter decided.
        in_file: What the adapter's file has for this module: (attribute, rest of the name) -> shape.
        partial: Whether no more of the base is known than what adapters name.
    """

    module: Module
    key: str
    config: OpenedConfig
    draw: Value
    layer: Tuner
    versions: Versions
    in_file: Mapping[tuple[str, str], Shape]
    partial: bool

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

    def pattern(self, patterns: str, default: Any) -> Any:
        """The value that `rank_pattern` or `alpha_pattern` gives to the module; the first matching key decides."""
        found = self.config.get(patterns)
        keys = found if isinstance(found, dict) else {}
        return next((keys[key] for key in matching_keys(keys, self.key)), default)

    def rank(self, key: str = "r") -> int:
        """The rank of the adapter here.

        Raises:
            Refused: It is not positive.
        """
        rank = self.pattern("rank_pattern", self.config.get(key))
        if not isinstance(rank, int):
            raise Undecided
        if rank <= 0:
            raise Refused("ValueError", f"`r` should be a positive integer value but the value passed is {rank}")
        return rank

    def random(self, *shape: int | None) -> Param:
        """A parameter with random numbers in it."""
        return Param(_shape(*shape), ("random", self.draw))

    def constant(self, *shape: int | None) -> Param:
        """A parameter that begins without effect."""
        return Param(_shape(*shape), ("initial",))


def _shape(*shape: int | None) -> Shape | None:
    return None if None in shape else tuple(n for n in shape if n is not None)


def _traits(config: OpenedConfig, r: int, alpha: Any) -> Hashable:
    """What LoRA of two factors depends on besides them."""
    return (r, alpha, bool(config.get("use_rslora")), bool(config.get("use_dora")), config.signature())


def lora(site: Site) -> Tuned:
    """LoRA and DoRA."""
    config, module = site.config, site.module
    init = config.get("init_lora_weights")
    decomposed = changes_base_on_loading(init)
    r = site.rank()
    alpha = site.pattern("alpha_pattern", config.get("lora_alpha"))
    traits = _traits(config, r, alpha)
    if module.kind is EMBEDDING:
        rows, width = site.features
        params = {("lora_embedding_A", ""): site.constant(r, rows), ("lora_embedding_B", ""): site.random(width, r)}
        neutral: set[str] = {"lora_embedding_A"}
        magnitude: tuple[int | None, ...] = (width,)
    elif module.kind in CONVOLUTIONS:
        params, magnitude = _lora_conv(site, r)
        neutral = {"lora_B"}
    else:
        inputs, outputs = site.features
        # OLoRA does not turn the weight of a GPT-2 Conv1D, and neither factor fits then (`olora_init`).
        turned = str(init).lower() == "olora" and module.kind is GPT2
        rows, columns = (outputs, inputs) if turned else (inputs, outputs)
        # A decomposition has no more ranks than the weight.
        rank = min(n for n in (r, inputs, outputs) if n) if decomposed else r
        params = {("lora_A", ".weight"): site.random(rank, rows), ("lora_B", ".weight"): site.constant(columns, rank)}
        neutral, magnitude = {"lora_B"}, (outputs,)
        if config.get("lora_bias"):
            params["lora_B", ".bias"] = site.constant(outputs)
    if config.get("use_dora"):
        params["lora_magnitude_vector", ".weight"] = site.constant(*magnitude)
        neutral.add("lora_magnitude_vector")
    if decomposed and module.kind in (LINEAR, GPT2):
        weight = module.params.get("weight")
        if weight is not None:
            weight.value = ("decomposed", weight.value, str(init), r, site.draw if "niter" in str(init) else None)
        neutral = set()
    elif init is False:
        neutral = set()
    tuned = Tuned(params, frozenset(neutral), traits)
    a = params.get(("lora_A", ".weight"))
    if module.kind is GPT2 and a is not None and a.shape and a.shape[1] != site.features[0]:
        tuned.problem = "RuntimeError"
    return tuned


def _lora_conv(site: Site, r: int) -> tuple[dict[tuple[str, str], Param], tuple[int | None, ...]]:
    weight = site.module.params.get("weight")
    shape = weight.shape if weight is not None else None
    if shape is None:
        unknown = site.random(None)
        return {("lora_A", ".weight"): unknown, ("lora_B", ".weight"): site.constant(None)}, (None,)
    out, inputs, *kernel = shape
    ones = (1,) * len(kernel)
    params = {
        ("lora_A", ".weight"): site.random(r, inputs, *kernel),
        ("lora_B", ".weight"): site.constant(out, r, *ones),
    }
    return params, (1, out, *ones)


def lora_parameter(site: Site) -> Tuned:
    """LoRA of one `nn.Parameter`, of a linear layer or of fused experts (`lora.ParamWrapper`)."""
    config, name = site.config, site.layer.parameter
    for key in ("lora_dropout", "fan_in_fan_out", "lora_bias", "use_dora", "velora_config", "kasa_config"):
        if config.get(key):
            raise Refused("ValueError", f"lora.ParamWrapper does not work with {key}.", cause="target-parameters")
    r = site.rank()
    alpha = site.pattern("alpha_pattern", config.get("lora_alpha"))
    param = site.module.params.get(name)
    shape = param.shape if param is not None else None
    experts: int | None
    if shape is None:
        experts = inputs = outputs = None
    elif len(shape) == 3:
        experts, outputs, inputs = shape
        if site.versions.peft < (0, 19):
            outputs, inputs = inputs, outputs
    elif len(shape) == 2:
        experts, outputs, inputs = 1, *shape
    elif len(shape) < 2 and site.versions.peft < (0, 21):  # it is asked for its columns first
        raise Refused("IndexError", "tuple index out of range", cause="target-parameters")
    else:
        text = f"lora.ParamWrapper was initialized with {len(shape)} dimensional Parameter,"
        raise Refused("ValueError", f"{text} but only 2d and 3d are supported.", cause="target-parameters")
    rank = r * experts if experts is not None else None
    params = {("lora_A", ".weight"): site.random(rank, inputs), ("lora_B", ".weight"): site.constant(outputs, rank)}
    # Of a matrix it is what LoRA of the module is: the product of the factors is added to the weight.
    return Tuned(params, frozenset({"lora_B"}), _traits(config, r, alpha))


def adalora(site: Site) -> Tuned:
    """AdaLoRA."""
    r = site.config.get("init_r")
    inputs, outputs = site.features
    params = {
        ("lora_A", ""): site.random(r, inputs),
        ("lora_B", ""): site.random(outputs, r),
        ("lora_E", ""): site.constant(r, 1),
        ("ranknum", ""): site.constant(1),
    }
    return Tuned(params, frozenset({"lora_E"}), (r, site.config.get("lora_alpha")))


def ia3(site: Site) -> Tuned:
    """IA3; whether it scales inputs or outputs was decided by the first adapter of the layer."""
    inputs, outputs = site.features
    shape = (1, inputs) if site.layer.feedforward else (outputs, 1)
    neutral = frozenset({"ia3_l"} if site.config.get("init_ia3_weights", True) else ())
    return Tuned({("ia3_l", ""): site.constant(*shape)}, neutral)


def loha(site: Site) -> Tuned:
    """LoHa of a linear layer."""
    r = site.rank()
    inputs, outputs = site.features
    params = {
        ("hada_w1_a", ""): site.random(outputs, r),
        ("hada_w1_b", ""): site.random(r, inputs),
        ("hada_w2_a", ""): site.random(outputs, r),
        ("hada_w2_b", ""): site.constant(r, inputs),
    }
    neutral = frozenset({"hada_w2_b"} if site.config.get("init_weights", True) else ())
    return Tuned(params, neutral, (r, site.pattern("alpha_pattern", site.config.get("alpha"))))


def lokr(site: Site) -> Tuned:
    """LoKr of a linear layer."""
    config = site.config
    r = site.rank()
    inputs, outputs = site.features
    traits = (r, site.pattern("alpha_pattern", config.get("alpha")))
    factor = config.get("decompose_factor", -1)
    if inputs is None or outputs is None or not isinstance(factor, int):
        raise Undecided
    (left, right), (above, below) = factors(outputs, factor), factors(inputs, factor)
    params: dict[tuple[str, str], Param] = {}
    if config.get("decompose_both") and r < max(left, above) / 2:
        params["lokr_w1_a", ""], params["lokr_w1_b", ""] = site.constant(left, r), site.random(r, above)
    else:
        params["lokr_w1", ""] = site.constant(left, above)
    if r < max(right, below) / 2:
        params["lokr_w2_a", ""], params["lokr_w2_b", ""] = site.random(right, r), site.random(r, below)
    else:
        params["lokr_w2", ""] = site.random(right, below)
    init = config.get("init_weights", True)
    neutral = {"lokr_w2", "lokr_w2_b"} if init == "lycoris" else {"lokr_w1", "lokr_w1_a"} if init else set()
    return Tuned(params, frozenset(neutral), traits)


def factors(dimension: int, factor: int) -> tuple[int, int]:
    """LoKr's `factorization`: two factors as near to each other as `factor` allows, the smaller one first."""
    if factor > 0 and dimension % factor == 0:
        return factor, dimension // factor
    limit = dimension if factor == -1 else factor
    small, large = 1, dimension
    while small < large:
        new = next(n for n in range(small + 1, dimension + 1) if dimension % n == 0)
        if new + dimension // new > small + large or new > limit:
            break
        small, large = new, dimension // new
    return (small, large) if small <= large else (large, small)


def vera(site: Site) -> Tuned:
    """VeRA: two vectors; the projections are shared."""
    r = site.config.get("r")
    _, outputs = site.features
    params = {("vera_lambda_b", ""): site.constant(outputs), ("vera_lambda_d", ""): site.constant(r)}
    return Tuned(params, frozenset({"vera_lambda_b"}), (r, site.config.get("d_initial")))


def oft(site: Site) -> Tuned:
    """OFT: rotations, as skew-symmetric blocks since 0.16."""
    config = site.config
    inputs, _ = site.features if site.module.kind is not EMBEDDING else (site.features[1], None)
    block, r = config.get("oft_block_size"), config.get("r")
    traits = tuple(config.get(k) for k in ("coft", "eps", "block_share", "use_cayley_neumann"))
    if inputs is None or not isinstance(block, int) or not isinstance(r, int):
        return Tuned({("oft_R", ".weight"): site.constant(None)}, frozenset({"oft_R"}), traits)
    if block:
        block = nearest_divisor(inputs, block)
        r = inputs // block
    else:
        r = nearest_divisor(inputs, r)
        block = inputs // r
    blocks = 1 if config.get("block_share") else r
    if site.versions.peft < (0, 16):
        outputs = site.features[1]
        params = {("oft_r", ""): site.constant(blocks, block, block), ("oft_s", ""): site.constant(outputs, 1)}
        return Tuned(params, frozenset({"oft_r", "oft_s"}), traits)
    attribute = "oft_embedding_R" if site.module.kind is EMBEDDING else "oft_R"
    params = {(attribute, ".weight"): site.constant(blocks, block * (block - 1) // 2)}
    return Tuned(params, frozenset({attribute}), traits)


def nearest_divisor(features: int, wanted: int) -> int:
    """OFT's `adjust_oft_parameters`: the divisor of the features nearest to what a config asks for."""
    if wanted <= features and features % wanted == 0:
        return wanted
    above = next((n for n in range(wanted, features + 1) if features % n == 0), features)
    below = next((n for n in range(min(wanted, features), 0, -1) if features % n == 0), 1)
    return below if wanted - below <= above - wanted else above


def bone(site: Site) -> Tuned:
    """Bone."""
    r = site.rank()
    _, outputs = site.features
    init = site.config.get("init_weights", True)
    shape = (outputs // r if outputs is not None else None, r, r) if init == "bat" else (r, outputs)
    return Tuned({("bone_block", ""): site.constant(*shape)}, frozenset({"bone_block"} if init else ()), r)


def boft(site: Site) -> Tuned:
    """BOFT without its CUDA kernel, which makes one butterfly factor."""
    inputs, outputs = site.features
    size, count = site.config.get("boft_block_size"), site.config.get("boft_block_num")
    if inputs is None:
        params = {("boft_R", ""): site.constant(None), ("boft_s", ""): site.constant(None)}
        return Tuned(params, frozenset({"boft_R", "boft_s"}))
    if size and not count:
        if inputs % size:
            text = f"in_features ({inputs}) must be divisible by boft_block_size ({size})!"
            raise Refused("ValueError", text, module=site.key, cause="block-size")
        count = inputs // size
    elif count:
        if inputs % count:
            text = f"in_features ({inputs}) must be divisible by boft_block_num ({count})!"
            raise Refused("ValueError", text, module=site.key, cause="block-size")
        size = inputs // count
    # Without its CUDA kernel PEFT counts every butterfly factor as one.
    params = {("boft_R", ""): site.constant(1, count, size, size), ("boft_s", ""): site.constant(outputs, 1)}
    neutral = frozenset({"boft_R", "boft_s"} if site.config.get("init_weights", True) else ())
    return Tuned(params, neutral)


def hra(site: Site) -> Tuned:
    """HRA of a linear layer."""
    r = site.config.get("r")
    inputs, _ = site.features
    symmetric = isinstance(r, int) and r % 2 == 0 and site.config.get("init_weights", True)
    param = site.random(inputs, r)
    if symmetric:
        param.value = ("initial",)
    return Tuned({("hra_u", ""): param}, frozenset({"hra_u"} if symmetric else ()), (r, site.config.get("apply_GS")))


def ln_tuning(site: Site) -> Tuned:
    """A copy of the whole module."""
    params = {
        ("ln_tuning_layers", f".{path}.{name}" if path else f".{name}"): Param(param.shape, ("initial",))
        for path, module in walk(site.module, duplicates=True)
        for name, param in module.state()
    }
    return Tuned(params, frozenset({"ln_tuning_layers"}))
