"""What an entry of the catalogue of PEFT types says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from adapterlint.peft.methods.config_class import ConfigClass
from adapterlint.peft.methods.parameter import OLDEST, PARAMETER, Form, Parameter, Patterned
from adapterlint.peft.methods.shapes import ALWAYS, Term
from adapterlint.peft.releases import in_range


class Together(StrEnum):
    """What several adapters of a type do that are active at once and tune the same module."""

    SUM = "sum"  # they add up, whatever their order
    ORDER = "order"  # each works on what the one before gives
    FIRST = "first"  # the first one counts alone
    ONE = "one"  # PEFT refuses more than one


class MixedBatch(StrEnum):
    """What `adapter_names` does, which is to give every row of a batch an adapter of its own."""

    IGNORED = "ignored"
    REFUSED = "refused"  # layers take no such argument
    LAYERS = "layers"  # layers are told; whole modules and token rows are not
    ALL = "all"


class Searches(StrEnum):
    """When PEFT asks every module of a model for an attribute, which its wrappers of whole modules may not answer."""

    BEFORE = "before"  # the tensors of an adapter are loaded
    AFTER = "after"


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """How all adapters of a model come to one of what a method has at the top: the first one makes it.

    It is as large as the largest target; later adapters take it, if it is large enough.

    Args:
        drawn: What the numbers in each of it depend on, besides the seed: sizes of the largest target.
        fits: What must be large enough for each target of a later adapter, in PEFT's order: which one at the top, its
            dimension, and the size that is needed.
        by_rank: Whether something is divided by the rank as they are made.
    """

    drawn: tuple[tuple[Term, ...], ...]
    fits: tuple[tuple[int, int, Term], ...]
    by_rank: bool = True


_CONTAINERS = {":": "ModuleDict", "=": "BufferDict"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Method:
    """One PEFT type, as it stands in the `peft_type` of a config.

    What an entry does not say is as it is by default here, which is as most types have it.

    Args:
        name: The value of `PeftType`; PEFT compares it with case.
        since: First release line with the type; `"0.10"` means 0.10 or older.
        until: Last release line with it; `None` if the newest one still has it.
        title: How messages call it, where that is not its name.
        prefix: What the names of its parameters start with (`PEFT_TYPE_TO_PREFIX_MAPPING`); `None` for prompt
            learning, whose entry in that mapping names no parameter.
        all_begin: What the names of all its parameters start with, where that is shorter.
        tuner: Its subclass of `BaseTuner`, where messages name it.
        layer: The class of its layers, where the kind of module does not tell.

    What an adapter has, and where:
        forms: What an adapter has on its targets; a kind of module that no form names is refused.
        top: What an adapter has once, beside the modules of the base; its sizes are those of the largest target.
        shared: How all adapters of a model come to one of it; `None` if each has its own.
        copies: The attribute of a layer that holds a copy of the whole module, if that is what is trained.
        token_rows: Whether it trains rows of an embedding in a `TrainableTokensLayer`, and has no layers of its own.
        refuses: First release -> class of the error for other kinds of modules, newest release first; empty if PEFT
            passes over them.
        patterns: Key -> where it has other values for some modules.
        masks_ranks: Whether `rank_pattern` has a truth value for each rank of a module, which tells those that are left
            after training.
        zero_rank: Whether PEFT builds layers for an `r` of 0, as `update_layer` of most types does not.
        lists: Settings that list modules by name or by parts of their paths, which have other parameters then.
        matches_targets: Whether `target_modules` says which modules it tunes, by names or a pattern.
        targets_all_linear: Whether it takes all linear layers of a base that its table of default targets lacks.
        targets_of_lora: Whether releases without a table of its default targets take that of LoRA.
        ties: Whether it adds the modules that are tied to those of a config (`ensure_weight_tying`).
        fused_experts: Whether PEFT fits its configs and tensors to experts that transformers 5 has in one parameter.
        spares_mamba: Whether it refuses modules whose weight the kernels of Mamba take.
        layers_of: The type whose layers it has, where they are not its own.
        layers_only: Whether layers around its targets, and what stands at the top, are all that it puts into a model.
        base_at: Where the base stands in a `PeftModel`.

    What its config class is like:
        config: What its config class refuses, and which keys are passed over.
        prompt_learning: `PeftConfig.is_prompt_learning`: no modules are injected, virtual tokens are.
        keys_and_values: Whether the prompt is a prefix of keys and values of attention, not of embeddings.

    How its tensors are held, saved and loaded:
        containers: What a layer holds its parameters in, in its own order: names, those of a `ModuleDict` with a colon.
            PEFT before 0.16 takes them for modules that may be targets, and none wraps them as `modules_to_save`; a
            `BufferDict` that is saved, with an equals sign, can be wrapped.
        names_adapter: Whether the adapter's name stands in the names of its parameters in memory.
        saved_as: The name that every adapter has in a file, where it has one.
        searches: When PEFT searches all modules as it loads an adapter, if it does.
        counts_rows: Whether a prompt of other than `num_virtual_tokens` rows is refused before it is loaded.

    What its forward pass asks for:
        looks_up: Whether its layers of embeddings look indices up themselves.
        in_groups: What a forward pass raises where the base's layer gives each group its part of the output.
        asks_for_task_ids: Whether a forward pass raises without `task_ids`.

    What several of them do:
        together: What several active adapters do on one module.
        refusal: For `Together.ONE`: what happens, in a sentence after a colon.
        in_order: On which condition the order matters, for `Together.ORDER`.
        activates_lists: Whether `set_adapter` of its tuner takes several names.
        mixed: In `COMPATIBLE_TUNER_TYPES` of `peft/tuners/mixed/model.py`.
        mixed_first: In `PEFT_TYPE_TO_MIXED_MODEL_MAPPING` too, so that `PeftMixedModel.from_pretrained` takes it as
            the first adapter; equals `mixed` except for OFT.
        mixed_batch: What `adapter_names` does.

    How it is merged, weighed and swapped:
        merges: Whether it can be merged into the base.
        merged_into: The parameter of the base that it is merged into.
        merges_with_whole: First release that merges several adapters of which one has `modules_to_save`; `None` if none
            does.
        asks_for_weight: Whether merging asks for the weight of what takes the place of a whole module, since 0.18.
        merges_otherwise: First release in which several adapters that are merged into one module give something else
            than the same ones when they are active; empty if there is none.
        weighs: Whether it has `add_weighted_adapter`.
        hot_swaps: Whether `hotswap_adapter` takes it.
    """

    name: str
    since: str = OLDEST
    until: str | None = None
    title: str = ""
    prefix: str | None = None
    all_begin: str = ""
    tuner: str = ""
    layer: str = ""

    # What an adapter has, and where
    forms: tuple[Form, ...] = ()
    top: tuple[Parameter, ...] = ()
    shared: Shared | None = None
    copies: str = ""
    token_rows: bool = False
    refuses: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, Patterned] = field(default_factory=dict)
    masks_ranks: bool = False
    zero_rank: bool = False
    lists: tuple[str, ...] = ()
    matches_targets: bool = True
    targets_all_linear: bool = False
    targets_of_lora: bool = False
    ties: bool = False
    fused_experts: bool = False
    spares_mamba: bool = False
    layers_of: str = ""
    layers_only: bool = True
    base_at: str = "base_model.model"

    # What its config class is like
    config: ConfigClass = field(default_factory=ConfigClass)
    prompt_learning: bool = False
    keys_and_values: bool = False

    # How its tensors are held, saved and loaded
    containers: str = ""
    names_adapter: bool = True
    saved_as: str = ""
    searches: Searches | None = None
    counts_rows: bool = False

    # What its forward pass asks for
    looks_up: bool = False
    in_groups: str = "RuntimeError"
    asks_for_task_ids: bool = False

    # What several of them do
    together: Together = Together.SUM
    refusal: str = ""
    in_order: Term = ALWAYS
    activates_lists: bool = True
    mixed: bool = False
    mixed_first: bool = False
    mixed_batch: MixedBatch = MixedBatch.IGNORED

    # How it is merged, weighed and swapped
    merges: bool = True
    merged_into: str = "weight"
    merges_with_whole: str | None = OLDEST
    asks_for_weight: bool = True
    merges_otherwise: str = ""
    weighs: bool = False
    hot_swaps: bool = False

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
