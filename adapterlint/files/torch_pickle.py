"""Names, dtypes and shapes of the tensors in a file of `torch.save`, read from its opcodes; nothing is executed.

Two formats: the zip archive of torch 1.6 and later, whose `*/data.pkl` holds the state dict, and the stream of pickles
before that (`_legacy_save`, torch/serialization.py).
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from adapterlint.files.byte_reader import ByteReader
from adapterlint.files.pickle_machine import OPAQUE, Global, Machine, Mapping, PickleError, PickleErrorKind
from adapterlint.files.tensor import U64_MAX, Tensor, shape_nbytes
from adapterlint.files.torch_globals import DTYPES, foreign

__all__ = ["PickleError", "PickleErrorKind", "TorchPickle", "read_torch_pickle"]

MAX_PICKLE_BYTES = 8 * 1024 * 1024  # of data.pkl, and of the archive's directory: 100 bytes or so a tensor
MAX_WRAPPED = 8  # subclasses of tensors within each other; real ones are one deep
FIRST_READ_BYTES = 1 << 16
LEGACY_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C

_NESTED = "state_dict"  # where trainers put the state dict inside a checkpoint
_HTML = (b"<!doctype", b"<html")
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True, eq=False)
class TorchPickle:
    """What a torch pickle holds.

    Attributes:
        tensors: Tensors by name, of the dict itself or, if it has none, of its `state_dict`. A dtype is named as
            safetensors names it (`"F32"`), or as torch does in capitals (`"QINT8"`). Offsets are `(0, bytes of the
            shape)`, because the place of the data is not looked up.
        imports: Everything the pickle imports, as `"module name"`, once and in order.
        nested: Whether the tensors were found under `state_dict`.
        protocol: Highest pickle protocol declared; torch writes 2, and `weights_only=True` knows no later opcode.
    """

    tensors: dict[str, Tensor]
    imports: tuple[str, ...]
    nested: bool = False
    protocol: int = 2

    @property
    def foreign_imports(self) -> tuple[str, ...]:
        """The imports that `torch.load(weights_only=True)`, which PEFT uses, does not allow (torch 2.13)."""
        return foreign(self.imports)


@dataclass(frozen=True, slots=True)
class _Storage:
    dtype: str


class _Window(io.RawIOBase):
    """The file that zipfile wants, over a `ByteReader`; refuses to read more than `MAX_PICKLE_BYTES` at once."""

    def __init__(self, reader: ByteReader) -> None:
        self._reader = reader
        self._position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._reader.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the start of the file")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(self._reader.size - self._position, 0)
        wanted = left if size < 0 else min(size, left)
        if wanted > MAX_PICKLE_BYTES:
            raise PickleError("too-large", f"a part of the archive has more than {MAX_PICKLE_BYTES} bytes")
        data = self._reader.read_range(self._position, wanted)
        self._position += len(data)
        return data


def read_torch_pickle(reader: ByteReader) -> TorchPickle:
    """Read what a `.bin` file holds without unpickling it.

    Raises:
        PickleError: The file is no torch pickle, broken, or passes a bound on size.
    """
    head = reader.read_range(0, FIRST_READ_BYTES)
    if not head:
        raise PickleError("empty", "the file is empty")
    if head.lstrip()[:9].lower().startswith(_HTML):
        raise PickleError("html", "the file is a web page, such as a download that failed leaves")
    if head.startswith(b"PK\x03\x04"):
        return _run(io.BytesIO(_read_data_pkl(reader)))
    if not head.startswith(b"\x80"):
        raise PickleError("not-a-pickle", "the file starts neither as a zip archive nor as a pickle")
    try:
        return _run(io.BytesIO(head))
    except PickleError as error:
        if error.kind != "truncated" or reader.size <= len(head):
            raise
    try:
        return _run(io.BytesIO(head + reader.read_range(len(head), MAX_PICKLE_BYTES - len(head))))
    except PickleError as error:
        if error.kind != "truncated" or reader.size <= MAX_PICKLE_BYTES:
            raise
        message = f"the pickle does not end within {MAX_PICKLE_BYTES} bytes"
        raise PickleError("too-large", message, error.imports) from None


def _read_data_pkl(reader: ByteReader) -> bytes:
    try:
        with zipfile.ZipFile(_Window(reader)) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
            if len(infos) != 1:
                raise PickleError("not-a-pickle", f"the zip archive has {len(infos)} files `data.pkl`, not one")
            if infos[0].compress_type not in _COMPRESSIONS:
                raise PickleError("broken", "`data.pkl` is compressed in a way that torch does not read")
            with archive.open(infos[0]) as file:
                data = file.read(MAX_PICKLE_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError, LookupError):
        raise PickleError("truncated", "the zip archive is broken or cut off") from None
    if len(data) > MAX_PICKLE_BYTES:
        raise PickleError("too-large", f"`data.pkl` has more than {MAX_PICKLE_BYTES} bytes")
    return data


def _run(stream: io.BytesIO) -> TorchPickle:
    machine = Machine(_call, _load_persistent)
    result = machine.run(stream)
    if result == LEGACY_MAGIC_NUMBER:
        # Then come the protocol version, facts on the system that wrote the file, and the state dict.
        machine.run(stream)
        machine.run(stream)
        result = machine.run(stream)
        machine.run(stream)  # the keys of the storages, whose imports torch runs too
    tensors = _tensors(result)
    if tensors or not isinstance(result, Mapping) or _NESTED not in result.items:
        return TorchPickle(tensors, machine.imports, protocol=machine.protocol)
    return TorchPickle(_tensors(result.items[_NESTED]), machine.imports, nested=True, protocol=machine.protocol)


def _tensors(value: object) -> dict[str, Tensor]:
    items = value.items if isinstance(value, Mapping) else {}
    return {name: tensor for name, tensor in items.items() if isinstance(tensor, Tensor)}


def _load_persistent(key: object) -> object:
    """Stand in for `persistent_load`: an id is `("storage", class, key, device, number of elements)`."""
    storage = key[1] if isinstance(key, tuple) and len(key) > 1 else None
    return _Storage(DTYPES.get(storage.path, "")) if isinstance(storage, Global) else OPAQUE


def _call(function: object, arguments: object) -> object:
    for _ in range(MAX_WRAPPED):
        if function != _FROM_TYPE or not isinstance(arguments, tuple) or len(arguments) <= 2:
            break
        function, arguments = arguments[0], arguments[2]
    rebuild = _REBUILD.get(function.path) if isinstance(function, Global) else None
    if rebuild is None or not isinstance(arguments, tuple):
        return OPAQUE
    try:
        return rebuild(arguments)
    except IndexError:
        return OPAQUE


def _tensor(storage: object, shape: object) -> object:
    """Describe a tensor; `storage` is a storage or, for a tensor that does not share its type, a dtype."""
    dtype = storage.dtype if isinstance(storage, _Storage) else None
    if isinstance(storage, Global):
        dtype = DTYPES.get(storage.path)
    if not dtype or not isinstance(shape, tuple) or not all(map(_is_size, shape)):
        return OPAQUE
    return Tensor(dtype, shape, (0, shape_nbytes(dtype, shape) or 0))


def _is_size(size: object) -> bool:
    return type(size) is int and 0 <= size <= U64_MAX


_FROM_TYPE = Global("torch._tensor _rebuild_from_type_v2")  # (function, type, arguments, state)

_REBUILD: dict[str, Callable[[tuple[object, ...]], object]] = {
    "collections OrderedDict": lambda _: Mapping(),
    "torch Size": lambda args: args[0],
    "torch._utils _rebuild_tensor": lambda args: _tensor(args[0], args[2]),
    "torch._utils _rebuild_tensor_v2": lambda args: _tensor(args[0], args[2]),
    "torch._utils _rebuild_tensor_v3": lambda args: _tensor(args[6], args[2]),
    "torch._utils _rebuild_qtensor": lambda args: _tensor(args[0], args[2]),
    "torch._utils _rebuild_meta_tensor_no_storage": lambda args: _tensor(args[0], args[1]),
    "torch._utils _rebuild_parameter": lambda args: args[0],
    "torch._utils _rebuild_parameter_with_state": lambda args: args[0],
    "torch._utils _rebuild_device_tensor_from_cpu_tensor": lambda args: args[0],
}
