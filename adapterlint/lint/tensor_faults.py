"""Tensors that a file lacks or has too many, each under one cause: what a rule of its own tells is not told again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from adapterlint.adapter import Config, WeightsHeader
from adapterlint.base.tree import ModuleTree
from adapterlint.caches import remembered
from adapterlint.lint.against_base import outcomes
from adapterlint.lint.default_modules import not_by_default
from adapterlint.lint.of_method import is_of_method
from adapterlint.lint.simulated import AdapterSimulation
from adapterlint.lint.tensor_sizes import is_refused
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.keys import PREFIX, TOKENS, split_key
from adapterlint.peft.methods import METHODS, tensor_prefix
from adapterlint.peft.methods.compared import Compared, compared
from adapterlint.peft.methods.expected import entry_of
from adapterlint.peft.methods.faults import Missing, Unexpected
from adapterlint.peft.methods.parameter import Parameter
from adapterlint.peft.ranks import misfits, rank_key
from adapterlint.peft.simulate import Alone
from adapterlint.peft.strays import strays
from adapterlint.words import suggestion

RAISES = {
    "frod_V": "ValueError",  # of all groups together
    "vera_A": "ValueError",
    "pvera_A": "ValueError",
    "vblora_logits_A_topk_weights": "KeyError",
    "vblora_logits_B_topk_weights": "KeyError",
}
"""Parameter -> what PEFT raises where a file lacks it; all others are passed over."""

MAGNITUDES = ("lora_magnitude_vector", "lora_magnitude_vector.weight")
WITH_MAGNITUDES = ("lora_A.weight", "lora_embedding_A")
"""Parameters of LoRA beside which DoRA has a magnitude vector."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """A parameter that no tensor of the file fills, on a module of which the file has others.

    Args:
        beside: One of the others.
        entry: What the catalogue says of it; `None` for a parameter of the base itself.
    """

    module: str
    name: str
    beside: str
    entry: Parameter | None


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong in some releases.

    Args:
        peft: The releases, as a specifier; `None` for all that are asked for.
        idle: Whether the adapter loads and changes nothing.
        refused: Whether PEFT raises.
    """

    missing: tuple[Lacking, ...] = ()
    unexpected: tuple[Unexpected, ...] = ()
    peft: str | None = None
    idle: bool = False
    refused: bool = False


def misplaced(peft_type: str, touched: Footprint) -> dict[str, str]:
    """What stands among the base's weights under the name of what a method has at the top: that name."""
    top, known = METHODS[peft_type].top, PREFIX
    found = {name: name.removeprefix(known) for name in touched.overwrites if name.startswith(known)}
    return {name: own for name, own in found.items() if entry_of(METHODS[peft_type], own) in top}


@remembered(1)
def faults(
    config: Config,
    touched: Footprint,
    header: WeightsHeader,
    base: ModuleTree | None,
    simulation: AdapterSimulation | None,
) -> tuple[Faults, ...]:
    """What is missing and what is too much; with a base, what PEFT really fills there decides."""
    return tuple(_faults(config, touched, header, base, simulation))


def _faults(
    config: Config,
    touched: Footprint,
    header: WeightsHeader,
    base: ModuleTree | None,
    simulation: AdapterSimulation | None,
) -> Iterator[Faults]:
    if _is_told_otherwise(config, touched, header):
        return
    lone = list(simulation.alone.values()) if simulation is not None else []
    against = compared(config, touched, base)
    if simulation is None or not lone or not all(one.loads and one.loaded is not None for one in lone):
        if {one.error.cause for one in lone if one.error is not None} <= _ABOUT_TENSORS:
            found = _by_config(against, _Told(config, touched, base))
            if any(one.error is not None and one.error.cause == "size-mismatch" for one in lone):
                # The same key may be behind it.
                found = replace(found, unexpected=tuple(one for one in found.unexpected if not one.keys))
            yield replace(found, refused=any(one.error is not None for one in lone))
        return
    for (missing, unexpected, idle, tuned), peft in outcomes(simulation, _outcome):
        told = _Told(config, touched, base, tuned)
        lacking = [_lacking(key, config, touched) for key in missing]
        lost = [_extra(key, config, against, lacking) for key in unexpected]
        lacking, lost = _of_files(lacking, lost, against)
        lost = [one for one in lost if not told.is_lost(one)]
        lacking = [one for one in lacking if not told.lacks(one.module, one.name)]
        if not_by_default(config, touched, base, simulation):  # layers, and what goes with them, are of other modules
            both = touched.tuned.keys() & tuned
            lost = [one for one in lost if one.module in both]
            lacking = [one for one in lacking if one.module in both]
        yield Faults(tuple(_unexplained(lacking, lost, touched)), tuple(lost), peft, idle)


_ABOUT_TENSORS = frozenset({"", "shared-projections", "size-mismatch"})
"""Causes of refusals beside which it matters whether a tensor has a name."""


def _is_told_otherwise(config: Config, touched: Footprint, header: WeightsHeader) -> bool:
    """Whether all names are wrong for one reason, or PEFT does not read the config."""
    method = METHODS[config.peft_type]
    if not header.tensors or strays(header.tensors, config.peft_type):
        return True
    if method.prompt_learning and "prompt_embeddings" not in header.tensors:
        return True
    if method.forms and not is_of_method(config.peft_type, touched) and not touched.shared:
        return True
    return is_refused(config)


@dataclass(frozen=True, slots=True)
class _Told:
    """Whether other rules tell of a tensor.

    Args:
        tuned: The modules that PEFT builds layers for; `None` if that is not known.
    """

    config: Config
    touched: Footprint
    base: ModuleTree | None
    tuned: frozenset[str] | None = None

    def by_name(self, module: str, name: str) -> bool:
        """Those about token rows, and about the two settings of LoRA that stand for a tensor each."""
        if TOKENS in name:
            return True
        if self.config.peft_type != "LORA":
            return False
        if name.endswith(MAGNITUDES):
            beside = self.touched.tuned.get(module, {}).keys()
            return not beside.isdisjoint(WITH_MAGNITUDES) or not self.config.get("use_dora")
        return name.endswith("lora_B.bias")

    def lacks(self, module: str, name: str) -> bool:
        """Whether a target has no tensors at all, a module is none, or another rule tells of this tensor."""
        entry = entry_of(METHODS[self.config.peft_type], name)
        if entry is not None and rank_key(self.config.peft_type) in entry.when.keys and self.is_ranked():
            return True
        tuned = self.tuned or frozenset()
        if module in self.touched.untargeted and module not in tuned:
            return True  # no target, so that its own bias has another name
        return self.by_name(module, name) or (module not in self.touched.tuned and module in tuned)

    def is_ranked(self) -> bool:
        """Whether the rank is told to be wrong."""
        return next(misfits(self.config, self.touched), None) is not None

    def is_lost(self, one: Unexpected) -> bool:
        """Whether it is told that its module is not there, or no target, or that what it was meant for is missing."""
        module = one.module
        if self.by_name(module, one.name) or self.by_name(module, one.near or ""):
            return True
        if rank_key(self.config.peft_type) in one.keys and self.is_ranked():
            return True
        if self.tuned is None and module in self.touched.untargeted:
            return True
        if self.tuned is not None and module in self.touched.tuned and module not in self.tuned:
            return True
        if self.tuned is not None and module in self.tuned - self.touched.tuned.keys():
            return "weight" in self.touched.plain.get(module, ())  # a target that was brought whole
        if (
            not module
            and "." in one.name
            and not self.touched.tuned.keys() <= (self.tuned or self.touched.tuned.keys())
        ):
            return True  # of a group of targets that are none
        return self.base is not None and bool(module) and module not in self.base.nodes


def _by_config(against: Compared, told: _Told) -> Faults:
    lost = [one for one in against.unexpected if not told.is_lost(one)]
    lacking = [_as_lacking(one) for one in against.missing if not told.lacks(one.module, one.name)]
    return Faults(tuple(_unexplained(lacking, lost, told.touched)), tuple(lost))


def _outcome(lone: Alone) -> tuple[tuple[str, ...], tuple[str, ...], bool, frozenset[str]] | None:
    if lone.loaded is None:
        return None
    unexpected = tuple(name for name in lone.loaded.unexpected if name not in lone.loaded.redrawn)
    # What is in the file and passed over nevertheless is told as that alone.
    missing = tuple(name for name in lone.loaded.missing if name not in lone.loaded.unexpected)
    if not (missing or unexpected):
        return None
    idle = not lone.expression and lone.forward is None
    return (
        missing,
        unexpected,
        idle,
        frozenset(path.replace(".base_layer.", ".") for path in lone.tuned),
    )


def _of_files(
    lacking: list[Lacking], lost: list[Unexpected], against: Compared
) -> tuple[list[Lacking], list[Unexpected]]:
    """Both as a file has them: some of its tensors PEFT makes into others, and misses these."""
    others = {one.module for one in against.missing if one.made.parameter.file_only}
    if not others:
        return lacking, lost
    lacking = [one for one in lacking if one.module not in others]
    lost = [one for one in lost if one.module not in others]
    lacking += [_as_lacking(one) for one in against.missing if one.module in others]
    return lacking, lost + [one for one in against.unexpected if one.module in others]


def _unexplained(lacking: Iterable[Lacking], lost: Sequence[Unexpected], touched: Footprint) -> Iterator[Lacking]:
    """What is missing without a tensor under a wrong name, or of a setting that is missing too, in its place."""
    renamed = {(one.module, one.near) for one in lost}
    keys = {(one.module, key) for one in lost for key in one.keys}
    strange = Counter(one.module for one in lost)
    for one in lacking:
        asked = {*one.entry.when.keys, *one.entry.saved.keys} if one.entry is not None else ()
        if strange[one.module] and strange[one.module] == len(touched.tuned.get(one.module, ())):
            continue  # nothing there has the name of a parameter
        if (one.module, one.name) not in renamed and not any((one.module, key) in keys for key in asked):
            yield one


def _as_lacking(one: Missing) -> Lacking:
    return Lacking(one.module, one.name, one.beside, one.made.parameter)


def _split(key: str, config: Config) -> tuple[str, str]:
    method = METHODS[config.peft_type]
    _, module, parameter = split_key(key, tensor_prefix(config.peft_type), method.prompt_learning)
    return module, parameter


def _lacking(key: str, config: Config, touched: Footprint) -> Lacking:
    module, name = _split(key, config)
    there = touched.tuned.get(module) or touched.plain.get(module) or touched.shared
    return Lacking(module, name, next(iter(there), ""), entry_of(METHODS[config.peft_type], name))


def _extra(key: str, config: Config, against: Compared, lacking: Iterable[Lacking]) -> Unexpected:
    module, name = _split(key, config)
    known = next((one for one in against.unexpected if (one.module, one.name) == (module, name)), None)
    near = suggestion(name, [one.name for one in lacking if one.module == module])
    if known is not None:
        return known if known.keys or known.near else replace(known, near=near)
    entry = entry_of(METHODS[config.peft_type], name)
    keys = tuple(sorted(entry.conditions)) if entry is not None else ()
    return Unexpected(module, name, None if keys else near, keys)
