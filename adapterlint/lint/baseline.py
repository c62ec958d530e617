"""The baseline: findings of an earlier run that are set aside, one line each, none of them tied to a line of a file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import msgspec

from adapterlint.errors import AdapterlintError
from adapterlint.words import shown

MARK = "adapterlint-baseline"  # the key of the first line; its value is the version of the form
VERSION = 1
MAX_BYTES = 64 * 2**20  # of a baseline


class BaselineError(AdapterlintError):
    """A file that is no baseline, or cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is kept of a finding. Paths are relative to the folder of the baseline, with forward slashes.

    Args:
        file: The file it is in, or a folder.
        adapters: Of a finding about a fleet: the folders of the adapters concerned, sorted.
        code: The rule's code.
        rule: The rule's name, for those who read the file.
        pointer: JSON pointer into the file.
        tensor: Name of a tensor in the file.
        about: Hash of what the message is about.
        base: Whether the rule had a base model to go by.
        declared: Whether it was worse than the rule's own severity, as what somebody declared to do is.
        message: What was said, for those who read the file.
    """

    file: str
    adapters: tuple[str, ...] = ()
    code: str
    rule: str
    pointer: str | None = None
    tensor: str | None = None
    about: str
    base: bool = False
    declared: bool = False
    message: str = ""

    @property
    def exact(self) -> tuple[object, ...]:
        """What two entries of the same finding have in common."""
        return (self.code, self.file, self.adapters, self.pointer, self.tensor, self.about, self.declared)

    @property
    def loose(self) -> tuple[object, ...]:
        """The same without the paths, and without what is not the same after the next save.

        These are positions in a list; and of several keys that a message names, the one that comes first.
        """
        keys = [key for key in (self.pointer or "").split("/") if not key.isdigit()]
        named = shown(keys[-1].replace("~1", "/").replace("~0", "~")) in self.message
        return (self.code, None if named else tuple(keys), self.tensor, self.about)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline as it stands in its file.

    Args:
        entries: In the order of the file.
        lines: The line of each entry.
        peft: The releases of PEFT that it was written for; empty for the newest that was known.
    """

    entries: tuple[Entry, ...] = ()
    lines: tuple[int, ...] = ()
    peft: tuple[str, ...] = ()


def about(message: str, names: Iterable[str] = ()) -> str:
    """A hash of what a message is about: the values that it quotes, but for names of adapters.

    Its words and its numbers may change, and so may the order of what it lists.
    """
    values = set(re.findall(r"`([^`]*)`", message)).difference(shown(name).strip("`") for name in names)
    return hashlib.sha256("\0".join(sorted(values)).encode()).hexdigest()[:16]


def parse(content: bytes, place: str) -> Baseline:
    """Read a baseline.

    Args:
        content: What the file holds.
        place: What errors call it.

    Raises:
        BaselineError: It is no baseline, or one of a later form.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise BaselineError("This is no baseline: it is not UTF-8", place=place) from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    head = _head(lines[0][1] if lines else "", place)
    entries = [_entry(line, f"{place}:{number}") for number, line in lines[1:]]
    return Baseline(tuple(entries), tuple(number for number, _ in lines[1:]), head.peft)


class _Head(msgspec.Struct, frozen=True):
    version: Any = msgspec.field(name=MARK)
    peft: tuple[str, ...] = ()


def _head(line: str, place: str) -> _Head:
    try:
        head = msgspec.json.decode(line, type=_Head)
    except (msgspec.MsgspecError, RecursionError):
        raise BaselineError(
            f'This is no baseline: its first line is not `{{"{MARK}": {VERSION}}}`', place=place
        ) from None
    if head.version != VERSION or isinstance(head.version, bool):
        known = f"this adapterlint knows version {VERSION}"
        raise BaselineError(f"The baseline is of version {shown(head.version)}, and {known}", place=place)
    return head


_DECODER = msgspec.json.Decoder(Entry)


def _entry(line: str, place: str) -> Entry:
    try:
        entry = _DECODER.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        reason = f"{error}".partition(" (byte")[0]
        raise BaselineError(f"This line is no entry of a baseline: {reason}", place=place) from None
    if "\0" in "".join((entry.file, *entry.adapters)):
        raise BaselineError("This line is no entry of a baseline: a path has a NUL in it", place=place)
    return entry


def written(baseline: Baseline) -> str:
    """The text of a baseline: a line that says what it is, then one line an entry, sorted by path.

    Nothing in it has to be joined by commas, so that changes of two people are merged line by line.
    """
    head = {MARK: VERSION} | ({"peft": list(baseline.peft)} if baseline.peft else {})
    ordered = sorted(baseline.entries, key=lambda e: (e.adapters[:1] or (e.file,), _line(_said(e))))
    return "".join(f"{_line(said)}\n" for said in (head, *map(_said, ordered)))


def _said(entry: Entry) -> dict[str, Any]:
    """The fields of an entry that say something, in their order."""
    values = {field.name: (getattr(entry, field.name), field.default) for field in fields(entry)}
    return {name: value for name, (value, default) in values.items() if value != default}


def _line(said: Mapping[str, Any]) -> str:
    """One line of JSON that people can read and that no terminal obeys."""
    text = json.dumps(said, ensure_ascii=False)
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
