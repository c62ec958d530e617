"""The files under `pickles/` were written by torch 2.13 (`make_pickles.py`); what they hold is told there."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapterlint.files import torch_pickle
from adapterlint.files.byte_reader import BytesReader
from adapterlint.files.pickle_machine import MAX_OPCODES
from adapterlint.files.tensor import Tensor
from adapterlint.files.torch_pickle import PickleError, TorchPickle, read_torch_pickle

PICKLES = Path(__file__).parent / "pickles"

LEGACY = {
    "f32": Tensor("F32", (2, 3), (0, 24)),
    "bf16": Tensor("BF16", (4,), (0, 8)),
    "f16_scalar": Tensor("F16", (), (0, 2)),
    "i64": Tensor("I64", (1, 2, 3), (0, 48)),
    "bool": Tensor("BOOL", (3,), (0, 3)),
    "empty": Tensor("F32", (0, 5), (0, 0)),
    "parameter": Tensor("F32", (2, 2), (0, 16)),
    "view": Tensor("F32", (2, 4), (0, 32)),
    "complex128": Tensor("COMPLEX128", (2,), (0, 0)),
}
ALL = {
    **LEGACY,
    "f8": Tensor("F8_E4M3", (2, 2), (0, 4)),
    "u16": Tensor("U16", (2,), (0, 4)),
    "meta": Tensor("F32", (3, 4), (0, 48)),
}
LINEAR = {"weight": Tensor("F32", (2, 3), (0, 24)), "bias": Tensor("F32", (2,), (0, 8))}


def read(raw: bytes) -> TorchPickle:
    return read_torch_pickle(BytesReader(raw))


def failure(raw: bytes) -> PickleError:
    with pytest.raises(PickleError) as caught:
        read(raw)
    return caught.value


def archive(data_pkl: bytes, compression: int = zipfile.ZIP_STORED, name: str = "archive/data.pkl") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr(name, data_pkl)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "tensors", "foreign", "nested", "protocol"),
    [
        ("zip", ALL, (), False, 2),
        ("legacy", LEGACY, (), False, 2),
        ("protocol4", ALL, (), False, 4),
        ("ordered_dict", LINEAR, (), False, 2),
        ("nested", LINEAR, (), True, 2),
        ("foreign", {"weight": Tensor("F32", (2,), (0, 8))}, ("__builtin__ print",), False, 2),
        ("module", {}, ("torch.nn.modules.linear Linear",), False, 2),
    ],
)
def test_what_torch_saved_is_found(
    name: str, tensors: dict[str, Tensor], foreign: tuple[str, ...], nested: bool, protocol: int
) -> None:
    found = read((PICKLES / f"{name}.bin").read_bytes())
    assert found.tensors == tensors
    assert found.foreign_imports == foreign
    assert found.nested == nested
    assert found.protocol == protocol


def test_imports_are_told_once_and_in_order() -> None:
    assert read((PICKLES / "ordered_dict.bin").read_bytes()).imports == (
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch FloatStorage",
    )


class Payload:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_is_executed_and_every_import_is_told(
    protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = pickle.dumps({"state": [Payload()], "counts": OrderedDict(a=1)}, protocol)
    for file in (raw, archive(raw)):
        found = read(file)
        assert found.foreign_imports == (f"{os.mkdir.__module__} mkdir",)
        assert "collections OrderedDict" in found.imports
        assert found.tensors == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "foreign"),
    [
        (b"\x80\x02(S'id'\nios\nsystem\n.", ("os system",)),
        (b"\x80\x02\x82\x05.", ("copyreg extension-5",)),
        (b"\x80\x04N\x8c\x06system\x93.", ("? ?",)),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\ncposix\nsystem\n.", ("posix system",)),
    ],
    ids=["INST", "EXT1", "STACK_GLOBAL of a computed module", "GLOBAL"],
)
def test_every_way_to_import_is_told(code: bytes, foreign: tuple[str, ...]) -> None:
    assert read(code).foreign_imports == foreign


class Call:
    """Pickled as a call of `os.mkdir`."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("x",)


@pytest.mark.parametrize("position", range(5))
def test_every_pickle_of_the_old_format_is_looked_at(position: int) -> None:
    # torch.load runs five: a magic number, the protocol, facts on the system, the state dict, the keys of storages.
    parts: list[object] = [torch_pickle.LEGACY_MAGIC_NUMBER, 1001, {}, OrderedDict(), ["0"]]
    pickles = [pickle.dumps(part, 2) for part in parts]
    pickles[position] = pickle.dumps(parts[position], 2)[:-1] + pickle.dumps(Call(), 2)[2:-1] + b"0."  # then dropped
    assert read(b"".join(pickles)).foreign_imports == (f"{os.mkdir.__module__} mkdir",)


def test_a_pickle_that_breaks_off_tells_what_it_imported_before() -> None:
    error = failure(b"\x80\x02cos\nsystem\n(S'id'\ntR")
    assert (error.kind, error.imports) == ("truncated", ("os system",))


def test_only_names_of_tensors_count() -> None:
    raw = (PICKLES / "nested.bin").read_bytes()
    assert "epoch" not in read(raw).tensors
    assert read(pickle.dumps({1: 2, "a": 3, "state_dict": 4}, 2)).tensors == {}
    assert read(pickle.dumps([1, 2], 2)).tensors == {}


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><html>404</html>", "html"),
        (b"<html>", "html"),
        (b'{"a": 1}', "not-a-pickle"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not-a-pickle"),
        (archive(b"x", name="archive/other"), "not-a-pickle"),
        (b"\x80", "truncated"),
        (b"\x80\x02}q\x00(X\x05\x00\x00\x00ab", "truncated"),
        (b"\x80\x02}\xffabc", "broken"),
        (b"\x80\x020000.", "broken"),
        (b"\x80\x02h\x07.", "broken"),
        (b"\x80\x02L" + b"9" * 5000 + b"L\n.", "broken"),
        (archive(pickle.dumps({}, 2))[:-30], "truncated"),
        (archive(pickle.dumps({}, 2), zipfile.ZIP_LZMA), "broken"),
    ],
)
def test_what_is_no_torch_pickle_is_told_apart(raw: bytes, kind: str) -> None:
    assert failure(raw).kind == kind


def test_a_legacy_pickle_longer_than_the_first_read_is_read_whole() -> None:
    names = {f"name {number}": number for number in range(20_000)}
    assert read(pickle.dumps({**names, "x": OrderedDict()}, 2)).imports == ("collections OrderedDict",)


def test_a_deflated_data_pkl_is_read() -> None:
    found = read(archive(pickle.dumps(OrderedDict(), 2), zipfile.ZIP_DEFLATED))
    assert found.imports == ("collections OrderedDict",)


@pytest.mark.parametrize(
    "raw",
    [
        archive(bytes(torch_pickle.MAX_PICKLE_BYTES + 1)),
        archive(bytes(50 * torch_pickle.MAX_PICKLE_BYTES), zipfile.ZIP_DEFLATED),
        b"\x80\x02" + b"N" * MAX_OPCODES + b"N.",
        b"\x80\x02X\xff\xff\xff\x7f" + bytes(torch_pickle.MAX_PICKLE_BYTES),
    ],
    ids=["large data.pkl", "zip bomb", "many opcodes", "endless string"],
)
def test_size_is_bounded(raw: bytes) -> None:
    assert failure(raw).kind == "too-large"


def test_a_huge_directory_is_not_read() -> None:
    # The end record claims a directory of 2 GiB before it, and the file is that long.
    end = b"PK\x05\x06" + bytes(4) + b"\x01\x00\x01\x00" + (2**31).to_bytes(4, "little") + bytes(6)

    class Huge:
        size = 2**31 + 22

        def read_range(self, start: int, length: int) -> bytes:
            assert length <= torch_pickle.MAX_PICKLE_BYTES
            whole = {0: b"PK\x03\x04" + bytes(100), self.size - 22: end}
            return whole.get(start, bytes(length))[:length]

    with pytest.raises(PickleError) as caught:
        read_torch_pickle(Huge())
    assert caught.value.kind == "too-large"


def test_nested_tuples_and_references_grow_nothing() -> None:
    doubling = b"\x80\x02)" + b"q\x00h\x00\x86" * 20_000
    assert read(doubling + b".").tensors == {}
    assert read(b"\x80\x02}" + doubling[2:] + b"Ns.").tensors == {}
    rebuild = b"ctorch._tensor\n_rebuild_from_type_v2\nq\x01" + b"N" + (b"q\x02h\x01Nh\x02\x87" * 20_000) + b"R."
    assert read(b"\x80\x02" + rebuild).tensors == {}


FILES = [path.read_bytes() for path in sorted(PICKLES.glob("*.bin"))]


@settings(max_examples=200)
@given(st.sampled_from(FILES), st.data())
def test_damaged_files_never_raise_anything_but_pickle_error(raw: bytes, data: st.DataObject) -> None:
    damaged = bytearray(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
    for _ in range(data.draw(st.integers(0, 4)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    check_never_anything_else(bytes(damaged))


OPCODES = [
    bytes([code])
    for code in b"(.012FIJKLMNPQRSTUVXabcdeghijlopqrst]u}\x80\x81\x82\x83\x84\x85\x86\x87\x88\x8a\x8b\x8c\x8d"
]
OPCODES += [bytes([code]) for code in range(0x8E, 0x99)]
OPCODES += [
    b"\x00",
    b"\x01\x00\x00\x00",
    b"\n",
    b"X\x01\x00\x00\x00a",
    b"ctorch\nSize\n",
    b"ccollections\nOrderedDict\n",
]
OPCODES += [b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._tensor\n_rebuild_from_type_v2\n", b"ctorch\nfloat32\n"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(OPCODES)).map(b"".join))
def test_opcodes_in_any_order_never_raise_anything_but_pickle_error(code: bytes) -> None:
    check_never_anything_else(b"\x80\x02" + code + b".")
    check_never_anything_else(archive(code + b"."))


@given(st.binary())
def test_any_bytes_never_raise_anything_but_pickle_error(raw: bytes) -> None:
    check_never_anything_else(raw)
    check_never_anything_else(b"\x80" + raw)
    check_never_anything_else(b"PK\x03\x04" + raw)


def check_never_anything_else(raw: bytes) -> None:
    try:
        found = read(raw)
    except PickleError:
        return
    assert all(isinstance(tensor, Tensor) for tensor in found.tensors.values())


FLOATS = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQ"


def vector(size: bytes, *, wrapped: int = 0, name: bytes = b"a") -> bytes:
    """A state dict of one vector, rebuilt by way of so many subclasses of tensors."""
    function, arguments = b"ctorch._utils\n_rebuild_tensor_v2\n", b"(" + FLOATS + b"K\0(" + size + b"t(K\x01t\x89}t"
    for _ in range(wrapped):
        function, arguments = b"ctorch._tensor\n_rebuild_from_type_v2\n", b"(" + function + b"N" + arguments + b"Nt"
    return b"\x80\x02}X" + len(name).to_bytes(4, "little") + name + function + arguments + b"Rs."


@pytest.mark.parametrize(
    ("size", "taken"),
    [(0, True), (2**64 - 1, True), (2**64, False), (-1, False), (10**20_000, False)],
    ids=["none", "largest", "too large", "negative", "huge"],
)
def test_a_dimension_is_a_number_of_64_bits(size: int, taken: bool) -> None:
    digits = pickle.encode_long(size)
    assert bool(read(vector(b"\x8b" + len(digits).to_bytes(4, "little") + digits)).tensors) is taken


def test_tensors_are_wrapped_a_few_times_at_most() -> None:
    assert read(vector(b"K\x08", wrapped=torch_pickle.MAX_WRAPPED)).tensors == {"a": Tensor("F32", (8,), (0, 32))}
    assert not read(vector(b"K\x08", wrapped=torch_pickle.MAX_WRAPPED + 1)).tensors


def test_half_of_a_surrogate_pair_is_escaped() -> None:
    assert list(read(vector(b"K\x08", name=b"\xed\xa0\x80.b")).tensors) == ["\\ud800.b"]
