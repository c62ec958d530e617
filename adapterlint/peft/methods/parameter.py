"""What an entry of the catalogue says of parameters: where they are, of which shape, and what PEFT demands of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from adapterlint.base.tree import Kind
from adapterlint.peft.methods.shapes import ALWAYS, KERNEL, ONES, Shape, Term, given

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
    """What a parameter holds in a new adapter, and where a file lacks it (`reset_*_parameters` of PEFT's layers)."""

    IDLE = "idle"  # zeros, ones or other numbers, even random ones, with which the adapter changes nothing
    FIXED = "fixed"  # the same numbers in every new adapter, from config and base, which do not make it idle
    NOISE = "noise"  # random numbers, other ones each time


class InLayers(StrEnum):
    """What stands at the top and in the state dict of each layer too."""

    HELD = "held"  # in memory alone: a file has it once
    SAVED = "saved"  # in a file too


# How PEFT puts a key of a pattern together before it matches it with the path of a module: whole components at its end
# (`get_pattern_key`), what follows a dot, or anywhere.
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
    """A parameter that an adapter has on each of its targets, or once at the top; a file has to have it.

    That is unless `when`, `saved`, `since` or `until` say that there is none.

    Args:
        name: As it stands in a file behind the path of the module: `lora_A.weight`. In the model the adapter's name
            follows its first part. A `#` stands for numbers from 0 on.
        shape: Its dimensions.
        when: On which condition there is such a parameter.
        begins: What it holds as long as nothing is loaded into it.
        idle_if: On which condition it does begin `IDLE`, where that is said; else it begins as noise. By default it is
            that the config has a true `init_weights`.
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
        text: Its text; `{key}` stands for a value of the config, `{in_features}` and `{out_features}` for sizes,
            `{module}` for its path.
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
    cause: str = "unfit-sizes"


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
