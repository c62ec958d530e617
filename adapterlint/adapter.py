"""One adapter: where it comes from, its parts, and what could not be read of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from typing import Any

from adapterlint.files.byte_reader import ByteReader
from adapterlint.files.json_text import MAX_JSON_BYTES, JsonError, JsonText, Span, parse_json, pointer
from adapterlint.files.lfs_pointer import LfsPointer, parse_lfs_pointer
from adapterlint.files.model_card import MAX_FRONT_MATTER_BYTES, Card, card_of, read_card
from adapterlint.files.safetensors_header import HeaderError, HeaderProblem, Tensor, read_header
from adapterlint.files.torch_globals import foreign
from adapterlint.files.torch_pickle import PickleError, read_torch_pickle
from adapterlint.formats import (
    BASE_WEIGHTS,
    CARD,
    CONFIG,
    FOREIGN_FILES,
    FOREIGN_KEYS,
    FOREIGN_TENSORS,
    KOHYA_METADATA,
    MODEL_CONFIG,
    SAFETENSORS,
    WEIGHTS,
    Format,
)
from adapterlint.place import Place
from adapterlint.sources import Entry, Source, SourceError, inside
from adapterlint.sources.local import LocalFolder
from adapterlint.words import shown

MAX_POINTER_BYTES = 1024
MAX_EXPERTS = 64  # of one X-LoRA adapter
MAX_SNIFFED = 8  # weights files of one folder that are opened to find out what they are


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a folder, by name.

    Args:
        folder: The folder as it is shown.
        entries: Every file of the folder, not of its sub-folders.
        format: Whose format they are in.
        recognised: The files that tell the format.
    """

    folder: str
    entries: Mapping[str, Entry]
    format: Format
    recognised: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def at(self, name: str | None = None) -> Place:
        """A file of the folder, or the folder itself."""
        return Place(inside(self.folder, name) if name else self.folder)


@dataclass(frozen=True, slots=True)
class Config:
    """`adapter_config.json`: a JSON object.

    Args:
        file: Its path as it is shown.
        document: The parsed text.
    """

    file: str
    document: JsonText
    values: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", self.document.value)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, as JSON has it."""
        return self.values.get(key, default)

    def strings(self, key: str) -> tuple[str, ...]:
        """The strings of a list; nothing for a value of another type."""
        value = self.values.get(key)
        return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()

    def mapping(self, key: str) -> dict[str, Any]:
        """The value of a key if it is an object, else an empty one."""
        value = self.values.get(key)
        return value if isinstance(value, dict) else {}

    @property
    def peft_type(self) -> str:
        """`peft_type` as it stands; empty if it is missing or no string."""
        value = self.values.get("peft_type")
        return value if isinstance(value, str) else ""

    @property
    def base_model(self) -> str | None:
        """`base_model_name_or_path`, if it names anything."""
        value = self.values.get("base_model_name_or_path")
        return value if isinstance(value, str) and value.strip() else None

    def at(self, *route: str | int, key: bool = False) -> Place:
        """The value at a route of keys and indices (or, with `key`, the key itself)."""
        return Place(self.file, pointer=pointer(*route), key=key, document=self.document)


@dataclass(frozen=True, slots=True, eq=False)
class WeightsHeader:
    """What the weights file says of its tensors; two are equal if they are the same one.

    Args:
        file: Its path as it is shown.
        tensors: Data type and shape by name, in the order of the file.
        metadata: `__metadata__` of a safetensors file.
        problems: What is wrong with the header itself.
        pickle: Whether it is a torch pickle; then no more than names, types and shapes are known.
        imports: Everything a pickle imports that loading a state dict does not need.
        nested: Whether the tensors of a pickle were found under `state_dict`, and not at its top.
        whole: Whether the data is there too, and not the header alone.
    """

    file: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[HeaderProblem, ...] = ()
    pickle: bool = False
    imports: tuple[str, ...] = ()
    nested: bool = False
    whole: bool = True

    def at(self, tensor: str | None = None) -> Place:
        """A tensor of the file, or the file itself."""
        return Place(self.file, tensor=tensor)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part that is there but could not be read.

    Args:
        kind: `io`, `lfs-pointer`, for JSON the kinds of `JsonError` and `not-object`, for weights those of
            `HeaderError` and `PickleError`.
        message: One sentence without a full stop.
        imports: What a broken pickle imports that loading a state dict does not need.
        gone: Whether it is a link without a target, which is as good as no file.
    """

    file: str
    kind: str
    message: str
    span: Span | None = None
    document: JsonText | None = None
    lfs: LfsPointer | None = None
    imports: tuple[str, ...] = ()
    gone: bool = False

    @property
    def place(self) -> Place:
        """The file, and the line where it is known."""
        return Place(self.file, span=self.span, document=self.document)


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter, or a folder in somebody else's format (then `files.format` says whose, and nothing else is read).

    Args:
        path: The folder as it is shown.
        name: The folder's own name.
        config: `adapter_config.json`, if it could be read and is an object.
        header: The tensors of the weights file that PEFT would load, if they could be read.
        card: The front matter of `README.md`, if there is a `README.md`.
        unreadable: Part (`config`, `weights`, `card`) -> why it could not be read.
        experts: Path in the config of an X-LoRA adapter -> the adapter that is there, on this machine;
            `None` if nothing was looked for.
    """

    path: str
    name: str
    source: Source
    files: Files
    config: Config | None = None
    header: WeightsHeader | None = None
    card: Card | None = None
    unreadable: Mapping[str, Unreadable] = field(default_factory=dict)
    experts: Mapping[str, Adapter] | None = None


def load_adapter(where: str | PathLike[str] | Source, *, weights: str | None = None) -> Adapter | None:
    """Read the parts of an adapter: its config, the header of its weights, its card.

    Args:
        where: A folder, or any other source of files.
        weights: The weights file, if it has a name of its own; it counts for a bare header, and where there is a config
            but no weights under PEFT's names.

    Returns:
        The adapter, or `None` if the folder holds nothing that is known. Whatever cannot be read is told in
        `unreadable`; nothing is raised.
    """
    source = LocalFolder(fspath(where)) if isinstance(where, str | PathLike) else where
    entries = source.entries()
    parts = _Parts(source, entries)
    config = parts.config() if CONFIG in entries else None
    name = next((w for w in WEIGHTS if w in entries), None)
    if weights and (
        weights.endswith(".header") or (CONFIG in entries and not name and not BASE_WEIGHTS.match(weights))
    ):
        name = weights
    kind, recognised = _format(source, entries, config, ours=name is not None or "config" in parts.unreadable)
    if kind is None:
        return None
    files = Files(source.path, entries, kind, recognised)
    if kind is not Format.PEFT:
        return Adapter(source.path, source.name, source, files)
    header = parts.weights(name) if name else None
    card = parts.card() if CARD in entries else None
    experts = _experts(config) if config is not None and isinstance(source, LocalFolder) else None
    return Adapter(source.path, source.name, source, files, config, header, card, parts.unreadable, experts)


def with_whole_card(adapter: Adapter) -> Adapter:
    """The adapter with its card read, where no more of it was known than its front matter: its lines tell a place."""
    try:
        raw = adapter.source.read(CARD, MAX_FRONT_MATTER_BYTES)
    except SourceError:
        return adapter
    return replace(adapter, card=read_card(raw))


def _experts(config: Config) -> dict[str, Adapter]:
    """The adapters that an X-LoRA adapter mixes, as far as its paths lead to some, from the working directory on."""
    if config.peft_type != "XLORA":
        return {}
    paths = [path for path in config.mapping("adapters").values() if isinstance(path, str) and path]
    found = {}
    for path in paths[:MAX_EXPERTS]:
        folder = LocalFolder(path)
        try:
            there = CONFIG in folder.entries()
        except (SourceError, ValueError):  # a name with a null character
            continue
        expert = load_adapter(folder) if there else None
        if expert is not None and expert.config is not None and expert.config.peft_type != "XLORA":
            found[path] = expert
    return found


class _Parts:
    """Reads one part after the other and keeps why one could not be read."""

    def __init__(self, source: Source, entries: Mapping[str, Entry]) -> None:
        self.source = source
        self.entries = entries
        self.unreadable: dict[str, Unreadable] = {}

    def config(self) -> Config | None:
        file = inside(self.source.path, CONFIG)
        raw = b""
        try:
            raw = self.source.read(CONFIG, MAX_JSON_BYTES + 1)
            document = parse_json(raw)
        except JsonError as error:
            self.fail("config", file, error.kind, error.message, raw, span=error.span)
        except SourceError as error:
            self.fail("config", file, "io", error.message)
        else:
            if isinstance(document.value, dict):
                return Config(file, document)
            message = f"It holds {shown(document.value)}, not an object"
            self.fail("config", file, "not-object", message, span=document.span(""), document=document)
        return None

    def weights(self, name: str) -> WeightsHeader | None:
        file = inside(self.source.path, name)
        head = b""
        try:
            with self.source.open(name) as reader:
                head = reader.read_range(0, MAX_POINTER_BYTES) if reader.size <= MAX_POINTER_BYTES else b""
                return _pickle(file, reader) if name.endswith(".bin") else _safetensors(file, reader)
        except HeaderError as error:
            self.fail("weights", file, error.kind, error.message, head)
        except PickleError as error:
            self.fail("weights", file, error.kind, error.message, head, imports=foreign(error.imports))
        except SourceError as error:
            self.fail("weights", file, "io", error.message, gone=isinstance(error.__cause__, FileNotFoundError))
        return None

    def card(self) -> Card | None:
        if self.source.front_matter is not None:
            return card_of(self.source.front_matter)
        try:
            return read_card(self.source.read(CARD, MAX_FRONT_MATTER_BYTES))
        except SourceError as error:
            self.fail("card", inside(self.source.path, CARD), "io", error.message)
        return None

    def fail(
        self,
        part: str,
        file: str,
        kind: str,
        message: str,
        raw: bytes = b"",
        *,
        span: Span | None = None,
        document: JsonText | None = None,
        imports: tuple[str, ...] = (),
        gone: bool = False,
    ) -> None:
        lfs = parse_lfs_pointer(raw[:MAX_POINTER_BYTES])
        if lfs is not None:
            kind, span = "lfs-pointer", None
        self.unreadable[part] = Unreadable(file, kind, message, span, document, lfs, imports, gone)


def _safetensors(file: str, reader: ByteReader) -> WeightsHeader:
    bare = file.endswith(".header")
    header = read_header(reader, header_only=bare)
    return WeightsHeader(file, header.tensors, header.metadata, header.problems, whole=not bare)


def _pickle(file: str, reader: ByteReader) -> WeightsHeader:
    state = read_torch_pickle(reader)
    return WeightsHeader(file, state.tensors, pickle=True, imports=state.foreign_imports, nested=state.nested)


def _format(
    source: Source, entries: Mapping[str, Entry], config: Config | None, *, ours: bool
) -> tuple[Format | None, tuple[str, ...]]:
    """Whose files these are, and which of them tell it."""
    if config is not None and "peft_type" not in config:
        for kind, keys in FOREIGN_KEYS.items():
            if any(key in config for key in keys):
                return kind, (CONFIG,)
    if config is not None or ours:
        return Format.PEFT, ()
    named = [name for name in entries if name in FOREIGN_FILES]
    if named:
        return FOREIGN_FILES[named[0]], tuple(n for n in named if FOREIGN_FILES[n] is FOREIGN_FILES[named[0]])
    if MODEL_CONFIG in entries:
        weights = tuple(name for name in entries if BASE_WEIGHTS.fullmatch(name))
        return (Format.BASE, (MODEL_CONFIG, *weights)) if weights else (None, ())
    return _sniffed(source, entries)


def _sniffed(source: Source, entries: Mapping[str, Entry]) -> tuple[Format | None, tuple[str, ...]]:
    """The format of single LoRA files under names of their own, by the names of their tensors."""
    files: dict[Format, list[str]] = {}
    for name in [n for n in entries if n.endswith(SAFETENSORS)][:MAX_SNIFFED]:
        try:
            with source.open(name) as reader:
                header = read_header(reader, header_only=name.endswith(".header"))
        except (HeaderError, SourceError):
            continue
        for kind, tensor in FOREIGN_TENSORS.items():
            if any(map(tensor.match, header.tensors)) or (kind is Format.KOHYA and KOHYA_METADATA in header.metadata):
                files.setdefault(kind, []).append(name)
                break
    for kind, names in files.items():
        return kind, tuple(names)
    return None, ()
