"""Entries and strings of `target_modules` that match nothing for the way they are written, whatever the base.

PEFT compares the entries of a list with names of modules and their ends, and takes a string for a regular expression
that has to match a whole name (`check_target_module_exists`, tuners/tuners_utils.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from adapterlint.caches import kept
from adapterlint.peft.matching import ALL_LINEAR

# Modules that never stand at the top of a model, by the names that PEFT's own tables of targets have.
_INNER = frozenset(
    {"q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "in_proj"}
    | {"query_key_value", "query", "key", "value", "dense_h_to_4h", "dense_4h_to_h", "c_attn", "c_proj", "c_fc", "qkv"}
    | {"query_proj", "value_proj", "key_proj", "to_q", "to_k", "to_v", "gate_up_proj", "Wqkv", "wq", "wk", "wv", "wo"}
)
_WORDS = re.compile(r"\^?\(?(?:\?:)?(\w+(?:\|\w+)*)\)?\$?")
_ITEM = r"['\"]?[\w.]+['\"]?"
_LIST_LIKE = re.compile(rf"[\[({{]\s*{_ITEM}(?:\s*,\s*{_ITEM})*\s*,?\s*[\])}}]|[\w.]+(?:\s*,\s*[\w.]+)+")
_REGEX_SIGNS = re.compile(r"[*+?|()\[\]{}^$\\]")


@dataclass(frozen=True, slots=True)
class Form:
    """A form that matches nothing.

    Args:
        reason: What follows the entry in a sentence.
        remedy: One sentence.
        certain: Whether it holds for every base; else only where the adapter's tensors do not contradict it.
    """

    reason: str
    remedy: str
    certain: bool = True


def form_of_string(text: str) -> Form | None:
    """What is wrong with a `target_modules` that is a string, if its form says so."""
    if text.lower() == ALL_LINEAR:
        return None
    if re.sub(r"[^a-z]", "", text.lower()) == "alllinear":
        return Form(f"is not `{ALL_LINEAR}` but a regular expression", f"Write `{ALL_LINEAR}`.")
    if _LIST_LIKE.fullmatch(text.strip()):
        names = re.findall(r"[\w.]+", text)
        return Form("is one regular expression, not a list", f"Write it as a list: {_as_list(names)}.")
    if words := _WORDS.fullmatch(text):
        names = words[1].split("|")
        return Form(
            "is a regular expression for the whole name of a module, and no module in a layer has so short a name",
            f"Write a list, {_as_list(names)}, or begin the expression with `.*`.",
            certain=_INNER.issuperset(names),
        )
    if text != text.strip():
        return Form("has a space at an end, and no module's name has one", "Remove the space.")
    return None


def _as_list(names: Iterable[str]) -> str:
    # In a code span a backtick would end it; names have none, since they match `\w` and dots alone.
    return "`[" + ", ".join(f'"{name}"' for name in list(names)[:4]) + "]`"


@kept(4096)
def form_of_entry(entry: str) -> Form | None:
    """What is wrong with an entry of a list of targets, if its form says so."""
    if entry.isidentifier() and entry.isascii():
        return None
    return next((form for wrong, form in _FORMS if wrong(entry)), None)


_FORMS: tuple[tuple[Callable[[str], bool], Form], ...] = (
    (
        lambda entry: entry.lower() == ALL_LINEAR,
        Form("is taken for a module's name, since it is in a list", "Write it as a string instead of a list."),
    ),
    (lambda entry: not entry.strip(), Form("names no module", "Remove it.")),
    (
        lambda entry: _REGEX_SIGNS.search(entry) is not None,
        Form(
            "is compared letter by letter, as everything in a list",
            "Write the names one by one, or one expression for whole names as a string instead of a list.",
        ),
    ),
    (
        lambda entry: "," in entry,
        Form("is one name to PEFT, and has a comma", "Write each name as an entry of its own."),
    ),
    (
        lambda entry: entry != entry.strip() or entry.startswith(".") or entry.endswith("."),
        Form(
            "has a dot or a space at an end, so that no module's name ends in it",
            "Remove it; PEFT puts the dot before a name by itself.",
        ),
    ),
    (
        lambda entry: entry.endswith((".weight", ".bias")),
        Form("names a parameter, not a module", "Remove the last part of the name."),
    ),
    (
        lambda entry: entry.startswith("base_model.model."),
        Form(
            "is a name inside the `PeftModel`, not inside the base model",
            "Remove `base_model.model.` from its beginning.",
            certain=False,
        ),
    ),
)
