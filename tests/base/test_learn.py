"""What the generator of the table learns from models that were built with many configs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from adapterlint.base.architectures.learn import Build, Learner
from adapterlint.base.architectures.merge import Merger, ordered
from adapterlint.base.architectures.words import spelled
from adapterlint.base.expressions import Missing, decide, feature, number


def builds(base: dict[str, Any], *changes: dict[str, Any]) -> list[tuple[Build, tuple[tuple[int, int], ...]]]:
    return [(Build({**base, **change}, frozenset(change)), ()) for change in ({}, *changes)]


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ([["layer", "conv"], ["layer", "rel"], ["layer", "rel", "conv"]], ["layer", "rel", "conv"]),
        ([["a", "b"], ["a", "b", "c"]], ["a", "b", "c"]),
        ([["a", "b"], ["b", "a"]], ["a", "b"]),
        ([[]], []),
    ],
)
def test_order_agrees_with_every_model(lists: list[list[str]], expected: list[str]) -> None:
    assert ordered(lists) == expected


def test_value_that_counts_only_beside_others_is_a_cause() -> None:
    base = {"relative": False, "names": None, "share": False}
    samples = builds(
        base,
        {"relative": True},
        {"names": ["c2p"]},
        {"share": True},
        {"relative": True, "names": ["p2c"]},
        {"relative": True, "names": ["c2p"]},
        {"names": ["c2p"], "share": True},
        {"relative": True, "names": ["c2p"], "share": True},
        {"relative": True, "share": True},
    )
    labels = [
        bool(b.values["relative"] and "c2p" in (b.values["names"] or ()) and not b.values["share"]) for b, _ in samples
    ]
    assert sorted(Learner().causes(samples, labels)) == ["names", "relative", "share"]
    found = Learner().choice(samples * 2, labels * 2)  # as in two layers
    for names, expected in (["p2c", "c2p"], True), (["p2c"], False), ("c2p|p2c", True), (None, False):
        assert decide(found, {"relative": True, "names": names, "share": False}) is expected
    assert decide(found, {"relative": True, "names": ["c2p"], "share": True}) is False


def test_number_may_hang_on_two_switches() -> None:
    base = {"buckets": -1, "relative": -1, "positions": 512}
    samples = builds(
        base,
        {"positions": 1024},
        {"buckets": 8},
        {"buckets": 12},
        {"relative": 24},
        {"relative": 36},
        {"buckets": 8, "relative": 24},
    )
    rows = [1024, 2048, 16, 24, 48, 72, 16]
    found = Learner().number(samples, rows)
    assert [number(found, b.values) for b, _ in samples] == rows
    assert number(found, {"buckets": 256, "relative": -1, "positions": 512}) == 512


def test_size_that_nothing_changed_is_not_known_if_a_value_of_the_config_may_be_it() -> None:
    samples = [(Build({"hidden": 768, "kernel": k}, frozenset({"kernel"})), ()) for k in (3, 5)]
    assert Learner(sizes=frozenset({"hidden", "kernel"})).number(samples, [768, 768]) is None
    assert Learner(sizes=frozenset({"kernel"})).number(samples, [768, 768]) == 768


def test_length_that_nothing_changed_is_that_of_the_value_that_has_it() -> None:
    samples = [(Build({"num_hidden_layers": 5, "kernel": k}, frozenset({"kernel"})), ()) for k in (3, 7)]
    assert Learner(sizes=frozenset({"num_hidden_layers", "kernel"})).count(samples, [5, 5]) == "num_hidden_layers"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (["tail", 0, "shared"], [False, False, True, True]),
        (["beyond", 0, "shared"], [False, False, True, True]),
        (["tail", 0, "all"], [False] * 4),
        (["beyond", 0, "all"], [True] * 4),
        (["p", "shared"], [True] * 4),
        (["p", "none"], [False] * 4),
        (["p", "minus"], [False] * 4),
    ],
)
def test_features_of_layers(expression: list[Any], expected: list[bool]) -> None:
    values = {"shared": 2, "all": 5, "minus": -1}
    assert [feature(expression, values, ((i, 4),)) for i in range(4)] == expected


def test_feature_of_a_value_of_another_type_is_missing() -> None:
    for expression in (["has", "x", "a"], ["p", "x"], ["tail", 0, "x"]):
        with pytest.raises(Missing):
            feature(expression, {"x": 1.5}, ((0, 4),))


def seen(name: str = "Linear", **children: Any) -> Any:
    """A module as the generator sees it."""
    parameters = {} if children else {"weight": (4, 4)}
    return SimpleNamespace(type=name, kind="l", parameters=parameters, buffers={}, children=children)


def test_items_that_stand_beside_other_modules_are_counted() -> None:
    counts = (4, 5, 8)
    samples = builds({"experts": 4}, {"experts": 5}, {"experts": 8})
    models = [seen("Experts", **{f"expert_{i}": seen() for i in range(n)}, dropout=seen("Dropout")) for n in counts]
    merger = Merger(Learner(sizes=frozenset({"experts"})))
    children = merger.nodes[merger.node(samples, models)][4]
    assert [(child[0], child[2:]) for child in children] == [("expert_*", ["experts"]), ("dropout", [])]


def test_number_may_be_how_often_a_list_has_a_name() -> None:
    lists = [["a", "b", "a"], ["a", "a", "b"], ["b", "b", "a"], ["a", "a", "a"], ["b", "b", "b"]]
    samples = builds({"kinds": lists[0]}, *({"kinds": kinds} for kinds in lists[1:]))
    found = Learner().number(samples, [kinds.count("b") for kinds in lists])
    assert number(found, {"kinds": ["b", "a", "b", "a", "b"]}) == 3


def test_layer_is_in_no_list_that_is_not_there() -> None:
    assert feature(["in", 0, "kinds"], {"kinds": None}, ((0, 4),)) is False


SOURCE = """
KINDS = {"attention": 1, "mamba": 2}
class Config:
    def __init__(self, ids):
        self.layer_types = ["full_attention" if i in ids else "conv" for i in range(4)]
class Layer:
    def __init__(self, config, i):
        if config.attention_type == "block_sparse" or config.mode not in ("x", "y"):
            pass
        self.block = KINDS[config.layers_block_type[i]]
"""


def test_names_that_a_value_may_have_are_those_that_the_code_spells_out() -> None:
    found: dict[str, set[str]] = {}
    for name, word in spelled(SOURCE):
        found.setdefault(name, set()).add(word)
    assert found["layer_types"] == {"full_attention", "conv"}
    assert found["attention_type"] == {"block_sparse"}
    assert found["mode"] == {"x", "y"}
    assert found["layers_block_type"] == {"attention", "mamba"}
