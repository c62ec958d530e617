"""The table of architectures holds what it promises, for every class."""

from __future__ import annotations

import json
from importlib.resources import files

from adapterlint.base import Base, Evidence, table
from adapterlint.base.grow import KINDS

CLASSES = {"5.23.0": 1490, "4.56.2": 1090}  # at least; there is a list of those that could not be built


def entries(release: str) -> list[tuple[str, str]]:
    found = []
    for model_type in table.model_types():
        family = table.family(model_type)
        assert family is not None
        found += [(model_type, name) for name, lines in family.classes.items() if release in lines]
    return found


def test_both_releases_are_there() -> None:
    for release, least in CLASSES.items():
        assert len(entries(release)) >= least


def test_every_line_is_whole() -> None:
    for release in table.RELEASES:
        for model_type, name in entries(release):
            entry = table.entry(model_type, name, release)
            assert entry is not None
            assert (entry.name, entry.model_type) == (name, model_type)
            assert 0 <= entry.root < len(entry.nodes)
            assert {node[1] for node in entry.nodes} <= KINDS.keys()


# Few of everything, so that the test is fast; the rest are the defaults of transformers.
COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers", "depth")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
FEW = dict.fromkeys((*COUNTS, *EXPERTS), 2)


def test_every_class_gives_a_tree_from_next_to_nothing() -> None:
    for release in table.RELEASES:
        for model_type, name in entries(release):
            tree = Base("x", Evidence({**FEW, "model_type": model_type, "architectures": [name]}, None)).tree(release)
            assert tree.architecture == name
            assert len(tree.nodes) > 1


def test_tasks_name_classes_of_the_table() -> None:
    failed = json.loads(files("adapterlint.base").joinpath("architectures", "failures.json").read_text())
    for model_type in table.model_types():
        family = table.family(model_type)
        assert family is not None
        for release, tasks in family.tasks.items():
            for name in tasks.values():
                known = release in family.classes.get(name, {})
                assert known or f"{model_type} {name}" in failed[release]


def test_release_that_is_not_in_the_table_is_that_of_its_major_version() -> None:
    assert table.release_of("4.40.0") == "4.56.2"
    assert table.release_of("5.0.0rc1") == "5.23.0"
    assert table.release_of("6.0") == "5.23.0"


def test_class_of_one_release_only_is_known_as_such() -> None:
    family = table.family("llama")
    assert family is not None
    assert set(family.classes["LlamaForCausalLM"]) == {"5.23.0", "4.56.2"}
