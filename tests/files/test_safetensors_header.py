"""The judge is `safetensors.deserialize`, which needs no torch: it must fail exactly where a header is refused."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from adapterlint.files.byte_reader import BytesReader
from adapterlint.files.header_problems import MAX_PROBLEMS
from adapterlint.files.safetensors_header import BITS, Header, HeaderError, HeaderProblem, Tensor, read_header

F32 = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
A = f'"a":{F32}'


def file_of(header: str | bytes | dict[str, Any], data: bytes = b"1234") -> bytes:
    raw = json.dumps(header) if isinstance(header, dict) else header
    raw = raw.encode() if isinstance(raw, str) else raw
    return struct.pack("<Q", len(raw)) + raw + data


def read(raw: bytes, *, header_only: bool = False) -> Header:
    return read_header(BytesReader(raw), header_only=header_only)


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def check_against_safetensors(raw: bytes) -> Header | HeaderError:
    """Whether a file is refused, and what is in it, must be the same for both."""
    try:
        header: Header | HeaderError = read(raw)
    except HeaderError as error:
        header = error
    refused = isinstance(header, HeaderError) or any(problem.refused for problem in header.problems)
    expected = deserialized(raw)
    if expected is None:
        assert refused
    else:
        assert not refused, header.message if isinstance(header, HeaderError) else header.problems
        assert isinstance(header, Header)
        found = {name: (tensor.dtype, list(tensor.shape), tensor.nbytes) for name, tensor in header.tensors.items()}
        assert found == expected
    return header


def deserialized(raw: bytes) -> dict[str, tuple[str, list[int], int]] | None:
    """Dtype, shape and bytes of every tensor, or `None` if safetensors refuses the file."""
    try:
        found = safetensors.deserialize(raw)
    except Exception:
        return None
    return {name: (tensor["dtype"], tensor["shape"], len(tensor["data"])) for name, tensor in found}


def test_a_header_as_safetensors_writes_it() -> None:
    # `safetensors.torch.save` 0.8.0 of a BF16 tensor of 2 x 3 and an F32 tensor of 3 x 2.
    raw = (
        b'\xa0\x00\x00\x00\x00\x00\x00\x00{"__metadata__":{"format":"pt"},'
        b'"lora_B":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},'
        b'"lora_A":{"dtype":"BF16","shape":[2,3],"data_offsets":[24,36]}}    '
    ) + bytes(36)
    header = read(raw)
    assert header.tensors == {"lora_B": Tensor("F32", (3, 2), (0, 24)), "lora_A": Tensor("BF16", (2, 3), (24, 36))}
    assert list(header.tensors) == ["lora_B", "lora_A"]
    assert header.tensors["lora_A"].nbytes == 12
    assert header.metadata == {"format": "pt"}
    assert header.header_size == len(raw) - 36
    assert header.data_size == 36
    assert header.problems == ()


def test_a_header_kept_without_data_misses_none() -> None:
    header = read(file_of({"a": entry("F32", [2**40], 0, 2**42)}, b""), header_only=True)
    assert header.problems == ()
    assert header.data_size is None


def test_equal_headers_share_their_tensors_but_not_the_size_of_their_data() -> None:
    one, other = read(file_of({"a": entry("F32", [1], 0, 4)})), read(file_of({"a": entry("F32", [1], 0, 4)}, b"12"))
    assert one.tensors is other.tensors
    assert (one.data_size, other.data_size) == (4, 2)
    assert one.problems == ()
    assert [problem.kind for problem in other.problems] == ["data-too-short"]


# Headers that safetensors accepts, with what is told of them nevertheless.
ACCEPTED: dict[str, tuple[str, list[str]]] = {
    "no tensors": ("{}", []),
    "space around": (" \n\t\r{" + A + "} \n", []),
    "metadata last": ("{" + A + ',"__metadata__":{"format":"pt"}}', []),
    "metadata with braces": ('{"__metadata__":{"config":"{\\"r\\": {}}"},' + A + "}", []),
    "metadata null": ('{"__metadata__":null,' + A + "}", []),
    "metadata name escaped": ('{"__meta\\u0064ata__":{"x":"y"},' + A + "}", []),
    "metadata key twice": ('{"__metadata__":{"x":"y","x":"z"},' + A + "}", []),
    "tensor twice": ("{" + A + "," + A + "}", ["duplicate-name"]),
    "tensor twice, once escaped": ("{" + A + ',"\\u0061":' + F32 + "}", ["duplicate-name"]),
    "colon, dash, bracket in a name": ('{"a:[-1":' + F32 + "}", []),
    "empty name": ('{"":' + F32 + "}", []),
    "control characters escaped": ('{"\\u0000\\u001b[2J":' + F32 + "}", []),
    "surrogate pair": ('{"\\ud83d\\ude00":' + F32 + "}", []),
    "unknown field": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":[1e2,{"shape":1}]}}', []),
    "unknown field twice": ('{"a":{"x":1,"x":1,"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', []),
    "unknown field with a huge number": (
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":' + "9" * 308 + "}}",
        [],
    ),
    "unknown field nested 125 deep": (
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":' + "[" * 125 + "]" * 125 + "}}",
        [],
    ),
    "entry as a list": ('{"a":["F32",[1],[0,4]]}', []),
    "scalar": ('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', []),
    "no element before one": ("{" + A + ',"b":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}', []),
    "no element of many": (
        "{" + A + ',"b":{"dtype":"F32","shape":[0,9223372036854775808,4],"data_offsets":[4,4]}}',
        [],
    ),
    "any order": (
        '{"b":{"dtype":"I16","shape":[1],"data_offsets":[2,4]},"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}',
        [],
    ),
    "half bytes": ('{"a":{"dtype":"F4","shape":[8],"data_offsets":[0,4]}}', []),
}


@pytest.mark.parametrize(("header", "kinds"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_safetensors_accepts_is_accepted(header: str, kinds: list[str]) -> None:
    found = check_against_safetensors(file_of(header))
    if header == "{}":
        found = check_against_safetensors(file_of(header, b""))
    assert isinstance(found, Header)
    assert [problem.kind for problem in found.problems] == kinds
    assert not any(problem.refused for problem in found.problems)


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty file": (b"", "empty"),
    "seven bytes": (b"1234567", "too-short"),
    "length 2**63": (struct.pack("<Q", 2**63) + b"{}", "header-too-large"),
    "length above the bound": (struct.pack("<Q", 100_000_001) + b"{}", "header-too-large"),
    "length past the end": (struct.pack("<Q", 3) + b"{}", "truncated"),
    "length at the bound, past the end": (struct.pack("<Q", 100_000_000) + b"{}", "truncated"),
    "no header": (struct.pack("<Q", 0), "not-json"),
    "byte order mark": (file_of(b"\xef\xbb\xbf{}"), "not-json"),
    "nul padding": (file_of(b"{}\x00\x00"), "not-json"),
    "latin-1": (file_of('{"é":'.encode("latin-1") + F32.encode() + b"}"), "encoding"),
    "utf-8 of a surrogate": (file_of(b'{"\xed\xa0\x80":' + F32.encode() + b"}"), "encoding"),
    "raw control character": (file_of('{"\x01":' + F32 + "}"), "not-json"),
    "half a surrogate pair": (file_of('{"\\ud800":' + F32 + "}"), "not-json"),
    "half a pair in an unknown field": (file_of('{"a":{"x":"\\ud800",' + F32[1:] + "}"), "not-json"),
    "comma missing after the metadata": (file_of('{"__metadata__":{}' + A + "}"), "not-json"),
    "comma too many after the metadata": (file_of('{"__metadata__":{},}', b""), "not-json"),
    "not a number": (file_of('{"a":{"x":NaN,' + F32[1:] + "}"), "not-json"),
    "number out of range": (file_of('{"a":{"x":1e999,' + F32[1:] + "}"), "not-json"),
    "number of 5,000 digits": (file_of('{"a":{"x":' + "9" * 5000 + "," + F32[1:] + "}"), "not-json"),
    "nested 126 deep": (file_of('{"a":{"x":' + "[" * 126 + "]" * 126 + "," + F32[1:] + "}"), "depth"),
    "nested 100,000 deep": (file_of("[" * 100_000), "depth"),
    "a list": (file_of("[]"), "wrong-shape-of-header"),
    "null": (file_of("null"), "wrong-shape-of-header"),
    "entry null": (file_of('{"a":null}', b""), "wrong-shape-of-entry"),
    "entry of four": (file_of('{"a":["F32",[1],[0,4],0]}'), "wrong-shape-of-entry"),
    "no shape": (file_of('{"a":{"dtype":"F32","data_offsets":[0,4]}}'), "wrong-shape-of-entry"),
    "dtype twice": (file_of('{"a":{"dtype":"F32",' + F32[1:] + "}"), "wrong-shape-of-entry"),
    "dtype a number": (file_of('{"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}}'), "wrong-shape-of-entry"),
    "size 1.0": (file_of('{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}'), "wrong-shape-of-entry"),
    "size true": (file_of('{"a":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}}'), "wrong-shape-of-entry"),
    "sizes -1": (file_of('{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}'), "wrong-shape-of-entry"),
    "offset -0": (file_of('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}}'), "wrong-shape-of-entry"),
    "size 2**64": (
        file_of('{"a":{"dtype":"F32","shape":[0, 18446744073709551616],"data_offsets":[0,0]}}', b""),
        "size-overflow",
    ),
    "three offsets": (file_of('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}'), "wrong-shape-of-entry"),
    "metadata twice": (file_of('{"__metadata__":{},"__metadata__":{},' + A + "}"), "metadata"),
    "metadata a list": (file_of('{"__metadata__":[],' + A + "}"), "metadata"),
    "metadata number": (file_of('{"__metadata__":{"x":1},' + A + "}"), "metadata"),
    "metadata null value": (file_of('{"__metadata__":{"x":null},' + A + "}"), "metadata"),
    "metadata like a tensor": (file_of('{"__metadata__":' + F32 + "}"), "metadata"),
    "unknown dtype of a tensor given again": (
        file_of('{"a":{"dtype":"X",' + F32[15:] + "," + A + "}"),
        "unknown-dtype",
    ),
}


@pytest.mark.parametrize(("raw", "kind"), REFUSED.values(), ids=REFUSED)
def test_what_safetensors_refuses_is_refused(raw: bytes, kind: str) -> None:
    found = check_against_safetensors(raw)
    kinds = [found.kind] if isinstance(found, HeaderError) else [each.kind for each in found.problems if each.refused]
    assert kind in kinds


@pytest.mark.parametrize(
    ("tensors", "data", "problem"),
    [
        (
            {"a": entry("float32", [1], 0, 4)},
            4,
            HeaderProblem("unknown-dtype", "a", "`float32` is not a dtype of safetensors"),
        ),
        (
            {"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 8, 12)},
            12,
            HeaderProblem("hole", "b", "bytes 4 to 8 before its data belong to no tensor"),
        ),
        (
            {"a": entry("F32", [1], 4, 8)},
            8,
            HeaderProblem("hole", "a", "bytes 0 to 4 before its data belong to no tensor"),
        ),
        (
            {"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 4, 12)},
            12,
            HeaderProblem("overlap", "b", "its data starts at byte 4, inside the data before it, which ends at 8"),
        ),
        (
            {"a": entry("F32", [2, 3], 0, 8)},
            8,
            HeaderProblem("size-mismatch", "a", "shape [2, 3] of F32 needs 24 bytes, its offsets span 8"),
        ),
        (
            {"a": entry("F4", [3], 0, 2)},
            2,
            HeaderProblem("half-byte", "a", "shape [3] of F4 needs 12 bits, not whole bytes"),
        ),
        (
            {"a": entry("U8", [2**63, 2, 0], 0, 0)},
            0,
            HeaderProblem("size-overflow", "a", "shape [9223372036854775808, 2, 0] of U8 needs more than 2**64 bits"),
        ),
        (
            {"a": entry("F32", [1], 0, 4)},
            3,
            HeaderProblem("data-too-short", None, "the tensors need 4 bytes of data, the file ends after 3"),
        ),
        (
            {"a": entry("F32", [1], 0, 4)},
            6,
            HeaderProblem("data-too-long", None, "the tensors need 4 bytes of data, the file goes on for 2 more"),
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, HeaderProblem) else "",
)
def test_problems_are_told_in_words_and_numbers(tensors: dict[str, Any], data: int, problem: HeaderProblem) -> None:
    header = check_against_safetensors(file_of(tensors, bytes(data)))
    assert isinstance(header, Header)
    assert header.problems == (problem,)


def test_offsets_may_end_before_they_start_and_are_told_with_the_gap_they_leave() -> None:
    header = check_against_safetensors(file_of({"a": entry("F32", [1], 4, 0)}))
    assert isinstance(header, Header)
    assert [problem.message for problem in header.problems] == ["its data ends at byte 0, before it starts at 4"]


def test_a_wrong_entry_names_its_tensor() -> None:
    with pytest.raises(HeaderError, match="its `shape` is not a list of whole numbers from 0 on") as caught:
        read(file_of({"good": entry("U8", [0], 0, 0), "bad\x1b": {**entry("U8", [0], 0, 0), "shape": "no"}}))
    assert caught.value.tensor == "bad\x1b"


def test_problems_are_bounded() -> None:
    tensors = {str(number): entry("F33", [1], 0, 4) for number in range(1000)}
    assert len(read(file_of(tensors)).problems) == MAX_PROBLEMS


def test_that_a_file_is_refused_is_never_hidden_by_lesser_problems() -> None:
    check_against_safetensors(file_of("{" + f"{A}," * 200 + '"b":{"dtype":"F33","shape":[0],"data_offsets":[4,4]}}'))
    check_against_safetensors(file_of("{" + f"{A}," * 200 + A + "}", b"12345"))


@pytest.mark.parametrize("dtype", BITS)
def test_every_dtype_has_the_size_that_safetensors_gives_it(dtype: str) -> None:
    for size in range(17):
        check_against_safetensors(file_of({"a": entry(dtype, [4], 0, size)}, bytes(size)))
        check_against_safetensors(file_of({"a": entry(dtype, [1], 0, size)}, bytes(size)))


def test_the_dtypes_are_those_of_safetensors() -> None:
    with pytest.raises(safetensors.SafetensorError, match="expected one of") as caught:
        safetensors.deserialize(file_of({"a": entry("X", [1], 0, 4)}))
    listed = str(caught.value).split("expected one of ")[1].split(" at line")[0]
    assert set(listed.replace("`", "").split(", ")) == set(BITS)


def test_a_hundred_thousand_tensors_are_read() -> None:
    tensors = {f"layer.{number}.weight": entry("U8", [1], number, number + 1) for number in range(100_000)}
    header = read(file_of(tensors, bytes(100_000)))
    assert len(header.tensors) == 100_000
    assert header.problems == ()


@pytest.mark.parametrize("piece", ['{"x":[],"x":[]},', "[],", "1,", '"x":1,'])
def test_a_bomb_of_small_values_is_not_unpacked(piece: str) -> None:
    with pytest.raises(HeaderError) as caught:
        read(file_of('{"a":[' + piece * 2_000_001))
    assert caught.value.kind == "too-many-entries"


@pytest.mark.parametrize("digits", ["9" * 1_000_000, "0." + "1" * 1_000_000, "1e" + "9" * 1_000_000])
def test_numbers_of_a_million_digits_are_refused_or_read_at_once(digits: str) -> None:
    check_against_safetensors(file_of('{"a":{"x":' + digits + "," + F32[1:] + "}"))
    check_against_safetensors(file_of('{"a":{"dtype":"F32","shape":[' + digits + '],"data_offsets":[0,4]}}'))


def test_a_tensor_of_fifty_thousand_large_dimensions_is_refused_at_once() -> None:
    check_against_safetensors(file_of({"a": entry("F32", [2**63] * 50_000, 0, 4)}))


def test_a_header_longer_than_the_first_read_is_read_whole() -> None:
    metadata = json.dumps({"note": "x" * 200_000})
    header = read(file_of('{"__metadata__":' + metadata + "," + A + "}"))
    assert header.metadata["note"] == "x" * 200_000
    assert header.tensors == {"a": Tensor("F32", (1,), (0, 4))}


class ShrinkingReader(BytesReader):
    """A file that is cut off after its size was asked for."""

    @property
    def size(self) -> int:
        return super().size + 100


def test_a_file_that_shrinks_meanwhile_is_truncated() -> None:
    with pytest.raises(HeaderError) as caught:
        read_header(ShrinkingReader(struct.pack("<Q", 50) + b"{}"))
    assert caught.value.kind == "truncated"


names = st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda name: name != "__metadata__")
shapes = st.lists(st.integers(0, 4), max_size=3)


@st.composite
def files(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A valid header, as a dict in any order, and its data."""
    tensors: dict[str, Any] = {}
    position = 0
    for name in draw(st.lists(names, unique=True, max_size=5)):
        dtype, shape = draw(st.sampled_from(sorted(BITS))), draw(shapes)
        bits = BITS[dtype]
        for size in shape:
            bits *= size
        if bits % 8:
            dtype, bits = "U8", bits // BITS[dtype] * 8
        tensors[name] = entry(dtype, shape, position, position + bits // 8)
        position += bits // 8
    header = dict(draw(st.permutations(list(tensors.items()))))
    if draw(st.booleans()):
        header = {"__metadata__": draw(st.dictionaries(names, names, max_size=2)), **header}
    return header, bytes(position)


@given(files(), st.sampled_from([None, 1]), st.booleans())
def test_valid_files_have_no_problems(file: tuple[dict[str, Any], bytes], indent: int | None, ascii_only: bool) -> None:
    header = check_against_safetensors(file_of(json.dumps(file[0], indent=indent, ensure_ascii=ascii_only), file[1]))
    assert isinstance(header, Header)
    assert header.problems == ()
    assert header.metadata == file[0].get("__metadata__", {})


@given(files())
def test_a_file_cut_off_anywhere_is_refused(file: tuple[dict[str, Any], bytes]) -> None:
    raw = file_of(*file)
    for length in range(len(raw)):
        check_against_safetensors(raw[:length])


@settings(max_examples=300)
@given(files(), st.data())
def test_files_with_bytes_changed_are_judged_as_safetensors_does(
    file: tuple[dict[str, Any], bytes], data: st.DataObject
) -> None:
    raw = bytearray(file_of(*file))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] = data.draw(st.sampled_from(list(b'0129-.eE,:"{}[]\\ u\x00\x80\xff')) | st.integers(0, 255))
    check_against_safetensors(bytes(raw))


@settings(max_examples=300)
@given(files(), st.data())
def test_files_with_changed_numbers_are_judged_as_safetensors_does(
    file: tuple[dict[str, Any], bytes], data: st.DataObject
) -> None:
    header, content = file
    odd = st.integers(-1, 20) | st.sampled_from([2**32, 2**63, 2**64 - 1, 2**64, 1.0, None, True, "1"])
    for name, tensor in header.items():
        if name != "__metadata__" and data.draw(st.booleans()):
            field = data.draw(st.sampled_from(["shape", "data_offsets"]))
            values = list(tensor[field])
            place = data.draw(st.integers(0, len(values)))
            values[place : place + 1] = data.draw(st.lists(odd, max_size=2))
            tensor[field] = values
    check_against_safetensors(file_of(header, content + bytes(data.draw(st.sampled_from([0, 0, 0, 1])))))


@settings(max_examples=200)
@given(files(), files(), st.data())
def test_joined_headers_are_judged_as_safetensors_does(
    one: tuple[dict[str, Any], bytes], other: tuple[dict[str, Any], bytes], data: st.DataObject
) -> None:
    """Swaps the offsets of tensors and repeats names."""
    pairs = [*one[0].items(), *data.draw(st.sampled_from([one, other]))[0].items()]
    entries = data.draw(st.permutations([value for name, value in pairs if name != "__metadata__"]))
    metadata = [value for name, value in pairs if name == "__metadata__"]
    values = iter([*entries, *metadata])
    ordered = sorted((name for name, _ in pairs), key="__metadata__".__eq__)
    text = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in zip(ordered, values, strict=True))
    check_against_safetensors(file_of("{" + text + "}", one[1]))


PIECES = ["{", "}", "[", "]", ",", ":", '"', "\\u", "d8", "00", "0", "4", "-", ".", " ", "\x00", "é", A, F32, '"a":']
PIECES += ['"__metadata__"', '"dtype"', '"F32"', '"shape"', '"data_offsets"', "[0,4]", "[1]", "[" * 130, "9" * 400]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES)).map("".join), st.booleans())
def test_json_like_headers_never_raise_anything_but_header_error(text: str, closed: bool) -> None:
    check_against_safetensors(file_of("{" + text + "}" if closed else text))


@given(st.binary(max_size=60))
def test_any_bytes_never_raise_anything_but_header_error(raw: bytes) -> None:
    check_against_safetensors(raw)
    check_against_safetensors(file_of(raw, b""))


def test_files_with_the_same_header_share_what_nobody_can_change() -> None:
    raw = b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    one, other = (read_header(BytesReader(len(raw).to_bytes(8, "little") + raw)) for _ in range(2))
    assert one.tensors is other.tensors
    for shared in (one.tensors, one.metadata):
        with pytest.raises(TypeError):
            shared["b"] = shared.get("a")  # type: ignore[index]
