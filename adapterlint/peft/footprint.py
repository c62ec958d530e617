"""What one adapter touches in its base, as its config and the names of its tensors tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from adapterlint.adapter import Adapter, Config, WeightsHeader
from adapterlint.caches import emptied
from adapterlint.files.safetensors_header import Tensor
from adapterlint.peft.fields import fields_of, token_key
from adapterlint.peft.keys import COPY, INNER_PARTS, ORIGINAL, PREFIX
from adapterlint.peft.layout import Layout, Look, Parameters, layout
from adapterlint.peft.matching import Targets, saved_as, whole_modules
from adapterlint.peft.methods import METHODS
from adapterlint.peft.tasks import IMPLICIT_HEADS

EMBEDDINGS = "embed_tokens"  # PEFT's own fallback for the input embeddings of a base it cannot ask


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token rows of one module.

    Args:
        indices: The token indices in the order of the rows; `None` where the config does not give them.
        rows: The tensor of rows, if the file has it.
        tensor: Its name in the file.
    """

    indices: tuple[int, ...] | None
    rows: Tensor | None = None
    tensor: str | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one adapter touches.

    Args:
        tuned: Tuned module -> its parameters.
        modules_to_save: Module that is brought whole -> the module paths below it that have tensors.
        trainable_tokens: Module -> its token rows.
        overwrites: Names of tensors that belong to the base itself, biases apart.
        biases: Names of the base's biases in the file, where the config says that biases are trained.
        untargeted: Tuned modules that the config does not target, where it says what it targets; in the file's order.
        unexpected: Names of tensors that reach nothing.
        foreign: Those of them that are outside PEFT's grammar.
        shared: Parameters that the whole tuner shares.
        names: (module, parameter) -> name in the file.
        shapes: Parameter of the method -> all shapes that it has in the file.
        plain: Module -> its tensors named like the base's own.
        alike: Parameters and their shapes -> the tuned modules that have exactly these.
        outers: Tuned module -> the `nn.MultiheadAttention` that it is the projection of.
    """

    tuned: Mapping[str, Parameters] = field(default_factory=dict)
    modules_to_save: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trainable_tokens: Mapping[str, Tokens] = field(default_factory=dict)
    overwrites: tuple[str, ...] = ()
    biases: tuple[str, ...] = ()
    untargeted: AbstractSet[str] = frozenset()
    unexpected: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    shared: Parameters = field(default_factory=dict)
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    shapes: Mapping[str, AbstractSet[tuple[int, ...]]] = field(default_factory=dict)
    plain: Mapping[str, Parameters] = field(default_factory=dict)
    alike: Mapping[Look, Sequence[str]] = field(default_factory=dict)
    outers: Mapping[str, str] = field(default_factory=dict)

    def outer(self, module: str) -> str:
        """The tuned module itself, or the `nn.MultiheadAttention` that it is the projection of, whose rank it has."""
        return self.outers.get(module, module)


def footprint_of(adapter: Adapter) -> Footprint | None:
    """What an adapter touches, if its config and its header could be read."""
    if adapter.config is None or adapter.header is None:
        return None
    return footprint(adapter.config, adapter.header)


def footprint(config: Config, header: WeightsHeader) -> Footprint | None:
    """What an adapter touches; `None` if its PEFT type is unknown, since then nothing says what its tensors are.

    Adapters of one recipe have the same footprint, so the last ones are kept.
    """
    if config.peft_type not in METHODS:
        return None
    found = layout(header.tensors, config.peft_type)
    try:
        said = repr([config.get(key) for key in _DECISIVE])
    except ValueError:  # an integer of over 4,300 digits
        return _footprint(config, found)
    kept = _footprints.get((id(found), said))
    if kept is not None and kept[0] is found:
        return kept[1]
    if len(_footprints) >= MAX_FOOTPRINTS:
        _footprints.clear()
    made = _footprint(config, found)
    _footprints[id(found), said] = found, made
    return made


# Everything in a config that a footprint depends on.
_DECISIVE = (
    *("peft_type", "task_type", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
    *("target_parameters", "modules_to_save", "trainable_token_indices", "token_indices"),
    *("ensure_weight_tying", "bias"),
)
MAX_FOOTPRINTS = 256
# (id of the layout, what the config says) -> (the layout, kept so that the id stays its own; the footprint)
_footprints: dict[tuple[int, str], tuple[Layout, Footprint]] = emptied({})


def _footprint(config: Config, found: Layout) -> Footprint:
    tokens = _tokens(config, found)
    targets = Targets(config)
    untargeted = _untargeted(config, found, targets)
    plain = _Plain(config, found, _Wrapped(targets, found.tuned.keys() - untargeted, tokens.keys()))
    homeless = tuple(name for module, (name, _) in found.tokens.items() if module not in tokens)
    return Footprint(
        tuned=found.tuned,
        modules_to_save={owner: tuple(below) for owner, below in plain.whole.items()},
        trainable_tokens=tokens,
        overwrites=tuple(plain.overwrites),
        biases=tuple(plain.biases),
        untargeted=untargeted,
        unexpected=(*found.foreign, *homeless, *plain.unexpected),
        foreign=found.foreign,
        shared=found.shared,
        names=found.names,
        shapes=found.shapes,
        plain=found.plain,
        alike=found.alike,
        outers=found.outers,
    )


def _is_of_a_method(name: str) -> bool:
    """Whether a tensor has the name of a parameter of some method, so that it is none of a base."""
    return any(part.startswith(_METHOD_PREFIXES) for part in name.split(".")) or name.endswith(_DIFFUSERS)


_DIFFUSERS = (".lora.down.weight", ".lora.up.weight")  # LoRA as diffusers called it: a base has no such modules
_METHOD_PREFIXES = tuple(method.prefix for method in METHODS.values() if method.prefix)


class _Wrapped:
    """Which modules PEFT wraps for the method or for token rows: the base's own tensors move down there."""

    def __init__(self, targets: Targets, tuned: AbstractSet[str], tokens: AbstractSet[str]) -> None:
        self.targets = targets
        self.tokens = tokens
        self.certain = tuned | tokens if targets.decided else tokens

    def misses(self, module: str, name: str) -> bool:
        """Whether a tensor of the base's own is where the base, wrapped or not, has none."""
        path = name.removeprefix(PREFIX)
        inner = min((path.index(part) for part in INNER_PARTS if part in path), default=None)
        if inner is None:
            return module in self.certain
        owner = path[:inner]
        if self.tokens and ".token_adapter." in path:
            return False  # what is tied to an embedding gets its wrapper too
        return owner not in self.certain and self.targets.match(owner) is False


class _Plain:
    """What the tensors that are named like the base's own turn out to be."""

    def __init__(self, config: Config, found: Layout, wrapped: _Wrapped) -> None:
        self.whole: dict[str, list[str]] = {}
        self.overwrites: list[str] = []
        self.biases: list[str] = []
        self.unexpected: list[str] = []
        entries = (*whole_modules(config), *IMPLICIT_HEADS.get(str(config.get("task_type")), ()))
        trains_biases = config.get("bias", "none") != "none"
        for module, parameters in found.plain.items():
            owner = saved_as(module, entries)
            for parameter in parameters:
                name = found.names[module, parameter]
                if owner is not None and not parameter.startswith((f"{ORIGINAL}.", f"{COPY}.")):
                    below = self.whole.setdefault(owner, [])
                    if module not in below[-1:]:
                        below.append(module)
                elif parameter.startswith(f"{COPY}.") or _is_of_a_method(name) or wrapped.misses(module, name):
                    self.unexpected.append(name)
                elif trains_biases and name.endswith(".bias"):
                    self.biases.append(name)
                else:
                    self.overwrites.append(name)
        if config.get("ensure_weight_tying") is True and self.whole:
            self._tie(found)

    def _tie(self, found: Layout) -> None:
        """Give a module that is tied to a whole embedding its place: PEFT saves it whole too, under its own name."""
        shapes = {_embedding_shape(found.plain.get(m, {})) for below in self.whole.values() for m in below} - {None}
        brought = {module for below in self.whole.values() for module in below}
        others = [module for module in found.plain if module not in brought]
        tied = [module for module in others if _embedding_shape(found.plain[module]) in shapes]
        self.whole |= {module: [module] for module in tied}
        names = {found.names[module, "weight"] for module in tied}
        self.overwrites = [name for name in self.overwrites if name not in names]


def _embedding_shape(parameters: Parameters) -> tuple[int, ...] | None:
    weight = parameters.get("weight")
    return weight.shape if weight is not None and len(weight.shape) == 2 else None


def _untargeted(config: Config, found: Layout, targets: Targets) -> AbstractSet[str]:
    if not targets.decided:
        return frozenset()
    left = [module for module in found.tuned if targets.match(module) is False]
    if not left:
        return frozenset()
    # The projection inside a `nn.MultiheadAttention` is tuned along with it.
    others = set(left)
    left = [module for module in left if found.outer(module) in others]
    if config.get("ensure_weight_tying") is True:
        ends = [p for module, p in found.tuned.items() if module not in others and "lora_embedding_A" in p]
        left = [module for module in left if not any(_tied(found.tuned[module], other) for other in ends)]
    return dict.fromkeys(left).keys()


def _tied(head: Parameters, embedding: Parameters) -> bool:
    """Whether LoRA of a head is the transposed one of an embedding, as `ensure_weight_tying` makes it."""
    if "lora_embedding_A" in head and "lora_embedding_A" in embedding:
        return head["lora_embedding_A"].shape == embedding["lora_embedding_A"].shape
    pairs = (("lora_A.weight", "lora_embedding_B"), ("lora_B.weight", "lora_embedding_A"))
    return all(a in head and b in embedding and head[a].shape == embedding[b].shape[::-1] for a, b in pairs)


def token_indices(config: Config) -> Any:
    """The value that says which token rows an adapter replaces, as JSON has it; `None` if it replaces none."""
    field = fields_of(config.peft_type).get(token_key(config.peft_type))
    return config.get(field.name, field.default) if field is not None else None


MAX_TOKEN_MODULES = 64  # a model has one or two embeddings


def _tokens(config: Config, found: Layout) -> dict[str, Tokens]:
    """Module -> its token rows, for every module that the config gives indices for."""
    value = token_indices(config)
    if isinstance(value, dict):
        modules: dict[str, Tokens] = {}
        for entry, indices in islice(value.items(), MAX_TOKEN_MODULES):
            for module in [m for m in found.tokens if m.endswith(entry)] or [entry]:
                name, rows = found.tokens.get(module, (None, None))
                modules.setdefault(module, Tokens(_integers(indices), rows, name))
        return modules
    if not isinstance(value, list):
        return {}
    indices = _integers(value)
    if not found.tokens:
        return {EMBEDDINGS: Tokens(indices)} if value else {}
    everywhere = {module: Tokens(indices, rows, name) for module, (name, rows) in found.tokens.items()}
    return _targeted(config, everywhere) if METHODS[config.peft_type].token_rows else everywhere


def _targeted(config: Config, tokens: dict[str, Tokens]) -> dict[str, Tokens]:
    """The token rows that `target_modules` names; of tied modules it names one, and all are in the file."""
    targets = Targets(config)
    if not targets.decided or any(targets.match(module) is not False for module in tokens):
        return tokens
    return {}


def _integers(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not all(isinstance(v, int) and not isinstance(v, bool) for v in value):
        return None
    return tuple(value)
