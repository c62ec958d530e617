"""Options of LoRA on every kind of module, alone and two together: what PEFT refuses is refused, in every release."""

from __future__ import annotations

import gzip
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from variants import KINDS, OPTIONS, SIZE

from adapterlint.adapter import load_adapter
from adapterlint.base.tree import Kind, ModuleTree, Node, Shape
from adapterlint.peft.fields import fields_of
from adapterlint.peft.loading import create
from adapterlint.peft.model import Model
from adapterlint.peft.opened import open_config
from adapterlint.peft.refused import Refused
from adapterlint.peft.releases import in_range
from adapterlint.peft.versions import Versions, usual_transformers
from adapterlint.sources.memory import MemoryFolder

RECORDED = json.loads(gzip.decompress((Path(__file__).parent / "variants.json.gz").read_bytes()))
_KERNELS = {Kind.CONV1D: (1,), Kind.CONV2D: (1, 1), Kind.CONV3D: (1, 1, 1)}


def base(kind: Kind) -> ModuleTree:
    """A model of one module, which has a bias where torch gives it one."""
    weight: Shape = (SIZE, SIZE, *_KERNELS.get(kind, ()))
    parameters = {"weight": weight} if kind is Kind.EMBEDDING else {"weight": weight, "bias": (SIZE,)}
    nodes = [Node("target", kind, parameters=parameters)]
    if kind is Kind.ATTENTION:
        within = {"in_proj_weight": (3 * SIZE, SIZE), "in_proj_bias": (3 * SIZE,)}
        nodes = [
            Node("target", kind, "MultiheadAttention", within),
            Node("target.out_proj", Kind.LINEAR, parameters=parameters),
        ]
    return ModuleTree({"": Node("", Kind.OTHER), **{node.path: node for node in nodes}})


def raised(kind: Kind, release: str, given: dict[str, Any]) -> tuple[str, str] | None:
    config = {"peft_type": "LORA", "r": 4, "target_modules": ["target"], **given}
    adapter = load_adapter(MemoryFolder("one", {"adapter_config.json": json.dumps(config).encode()}))
    assert adapter is not None
    model = Model(base(kind), Versions.of(release, usual_transformers(release)))
    try:
        create(model, "default", open_config(adapter, model.release))
    except Refused as refused:
        return refused.type, refused.text
    return None


def asked() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Release, kind, names of options, and what they put into a config."""
    fields = fields_of("LORA")
    for release in RECORDED:
        known = [
            name for name, given in OPTIONS.items() if all(in_range(release, fields[k].since, None) for k in given)
        ]
        for names in [*itertools.combinations(sorted(known), 1), *itertools.combinations(sorted(known), 2)]:
            keys = [key for name in names for key in OPTIONS[name]]
            if len(keys) == len(set(keys)):
                given = {key: value for name in names for key, value in OPTIONS[name].items()}
                for kind in KINDS:
                    yield release, kind, "+".join(names), given


def test_options_are_refused_on_the_modules_on_which_peft_refuses_them() -> None:
    wrong, counted = {}, Counter[bool]()
    for release, kind, names, given in asked():
        truth = RECORDED[release][kind].get(names)
        said = raised(Kind(kind), release, given)
        counted[truth is not None] += 1
        if (said and said[0]) != (truth and truth[0]):
            wrong[release, kind, names] = said, truth
    assert wrong == {}
    assert counted[True] > 1000
