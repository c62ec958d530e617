"""Adapters against releases of PEFT as a table: the output of `adapterlint compat`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapterlint.compatibility import AdapterCompatibility, Compatibility, ReleaseVerdict
from adapterlint.lint.grouping import short_names
from adapterlint.report.layers import clean
from adapterlint.report.paint import Paint
from adapterlint.words import counted, shortened

MAX_LABEL, MIN_LABEL = 40, 12  # characters of an adapter's name
MAX_ROWS = 60  # groups of alike adapters that are drawn

_STYLES = {".": "1;32", "d": "1;33", "-": "1;33", "x": "1;31", "?": "2"}
_WORDS = {
    ".": "right",
    "d": "loads, but drops what matters",
    "-": "loads, and changes nothing",
    "x": "raises",
    "?": "not known",
}
_EVIDENCE = {
    "tensors": "tensors: {whose} base is not at hand, so that what depends on it is not known; --base names it",
    "config": "config alone",
}

_Group = list[AdapterCompatibility]


def compat_text(found: Compatibility, *, color: bool = False, width: int | None = None) -> str:
    """A row for each kind of adapter, then the oldest release that is right for each, and why.

    Args:
        color: Whether marks are coloured.
        width: Columns of the terminal; `None` for as many as it takes.
    """
    paint = Paint(color)
    names = short_names(one.path for one in found.adapters)
    groups = _groups(found)
    span = f"{found.releases[0]} to {found.releases[-1]}"
    lines = [f"{counted(len(found.adapters), 'adapter')}, PEFT {span}{_base(found)}", ""]
    lines += [*_table(found, groups[:MAX_ROWS], names, paint, width), ""]
    for group in groups[:MAX_ROWS]:
        lines.append(f"{paint('1', _label(group, names, 80))}: {_verdict(group[0], found.releases[-1])}")
    if len(groups) > MAX_ROWS:
        lines.append(f"and {counted(len(groups) - MAX_ROWS, 'more kind')} of adapters; -o json has all")
    return "\n".join([*lines, *_notes(found)]) + "\n"


def mark(one: ReleaseVerdict) -> str:
    """One letter for a verdict."""
    if one.right is None:
        return "?"
    if one.right:
        return "."
    if one.effective is False and not one.lost:
        return "-"
    return "d" if one.verdict == "drops" and not one.forward else "x"


def _groups(found: Compatibility) -> list[_Group]:
    """Adapters of which the same can be said."""
    groups: dict[object, _Group] = {}
    for one in found.adapters:
        marks = "".join(mark(verdict) for verdict in one.releases.values())
        groups.setdefault((marks, one.before, one.after), []).append(one)
    return list(groups.values())


def _base(found: Compatibility) -> str:
    bases = {one.base for one in found.adapters if one.base}
    return f", on {clean(bases.pop())}" if len(bases) == 1 else ""


def _label(group: _Group, names: Mapping[str, str], limit: int) -> str:
    more = f" (and {len(group) - 1:,} alike)" if len(group) > 1 else ""
    return shortened(clean(names[group[0].path], 200), max(MIN_LABEL, limit - len(more))) + more


def _table(
    found: Compatibility, groups: Sequence[_Group], names: Mapping[str, str], paint: Paint, width: int | None
) -> Iterator[str]:
    heads = [_head(release, found.releases) for release in found.releases]
    taken = sum(len(head) + 1 for head in heads)
    limit = MAX_LABEL if width is None else max(MIN_LABEL, min(MAX_LABEL, width - taken - 1))
    labels = [_label(group, names, limit) for group in groups]
    first = max(map(len, [*labels, "PEFT"]))
    seen = dict.fromkeys(mark(one) for group in groups for one in group[0].releases.values())
    yield f"{'PEFT':<{first}} {' '.join(heads)}"
    for label, group in zip(labels, groups, strict=True):
        marks = [mark(one) for one in group[0].releases.values()]
        cells = " ".join(" " * (len(h) - 1) + paint(_STYLES[m], m) for h, m in zip(heads, marks, strict=True))
        yield f"{label:<{first}} {cells}"
    yield f"({'  '.join(f'{letter} {words}' for letter, words in _WORDS.items() if letter in seen)})"


def _head(release: str, releases: Sequence[str]) -> str:
    """A release line without its nought: `.18`; a release of a line that has two columns in full."""
    line = ".".join(release.split(".")[:2])
    alone = sum(one.startswith(f"{line}.") for one in releases) == 1
    return (line if alone else release).removeprefix("0")


def _verdict(one: AdapterCompatibility, newest: str) -> str:
    if one.oldest is None:
        unknown = any(verdict.right is None for verdict in one.releases.values())
        told = "no release is known to be right" if unknown else "no release is right"
        return f"{told}; {clean(one.before or '', 400)}"
    told = f"oldest right: {one.oldest}"
    if one.newest != newest:
        told += f", newest right: {one.newest}"
    reasons = [clean(reason, 400) for reason in (one.before, one.after) if reason]
    return f"{told} - {'; '.join(reasons)}" if reasons else told


def _notes(found: Compatibility) -> Iterator[str]:
    kinds = [kind for kind in _EVIDENCE if any(one.evidence == kind for one in found.adapters)]
    for kind in kinds:
        number = sum(one.evidence == kind for one in found.adapters)
        who = "judged" if number == len(found.adapters) else f"{number:,} judged"
        whose = "its" if number == 1 else "their"
        told = f"{who} by {whose} {_EVIDENCE[kind].format(whose=whose)}"
        yield from ("", told) if kind == kinds[0] else (told,)
