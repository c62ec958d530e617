"""A file of `torch.save` for examples: the zip archive and the opcodes that torch writes for a dict of tensors."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from math import prod

from adapterlint.lint.example import BYTES, Shape

_STORAGES = {"F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage", "I64": "LongStorage"}


def pickle_file(tensors: Mapping[str, Shape], *, imports: Iterable[str] = (), under: str | None = None) -> bytes:
    """A torch pickle of zeros.

    Args:
        tensors: Data type and shape by name.
        imports: More that the pickle imports, as `"module name"`; nothing of it is called.
        under: The key that holds the dict of tensors, if it is not the top.
    """
    state = b"".join((b"}", *_entries(tensors)))
    body = state if under is None else b"".join((b"}", _text(under), state, b"s"))
    foreign = b"".join(b"c%s\n0" % path.replace(" ", "\n").encode() for path in imports)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        _add(file, "data.pkl", b"\x80\x02" + foreign + body + b".")
        _add(file, "byteorder", b"little")
        for i, (dtype, shape) in enumerate(tensors.values()):
            _add(file, f"data/{i}", bytes(BYTES[dtype] * prod(shape)))
        _add(file, "version", b"3\n")
    return archive.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)  # with a fixed date, so that examples stay the same


def _entries(tensors: Mapping[str, Shape]) -> Iterator[bytes]:
    for i, (name, (dtype, shape)) in enumerate(tensors.items()):
        strides = [prod(shape[d + 1 :]) for d in range(len(shape))]
        storage = b"".join((b"(", _text("storage"), b"ctorch\n%s\n" % _STORAGES[dtype].encode(), _text(str(i))))
        storage += b"".join((_text("cpu"), _numbers([prod(shape)]), b"tQ"))
        made = b"".join((b"(", storage, _numbers([0]), b"(", _numbers(shape), b"t(", _numbers(strides), b"t"))
        yield b"".join(
            (_text(name), b"ctorch._utils\n_rebuild_tensor_v2\n", made, b"\x89ccollections\nOrderedDict\n)RtRs")
        )


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _numbers(numbers: Iterable[int]) -> bytes:
    return b"".join(b"J" + struct.pack("<i", n) for n in numbers)
