"""Tensors whose names are not PEFT's, sorted by what happened to them: each name is told once, under one cause."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from adapterlint.caches import emptied, remembered
from adapterlint.files.tensor import Tensor
from adapterlint.peft.keys import COPY, DDP, PREFIX, SHARED_PREFIX, TOKENS, WRAPPERS, wrapper_in
from adapterlint.peft.layout import Layout, layout
from adapterlint.peft.methods import METHODS

Names = tuple[str, ...]

MLX = "MLX-LM"
LOWER_CASE = "lower case"

# Somebody else's names, by the first pattern that any of them matches.
_DIALECTS: Mapping[str, re.Pattern[str]] = {
    "kohya": re.compile(r"(lora_(unet|te\d?|transformer|prior\w*)_|lycoris_).*|.*\.lora_(down|up)\.weight"),
    "diffusers": re.compile(
        r"(unet|text_encoder(_\d)?)\..*|.*[._]lora\.(down|up)\.weight|.*\.lora_linear_layer\.(down|up)\.weight"
    ),
    "Adapters (adapter-hub)": re.compile(r".*\.(loras|adapters|prefix_tuning|prompt_tunings)\..*"),
    "llama.cpp": re.compile(r"blk\.\d+\..*\.lora_[ab]"),
    MLX: re.compile(r".*\.lora_[ab]"),
}

_LEAVES = ("weight", "bias")
_PROMPTS = ("prompt_embeddings", "prefix_task_")  # right where they are: the config's type is not
_LOWER = re.compile(r"(base_layer\.)*lora_(embedding_)?[ab](\..*)?")


@dataclass(frozen=True, slots=True)
class Strays:
    """Names that are not PEFT's.

    Args:
        wrapped: Wrapper as it stands in the names -> the names that have it.
        dialects: Whose grammar it is -> names; `LOWER_CASE` for PEFT's own with `lora_a` instead of `lora_A`.
        doubled: Names that begin with `base_model.model.` twice.
        bare: Names of a method that wraps modules, without `base_model.`.
        named: Adapter's name -> names of the method's parameters that still have it.
        named_whole: The same for token rows and whole modules.
    """

    wrapped: Mapping[str, Names] = field(default_factory=dict)
    dialects: Mapping[str, Names] = field(default_factory=dict)
    doubled: Names = ()
    bare: Names = ()
    named: Mapping[str, Names] = field(default_factory=dict)
    named_whole: Mapping[str, Names] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any((self.wrapped, self.dialects, self.doubled, self.bare, self.named, self.named_whole))


NONE = Strays()


@remembered(1)
def strays(tensors: Mapping[str, Tensor], peft_type: str) -> Strays:
    """The names of a file that are not PEFT's, by cause; none for a PEFT type that is unknown."""
    if peft_type not in METHODS:
        return NONE
    key = peft_type, tuple(tensors)
    if key not in _known:
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        _known[key] = _strays(tensors, peft_type)
    return _known[key]


MAX_KNOWN = 64
_known: dict[tuple[str, tuple[str, ...]], Strays] = emptied({})  # by names alone, which many files have in common


def _strays(tensors: Mapping[str, Tensor], peft_type: str) -> Strays:
    found = layout(tensors, peft_type)
    prompt_learning = METHODS[peft_type].prompt_learning
    wrapped = _grouped(_wrapped(found, prompt_learning))
    named = {p: name for p in found.shapes if (name := _adapter_name(peft_type, p))}
    lower = {p for p in found.shapes if p not in named and _LOWER.fullmatch(p)}
    whole = _grouped(_named_whole(tensors, found)) if _has_whole(found) else {}
    if not (found.foreign or wrapped or named or lower or whole):
        return NONE
    # Prompt learning has one name, which the rule about it looks for.
    left = [] if prompt_learning else [name for name in found.foreign if _wrapper(name) is None]
    doubled = tuple(name for name in left if name.startswith(PREFIX))
    bare = tuple(name for name in left if not name.startswith((PREFIX, *_PROMPTS)))
    dialects: dict[str, Names] = {}
    if bare and (whose := _dialect(bare)):
        dialects[whose], bare = bare, ()
    if lower:
        dialects[LOWER_CASE] = tuple(_names(found, lower.__contains__))
    by_name = {n: [p for p in named if named[p] == n] for n in named.values()}
    return Strays(
        wrapped=wrapped,
        dialects=dialects,
        doubled=doubled,
        bare=bare,
        named={n: tuple(_names(found, parameters.__contains__)) for n, parameters in by_name.items()},
        named_whole=whole,
    )


def _wrapped(found: Layout, prompt_learning: bool) -> Iterator[tuple[str, str]]:
    """Wrapper and name, of all names that have one."""
    for name in found.foreign:
        if wrapper := (wrapper_in(name) if prompt_learning else _wrapper(name)):
            yield wrapper, name
    modules = "\n".join((*found.tuned, *found.plain, *found.tokens))
    if any(w in modules for w in WRAPPERS):
        for name in found.names.values():
            if not name.startswith(DDP) and (wrapper := wrapper_in(name)):
                yield wrapper, name


def _wrapper(foreign: str) -> str | None:
    """The wrapper of a name outside the grammar; `module.` counts only where the rest is PEFT's."""
    if foreign.startswith(DDP) and not foreign.startswith(DDP + SHARED_PREFIX):
        return None
    return wrapper_in(foreign)


def _dialect(names: Names) -> str | None:
    return next((whose for whose, names_of in _DIALECTS.items() if any(map(names_of.fullmatch, names))), None)


def _names(found: Layout, wanted: Callable[[str], bool]) -> Iterator[str]:
    """Names in the file of the method's parameters that are wanted."""
    for module, parameters in found.tuned.items():
        for parameter in filter(wanted, parameters):
            yield found.names[module, parameter]


def _adapter_name(peft_type: str, parameter: str) -> str | None:
    """The adapter's name in a parameter as a model has it, such as `lora_A.default.weight`."""
    attribute, _, rest = parameter.replace("base_layer.", "").partition(".")
    name, dot, behind = rest.partition(".")
    ends = _ends(peft_type).get(attribute)
    return name if ends is not None and name and name not in _LEAVES and ends.fullmatch(dot + behind) else None


@cache
def _ends(peft_type: str) -> Mapping[str, re.Pattern[str]]:
    """Attribute of a layer -> what follows the adapter's name in a model."""
    found: dict[str, set[str]] = {}
    method = METHODS[peft_type]
    if method.copies:
        found[method.copies] = {f".{leaf}" for leaf in _LEAVES}
    for form in method.forms:
        for one in form.parameters:
            end = re.escape(one.name[len(one.attribute) :]).replace(r"\#", r"\d+")
            found.setdefault(one.attribute, set()).update({end, re.escape(one.in_model)} if one.in_model else {end})
    return {attribute: re.compile("|".join(sorted(ends))) for attribute, ends in found.items()}


def _has_whole(found: Layout) -> bool:
    return bool(found.tokens) or any(p.startswith(COPY) for parameters in found.plain.values() for p in parameters)


def _named_whole(tensors: Mapping[str, Tensor], found: Layout) -> Iterator[tuple[str, str]]:
    for name, _ in found.tokens.values():
        if TOKENS + "." in name:
            yield name.rpartition(TOKENS + ".")[2], name
    for module, parameters in found.plain.items():
        for parameter in parameters:
            parts = parameter.split(".")
            # PEFT itself saves such biases, with `bias="all"`, and reads the copy without the name if there is one.
            if parts[0] != COPY or len(parts) < 3 or parts[-1] == "bias":
                continue
            name = found.names[module, parameter]
            if name.replace(f".{COPY}.{parts[1]}.", ".") not in tensors:
                yield parts[1], name


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, Names]:
    groups: dict[str, list[str]] = {}
    for key, name in pairs:
        groups.setdefault(key, []).append(name)
    return {key: tuple(names) for key, names in groups.items()}
