from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterlint.files.lfs_pointer import LfsPointer, parse_lfs_pointer

OID = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n"


@pytest.mark.parametrize(
    "text",
    [
        POINTER,
        POINTER.rstrip("\n"),
        POINTER.replace("\n", "\r\n"),
        POINTER.replace("https://git-lfs.github.com", "https://hawser.github.com"),
        POINTER.replace("oid", f"ext-0-foo sha256:{OID}\noid"),
    ],
)
def test_a_pointer_says_what_it_stands_for(text: str) -> None:
    assert parse_lfs_pointer(text.encode()) == LfsPointer(OID, 12345)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "\n" + POINTER,
        POINTER + "more",
        POINTER.replace("sha256", "sha1"),
        POINTER.replace(OID, OID[:-1]),
        POINTER.replace("12345", "-1"),
        POINTER.replace("spec/v1", "spec/v2"),
        f"oid sha256:{OID}\nsize 12345\nversion https://git-lfs.github.com/spec/v1\n",
        f"version https://git-lfs.github.com/spec/v1\nsize 12345\noid sha256:{OID}\n",
        POINTER.replace("oid", f"ext-0-foo {'x' * 1000}\noid"),
    ],
)
def test_anything_else_is_no_pointer(text: str) -> None:
    assert parse_lfs_pointer(text.encode()) is None


@given(st.binary(), st.integers(0, len(POINTER)))
def test_any_bytes_are_taken(junk: bytes, cut: int) -> None:
    parse_lfs_pointer(junk)
    parse_lfs_pointer(POINTER.encode()[:cut] + junk)
