"""What an entry of the catalogue of PEFT types says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from adapterlint.base.tree import Kind
from adapterlint.peft.methods.config_class import ConfigClass
from adapterlint.peft.methods.shapes import ALWAYS, KERNEL, ONES, Shape, Term, given
from adapterlint.peft.releases import in_range

OLDEST = "0.10"  # or older
PARAMETER = "nn.Parameter"  # a single parameter that `target_parameters` names, in place of a kind of module

LINEAR, GPT2, EMBEDDING, ATTENTION = Kind.LINEAR, Kind.GPT2_CONV1D, Kind.EMBEDDING, Kind.ATTENTION
CONV1D, CONV2D, CONV3D = Kind.CONV1D, Kind.CONV2D, Kind.CONV3D
LINEARS = (LINEAR, GPT2)
CONVOLUTIONS = (CONV1D, CONV2D, CONV3D)
EVERY_KIND = tuple(Kind)
KERNEL_DIMENSIONS: Mapping[Kind | str, int] = {CONV1D: 1, CONV2D: 2, CONV3D: 3}
"""Kind of a convolution -> how many dimensions its kernel has."""

VALUE_ERROR = {OLDEST: "ValueError"}
TYPE_ERROR_SINCE_20 = {"0.20": "TypeError", OLDEST: "ValueError"}


class Begins(StrEnum):
    """What a parameter holds before it is trained, or where a file lacks it."""

    IDLE = "idle"  # what leaves the adapter without effect, unless the config asks for another start
    FIXED = "fixed"  # the same numbers each time: they come from the config and the base
    NOISE = "noise"  # random numbers, other ones each time


class Together(StrEnum):
    """What several adapters of a type do that are active at once and tune the same module."""

    SUM = "sum"  # they add up, whatever their order
    ORDER = "order"  # each works on what the one before gives
    FIRST = "first"  # the first one counts alone
    ONE = "one"  # PEFT refuses more than one


class Searches(StrEnum):
    """When PEFT asks every module of a model for an attribute, which its wrappers of whole modules may not answer."""

    BEFORE = "before"  # the tensors of an adapter are loaded
    AFTER = "after"


class InLayers(StrEnum):
    """What stands at the top and in the state dict of each layer too."""

    HELD = "held"  # in memory alone: a file has it once
    SAVED = "saved"  # in a file too


# How PEFT puts a key of a pattern together before it matches it: with whole components at the end of a name, with what
# follows a dot, or anywhere.
COMPONENTS, BEHIND_DOT, ANYWHERE = r"(.*\.)?({})$", r".*\.{}$", "{}"


@dataclass(frozen=True, slots=True)
class Patterned:
    """A key of the config that has other values for some modules.

    Args:
        key: Where they stand: a mapping of patterns to values, the first one that matches decides.
        form: How PEFT matches a pattern.
        for_first: Whether they hold for the first adapter of a module too.
        until: Last release that reads them.
    """

    key: str
    form: str = COMPONENTS
    for_first: bool = True
    until: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """A parameter that an adapter has on each of its targets, or once at the top.

    Args:
        name: As it stands in a file behind the path of the module: `lora_A.weight`. In the model the adapter's name
            follows its first part. A `#` stands for numbers from 0 on.
        shape: Its dimensions.
        when: On which condition there is such a parameter.
        begins: What it holds as long as nothing is loaded into it.
        idle_if: On which condition it begins `IDLE`, if that is what it begins with; otherwise it is noise.
        saved: On which condition it is in a file; of what is never there, no file lacks it.
        since: First release with it.
        until: Last release with it.
        count: How many of them there are, for a name with `#`; 1 or 0 of another one.
        group: Of what stands at the top for each group of targets: the name of a target's group, for a name with `*`.
        loose: What a forward pass raises if the file has another shape, where PEFT loads whatever there is.
        remade: Whether PEFT makes it again where a file lacks it, so that none is missing.
        file_only: Whether it is in files alone, and the model has something else that PEFT makes of it.
        in_layers: Of what stands at the top: how it is in each layer too, if it is.
        in_model: What follows its name in the model, where a file has nothing.
    """

    name: str
    shape: Shape
    when: Term = ALWAYS
    begins: Begins = Begins.NOISE
    idle_if: Term = field(default_factory=lambda: given("init_weights"))
    saved: Term = ALWAYS
    since: str = OLDEST
    until: str | None = None
    count: Term | None = None
    group: Callable[[str], str] | None = None
    loose: str = ""
    remade: bool = False
    file_only: bool = False
    in_layers: InLayers | None = None
    in_model: str = ""

    def terms(self) -> Iterator[Term]:
        """Everything that it depends on."""
        yield from (self.when, self.idle_if, self.saved, *(one for one in self.shape if isinstance(one, Term)))
        if self.count is not None:
            yield self.count

    @property
    def conditions(self) -> frozenset[str]:
        """The keys of the config that decide whether there is such a parameter."""
        return self.when.keys | (self.count.keys if self.count is not None else frozenset())

    def dimensions(self, kind: Kind | str) -> int:
        """How many dimensions it has on a kind of module."""
        kernel = KERNEL_DIMENSIONS.get(kind, 0)
        return sum(kernel if size in (KERNEL, ONES) else 1 for size in self.shape)

    @property
    def attribute(self) -> str:
        """The attribute of the layer that holds it for each adapter."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """What PEFT demands of a config and a target together.

    Args:
        holds: What has to be true.
        error: The class of the error if it is not.
        text: Its text; `{key}` stands for a value of the config, `{in_features}` and `{out_features}` for sizes.
        when: On which condition it is asked.
        in_forward: Whether it is a forward pass that raises, not the building of the layer.
        since: First release that demands it.
        until: Last release that does.
        cause: What kind of refusal it is, as `adapterlint.peft.events` has them.
    """

    holds: Term
    error: str = "ValueError"
    text: str = ""
    when: Term = ALWAYS
    in_forward: bool = False
    since: str = OLDEST
    until: str | None = None
    cause: str = "block-size"


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """The parameters that a type has on some kinds of modules.

    Args:
        on: The kinds, or `PARAMETER`.
        parameters: What an adapter has on each of them.
        since: First release that takes them.
        demands: What a config and a target have to fit in.
        weight: The parameter of the target whose sizes these are.
        along: The linear layer inside of the target that an adapter tunes along with it.
    """

    on: tuple[Kind | str, ...]
    parameters: tuple[Parameter, ...]
    since: str = OLDEST
    demands: tuple[Demand, ...] = ()
    weight: str = "weight"
    along: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """How all adapters of a model come to one of what a method has at the top: the first one makes it.

    It is as large as the largest target; later adapters take it, if it is large enough.

    Args:
        drawn: What the numbers in each of it depend on, besides the seed: sizes of the largest target.
        fits: What must be large enough for each target of a later adapter, in PEFT's order: which one at the top, its
            dimension, and the size that is needed.
    """

    drawn: tuple[tuple[Term, ...], ...]
    fits: tuple[tuple[int, int, Term], ...]


_CONTAINERS = {":": "ModuleDict", "=": "BufferDict"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Method:
    """One PEFT type, as it stands in the `peft_type` of a config.

    Args:
        name: The value of `PeftType`; PEFT compares it with case.
        since: First release line with the type; `"0.10"` means 0.10 or older.
        until: Last release line with it; `None` if the newest one still has it.
        tuner: Its subclass of `BaseTuner`, where messages name it.
        layer: The class of its layers, where the kind of module does not tell.
        prefix: What the names of its parameters start with (`PEFT_TYPE_TO_PREFIX_MAPPING`); `None` for prompt
            learning, whose entry in that mapping names no parameter.
        tensors: What the names of all its parameters start with, where that is shorter.
        copies: The attribute of a layer that holds a copy of the whole module, if that is what is trained.
        token_rows: Whether it trains rows of an embedding in a `TrainableTokensLayer`, and has no layers of its own.
        names_adapter: Whether the adapter's name stands in the names of its parameters in memory.
        saved_as: The name that every adapter has in a file, where it has one.
        searches: When PEFT searches all modules as it loads an adapter, if it does.
        counts_rows: Whether a prompt of other than `num_virtual_tokens` rows is refused before it is loaded.
        looks_up: Whether its layers of embeddings look indices up themselves.
        in_groups: What a forward pass raises where the base's layer gives each group its part of the output.
        ties: Whether it adds the modules that are tied to those of a config (`ensure_weight_tying`).
        fused_experts: Whether PEFT fits its configs and tensors to experts that transformers 5 has in one parameter.
        spares_mamba: Whether it refuses modules whose weight the kernels of Mamba take.
        asks_for_task_ids: Whether a forward pass raises without `task_ids`.
        activates_lists: Whether `set_adapter` of its tuner takes several names.
        layers_of: The type whose layers it has, where they are not its own.
        base_at: Where the base stands in a `PeftModel`.
        layers_only: Whether layers around its targets, and what stands at the top, are all that it puts into a model.
        title: How messages call it, where that is not its name.
        config: What its config class refuses, and which keys are passed over.
        matches_targets: Whether `target_modules` says which modules it tunes, by names or a pattern.
        targets_of_lora: Whether releases without a table of its default targets take that of LoRA.
        forms: What an adapter has on its targets; a kind of module that no form names is refused.
        top: What an adapter has once, beside the modules of the base; its sizes are those of the largest target.
        shared: How all adapters of a model come to one of it; `None` if each has its own.
        refuses: First release -> class of the error for other kinds of modules, newest release first; empty if PEFT
            passes over them.
        patterns: Key -> where it has other values for some modules.
        masks_ranks: Whether `rank_pattern` has a truth value for each rank of a module, which tells those that are left
            after training.
        zero_rank: Whether PEFT builds layers for an `r` of 0, as `update_layer` of most types does not.
        lists: Settings that list modules by name, which have other parameters then.
        together: What several active adapters do on one module.
        refusal: For `Together.ONE`: what happens, in a sentence after a colon.
        in_order: On which condition the order matters, for `Together.ORDER`.
        mixed: In `COMPATIBLE_TUNER_TYPES` of `peft/tuners/mixed/model.py`.
        mixed_first: In `PEFT_TYPE_TO_MIXED_MODEL_MAPPING` too, so that `PeftMixedModel.from_pretrained` takes it as
            the first adapter; equals `mixed` except for OFT.
        mixed_batch: Whether `adapter_names` gives every row of a batch its own adapter; the others ignore it.
        refuses_names: Whether its layers raise where rows have adapters of their own.
        names_reach_whole: Whether whole modules and token rows are told which row has which adapter.
        merges: Whether it can be merged into the base.
        merged_into: The parameter of the base that it is merged into.
        merges_with_whole: First release that merges several adapters of which one has `modules_to_save`; `None` if none
            does.
        asks_for_weight: Whether merging asks for the weight of what takes the place of a whole module, since 0.18.
        merges_otherwise: First release in which several adapters that are merged into one module give something else
            than the same ones when they are active; empty if there is none.
        weighs: Whether it has `add_weighted_adapter`.
        hot_swaps: Whether `hotswap_adapter` takes it.
        prompt_learning: `PeftConfig.is_prompt_learning`: no modules are injected, virtual tokens are.
        keys_and_values: Whether the prompt is a prefix of keys and values of attention, not of embeddings.
        has_modules_to_save: The config class has `modules_to_save` (prompt learning: since 0.17).
        has_bias: The config class has `bias`, which says which biases of the base are trained and saved; everything
            else is read as `"none"` (`BaseTuner._mark_only_adapters_as_trainable`).
        containers: What a layer holds its parameters in, in its own order: names, those of a `ModuleDict` with a colon.
            PEFT before 0.16 takes them for modules that may be targets, and none wraps them as `modules_to_save`; a
            `BufferDict` that is saved, with an equals sign, can be wrapped.
    """

    name: str
    since: str = OLDEST
    until: str | None = None
    tuner: str = ""
    layer: str = ""
    prefix: str | None = None
    tensors: str = ""
    copies: str = ""
    token_rows: bool = False
    names_adapter: bool = True
    saved_as: str = ""
    searches: Searches | None = None
    counts_rows: bool = False
    looks_up: bool = False
    in_groups: str = "RuntimeError"
    ties: bool = False
    fused_experts: bool = False
    spares_mamba: bool = False
    asks_for_task_ids: bool = False
    activates_lists: bool = True
    layers_of: str = ""
    base_at: str = "base_model.model"
    layers_only: bool = True
    title: str = ""
    config: ConfigClass = field(default_factory=ConfigClass)
    matches_targets: bool = True
    targets_of_lora: bool = False
    forms: tuple[Form, ...] = ()
    top: tuple[Parameter, ...] = ()
    shared: Shared | None = None
    refuses: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, Patterned] = field(default_factory=dict)
    masks_ranks: bool = False
    zero_rank: bool = False
    lists: tuple[str, ...] = ()
    together: Together = Together.SUM
    refusal: str = ""
    in_order: Term = ALWAYS
    mixed: bool = False
    mixed_first: bool = False
    mixed_batch: bool = False
    refuses_names: bool = False
    names_reach_whole: bool = False
    merges: bool = True
    merged_into: str = "weight"
    merges_with_whole: str | None = OLDEST
    asks_for_weight: bool = True
    merges_otherwise: str = ""
    weighs: bool = False
    hot_swaps: bool = False
    prompt_learning: bool = False
    keys_and_values: bool = False
    has_modules_to_save: bool = True
    has_bias: bool = False
    containers: str = ""

    def known_in(self, release: str) -> bool:
        """Whether PEFT `release` (`"0.18"` or `"0.18.1"`) has the type."""
        return in_range(release, self.since, self.until)

    @property
    def attributes(self) -> tuple[tuple[str, str], ...]:
        """What a layer holds its parameters in: (attribute, its class)."""
        names = self.containers.split()
        return tuple((n.rstrip(":="), _CONTAINERS.get(n[-1], "ParameterDict")) for n in names)

    @property
    def takes_parameters(self) -> bool:
        """Whether it tunes single parameters that `target_parameters` names."""
        return any(PARAMETER in form.on for form in self.forms)

    @property
    def counts_targets(self) -> bool:
        """Whether how many targets there are decides what stands at the top."""
        return any(one.count is not None for one in self.top)

    def patterns_in(self, release: str) -> Mapping[str, Patterned]:
        """Those of its `patterns` that a release reads."""
        return {key: one for key, one in self.patterns.items() if in_range(release, OLDEST, one.until)}

    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters that it may have, on any kind of module and at the top, each once."""
        everywhere = [one for form in self.forms for one in form.parameters]
        return tuple(dict.fromkeys([*everywhere, *self.top]))
