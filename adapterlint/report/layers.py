"""Paths of modules and names of adapters, as people read them: layers drawn together, long lists cut."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from adapterlint.words import counted, printable, redacted, shortened

MAX_PATHS = 6
MAX_NAMES = 8

_LINES = re.compile(r"\s*\n\s*")
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


def clean(text: str, limit: int = 200) -> str:
    """Text from a file or of an error: one line, printable, without secrets, cut in its middle."""
    return redacted(printable(shortened(redacted(_LINES.sub(" ", text)), limit)))


def paths(modules: Iterable[str]) -> str:
    """Modules by name: `model.layers.*.self_attn.q_proj (32)`; what wraps them is left out."""
    plain = dict.fromkeys(module.removesuffix(".base_layer") for module in modules)
    alike: dict[str, list[str]] = {}
    for module in plain:
        alike.setdefault(_NUMBER.sub("*", module), []).append(module)
    words = [f"{clean(star)} ({len(same)})" if len(same) > 1 else clean(same[0]) for star, same in alike.items()]
    return cut(words, MAX_PATHS, "more modules")


def names(adapters: Sequence[str]) -> str:
    """Names of adapters: `de, fr and 12 more`."""
    return cut([clean(name, 80) for name in adapters], MAX_NAMES, "more")


def cut(words: Sequence[str], limit: int, more: str) -> str:
    """An enumeration, with a count instead of what is beyond the limit."""
    if len(words) > limit:
        return f"{', '.join(words[: limit - 1])} and {len(words) - limit + 1:,} {more}"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def rows(tokens: Iterable[tuple[str, Sequence[int]]]) -> str:
    """Token rows by module: `3 token rows of model.embed_tokens`."""
    counts = Counter({module: len(indices) for module, indices in tokens})
    return cut([f"{counted(n, 'token row')} of {clean(m)}" for m, n in counts.items()], MAX_PATHS, "more modules")
