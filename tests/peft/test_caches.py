"""What is kept for the next file is forgotten when a run is over."""

from __future__ import annotations

from adapterlint.caches import clear, emptied, kept
from adapterlint.files.byte_reader import BytesReader
from adapterlint.files.safetensors_header import read_header
from adapterlint.peft.layout import layout
from adapterlint.peft.patterns import pattern
from adapterlint.peft.strays import strays


def test_clear_empties_every_cache_and_none_is_lost_by_it() -> None:
    made: list[int] = []

    @kept(4)
    def twice(number: int) -> int:
        made.append(number)
        return 2 * number

    shelf = emptied({1: 2})
    assert [twice(1), twice(1)] == [2, 2]
    clear()
    assert shelf == {}
    assert [twice(1), twice(1)] == [2, 2]
    assert made == [1, 1]


def test_headers_and_what_was_made_of_them_are_let_go() -> None:
    raw = b'{"base_model.model.q.lora_A.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    file = BytesReader(len(raw).to_bytes(8, "little") + raw)
    tensors = read_header(file).tensors
    first, stray = layout(tensors, "LORA"), strays(tensors, "LORA")
    assert read_header(file).tensors is tensors
    assert layout(tensors, "LORA") is first
    assert strays(tensors, "LORA") is stray
    clear()
    assert read_header(file).tensors is not tensors
    assert layout(tensors, "LORA") is not first


def test_the_time_that_a_pattern_took_is_not_remembered() -> None:
    slow = pattern("(a*)*b", whole=True)
    slow.slow = True
    assert pattern("(a*)*b", whole=True).slow
    clear()
    assert not pattern("(a*)*b", whole=True).slow
