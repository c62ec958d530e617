"""What a base's folder says of it: its config, and names and shapes of its tensors. Tensor data is never read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from adapterlint.adapter import Unreadable
from adapterlint.base.tree import Shape
from adapterlint.files.byte_reader import ByteReader
from adapterlint.files.json_text import MAX_JSON_BYTES, JsonError, JsonText, Span, parse_json
from adapterlint.files.safetensors_header import HeaderError, read_header
from adapterlint.files.torch_pickle import PickleError, read_torch_pickle
from adapterlint.formats import BASE_FILES, MODEL_CONFIG, shards_of
from adapterlint.sources import Source, SourceError, inside
from adapterlint.words import counted, listed, shown

MAX_SHARDS = 2_000
MAX_TENSORS = 500_000
MAX_INDEX_BYTES = 64 * 1024 * 1024
_SHARD = re.compile(r"(model|pytorch_model)-\d+-of-\d+\.(safetensors(\.header)?|bin)")


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


_INDEX = msgspec.json.Decoder(_Index)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What could be read of a base.

    Args:
        config: `config.json`, if it could be read and is an object.
        tensors: Name -> shape, `None` for a shape that is not known; `None` if there are no weights.
        problems: What could not be read, or is not what it should be.
        pickled: Whether the tensors are in torch pickles, which list a shared tensor under each of its names.
    """

    config: Mapping[str, Any] | None
    tensors: Mapping[str, Shape | None] | None
    problems: tuple[Unreadable, ...] = ()
    pickled: bool = False


def read_evidence(source: Source) -> Evidence:
    """Read a base's folder; nothing is raised."""
    return _Reader(source).read()


@dataclass(slots=True)
class _Reader:
    source: Source
    problems: list[Unreadable] = field(default_factory=list)
    pickled: bool = False

    def read(self) -> Evidence:
        names = self.source.entries()
        config = self.json(MODEL_CONFIG) if MODEL_CONFIG in names else None
        tensors = self.weights(names)
        return Evidence(config, tensors, tuple(self.problems), self.pickled)

    def weights(self, names: Iterable[str]) -> dict[str, Shape | None] | None:
        for file, index in BASE_FILES:  # a bare header stands for its file
            single = _there(file, names)
            if single is not None and (found := self.tensors(single)) is not None:
                return found
            if index in names and self.source.far and (shards := shards_of(names)):
                return self.together(shards)  # an index more would be a request more, and says nothing more
            if index in names and (found := self.shards(index, names)) is not None:
                return found
        shards = [n for n in names if _SHARD.fullmatch(n)]
        if not shards:
            return None
        self.note(shards[0], "no-index", "There are shards, but no index that lists them")
        return self.together(shards)

    def together(self, shards: Sequence[str]) -> dict[str, Shape | None]:
        """The tensors of shards as their headers list them."""
        parts = [self.tensors(n) for n in shards[:MAX_SHARDS]]
        return {name: shape for part in parts if part for name, shape in part.items()}

    def shards(self, index: str, names: Iterable[str]) -> dict[str, Shape | None] | None:
        """The tensors that an index lists, with the shapes that the shards' headers give."""
        mapping = self.weight_map(index)
        if mapping is None:
            return None
        wrong = {name for name, file in mapping.items() if not isinstance(file, str) or "/" in file or "\\" in file}
        if wrong:
            message = f"`weight_map` names no file of this folder for {listed(sorted(wrong), word='tensors')}"
            self.note(index, "wrong-type", message)
        tensors: dict[str, Shape | None] = {n: None for n in list(mapping)[:MAX_TENSORS] if n not in wrong}
        files = dict.fromkeys(mapping[name] for name in tensors)
        missing = []
        for file in list(files)[:MAX_SHARDS]:
            there = _there(file, names)
            if there is None:
                missing.append(file)
                continue
            tensors |= self.tensors(there) or {}
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            message = f"{counted(len(missing), 'shard')} {verb} not there: {listed(missing, word='shards')}"
            self.note(index, "missing-shards", message)
        return tensors

    def weight_map(self, name: str) -> dict[str, Any] | None:
        """Tensor -> file; that of a large model of experts is longer than a JSON file may be otherwise."""
        try:
            return _INDEX.decode(self.source.read(name, MAX_INDEX_BYTES)).weight_map
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, SourceError):
            read = self.json(name)
        mapping = read.get("weight_map") if read is not None else None
        if isinstance(mapping, dict):
            return mapping
        if read is not None:
            self.note(name, "not-object", f"`weight_map` is {shown(mapping)}, not an object")
        return None

    def tensors(self, name: str) -> dict[str, Shape | None] | None:
        read = _pickle if name.endswith(".bin") else _safetensors
        try:
            with self.source.open(name) as reader:
                found = read(name, reader)
        except (HeaderError, PickleError) as error:
            self.note(name, error.kind, error.message)
        except SourceError as error:
            self.note(name, "io", error.message)
        else:
            self.pickled = name.endswith(".bin")
            return found
        return None

    def json(self, name: str) -> dict[str, Any] | None:
        try:
            document = parse_json(self.source.read(name, MAX_JSON_BYTES + 1))
        except JsonError as error:
            self.note(name, error.kind, error.message, error.span)
        except SourceError as error:
            self.note(name, "io", error.message)
        else:
            if isinstance(document.value, dict):
                return document.value
            message = f"It holds {shown(document.value)}, not an object"
            self.note(name, "not-object", message, document.span(""), document)
        return None

    def note(
        self, name: str, kind: str, message: str, span: Span | None = None, document: JsonText | None = None
    ) -> None:
        self.problems.append(Unreadable(inside(self.source.path, name), kind, message, span, document))


def _there(file: str, names: Iterable[str]) -> str | None:
    """A file, or the bare header that stands for it."""
    return next((n for n in (file, f"{file}.header") if n in names), None)


def _safetensors(name: str, reader: ByteReader) -> dict[str, Shape | None]:
    header = read_header(reader, header_only=name.endswith(".header"))
    return {tensor: entry.shape for tensor, entry in header.tensors.items()}


def _pickle(_: str, reader: ByteReader) -> dict[str, Shape | None]:
    return {tensor: entry.shape for tensor, entry in read_torch_pickle(reader).tensors.items()}
