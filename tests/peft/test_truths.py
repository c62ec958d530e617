"""The symbolic PEFT against what real PEFT did with recorded fleets (`tests/fleets/README.md`), fact by fact."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from recorded import RELEASES, is_simulated, recorded, simulated, told

KNOWN = {
    "0008": "an adapter called like a module of the base, 0.15",
    "0029": "MT5, whose head transformers 4 does not tie, with a config that transformers 5 wrote",
    "0062": "HRA on `dt_proj` of Mamba, whose weight transformers 5 reads without running the layer",
    "0114": "modules_to_save and token rows with names of tuner layers' own parts, 0.15",
    "0127": "token rows that torch does not copy, up to 0.17: KeyError is said instead of RuntimeError",
    "0197": "the same",
    "0169": "a refusal that is not decided, 0.15",
    "0071": "parts of DeBERTa that the table of architectures lacks",
    "0078": "the same",
    "0131": "the same",
    "0151": "an adapter called `lora`, whose name PEFT up to 0.17 mixes up with the prefix",
}
"""Fleets with facts that are told otherwise than PEFT does, and why."""


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_said_is_what_peft_did(release: str) -> None:
    wrong, unknown, agreed = Counter[str](), Counter[str](), Counter[str]()
    told_wrong: list[str] = []
    clean = 0
    for fleet in recorded():
        truth = fleet["truth"][release]
        said = {(facet, what): value for facet, what, value in simulated(fleet, truth)}
        before = wrong.total() + unknown.total()
        for facet, what, value in told(truth):
            guess = said.get((facet, what))
            if guess is None and value is not None:
                unknown[facet] += 1
                if is_simulated(fleet) and fleet["id"] not in KNOWN:
                    told_wrong.append(f"{fleet['id']} {facet} {what} is not decided")
            elif _plain(guess) == _plain(value):
                agreed[facet] += 1
            else:
                wrong[facet] += 1
                if fleet["id"] not in KNOWN:
                    told_wrong.append(f"{fleet['id']} {facet} {what}: {value!r}, not {guess!r}")
        clean += wrong.total() + unknown.total() == before
    assert told_wrong == []
    every = agreed + wrong + unknown
    assert wrong.total() < 0.01 * every.total()
    for facet, count in every.items():
        assert wrong[facet] <= 0.015 * count, facet
    # What is not decided is about methods that are not simulated, and about what their files lack.
    assert agreed.total() > 0.97 * every.total()
    assert clean > 0.85 * len(recorded())


def _plain(value: Any) -> Any:
    """With lists for tuples, and module paths in one order."""
    return json.loads(json.dumps(value, sort_keys=True))
