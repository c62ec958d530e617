"""What a run has looked at, so that only what it would have found again is called gone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from adapterlint.globs import matches
from adapterlint.lint.rule import Rule


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that paths are relative to, whichever folder one is in and through whichever links it was named."""

    folder: str

    @classmethod
    def of(cls, folder: str) -> Root:
        """A root at a folder."""
        return cls(os.path.realpath(folder))

    def absolute(self, path: str) -> str:
        """Where a path of this run lies: folders without links, unless these lead out of the root."""
        direct = os.path.abspath(path)
        folder, name = (direct, "") if os.path.isdir(direct) else os.path.split(direct)
        real = os.path.join(os.path.realpath(folder), name).rstrip(os.sep) or os.sep
        return real if is_below(real, self.folder) or not is_below(direct, self.folder) else direct

    def relative(self, path: str) -> str:
        """A path of this run as seen from the root, with forward slashes; one on another drive stays what it is."""
        try:
            return os.path.relpath(self.absolute(path), self.folder).replace(os.sep, "/")
        except ValueError:
            return self.absolute(path).replace(os.sep, "/")

    def join(self, path: str) -> str:
        """Where a path that is relative to the root lies."""
        return os.path.normpath(os.path.join(self.folder, path))


def is_below(path: str, folder: str) -> bool:
    """Whether an absolute path is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


@dataclass(frozen=True, slots=True)
class Covered:
    """What a run has looked at; all paths are absolute, as the root gives them.

    Args:
        rules: The rules that ran where they had their inputs, by code.
        folders: The folders that were walked down.
        exclude: Patterns of what was left out there.
        adapters: Folder of an adapter -> the inputs that there were for rules about it.
        fleets: For each fleet the folders of its members, and whether there was a base.
    """

    rules: Mapping[str, Rule]
    folders: Sequence[str]
    exclude: Sequence[str]
    adapters: Mapping[str, frozenset[str]]
    fleets: Sequence[tuple[frozenset[str], bool]] = field(default=())

    def has(self, path: str) -> bool:
        """Whether a file or folder was looked at, or would have been if it were there."""
        return self.adapter_of(path) is not None or self.was_walked(path)

    def was_walked(self, path: str) -> bool:
        """Whether everything below a path was looked at."""
        tops = [folder for folder in self.folders if is_below(path, folder)]
        return bool(tops) and not any(matches(part, self.exclude) for part in _upwards(path, min(tops, key=len)))

    def adapter_of(self, path: str) -> str | None:
        """The checked adapter that a path belongs to."""
        for folder in (path, os.path.dirname(path)):
            if folder in self.adapters:
                return folder
        return None

    def ran(self, code: str, path: str) -> bool:
        """Whether a rule about one adapter would find again what it found at a path."""
        rule, adapter = self.rules.get(code), self.adapter_of(path)
        if rule is None:
            return False
        return self.was_walked(path) if adapter is None else rule.needs <= self.adapters[adapter]

    def had_base(self, code: str, path: str) -> bool:
        """Whether a rule about one adapter had a base to go by; it need not read one."""
        adapter = self.adapter_of(path)
        return adapter is not None and self.rules[code].reads_base and "base" in self.adapters[adapter]

    def ran_together(self, code: str, paths: Iterable[str], *, base: bool) -> bool:
        """Whether a rule about a fleet would find again what it found of some adapters.

        Args:
            base: Whether there was a base when it found that.
        """
        those = frozenset(paths)
        if code not in self.rules or not all(map(self.has, those)):
            return False
        if any("footprint" not in self.adapters[path] for path in those if path in self.adapters):
            return False  # it is in no fleet as long as it cannot be read
        return all(known == base for members, known in self.fleets if members & those)


def _upwards(path: str, top: str) -> list[str]:
    """A path and the folders above it, up to one of them, which is left out."""
    parts = []
    while path != top and is_below(path, top):
        parts.append(path)
        path = os.path.dirname(path)
    return parts
