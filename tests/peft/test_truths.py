"""The symbolic PEFT against what real PEFT did with recorded fleets (`tests/fleets/README.md`), fact by fact."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from recorded import RELEASES, UNSEEN, is_simulated, recorded, simulated, told

VISION = "tunes a vision tower, which a batch without pictures does not run"
KNOWN = {
    "0029": "MT5, whose head transformers 4 does not tie, with a config that transformers 5 wrote",
    "0151": "an adapter called `lora`, whose name PEFT up to 0.17 mixes up with the prefix",
    "second-0083": "the embedding of Jamba is in the file, as release 5 draws it and release 4 does not",
    "second-0014": "BERT names one tied module in two ways, of which the tree has one",
    "second-0031": VISION,
    "rare-0009": VISION,
    "rare-0020": VISION,
    "second-0036": "Whisper asks an embedding for its rows, which LoRA hides, before it finds an argument given twice",
    "rare-0029": "a shadow that is let into the middle of a layer",
    "second-0109": "a pooler, whose output is not what outputs are compared by",
    "second-0112": "POLY up to 0.17, whose base is one level higher for `get_base_model`",
    "third-0003": "POLY up to 0.17, whose base is one level higher for `get_base_model`",
    "third-0120": "the same",
    "third-0010": "a string of `modules_to_save` over layers of others: which of two errors comes first, since 0.19",
    "third-0036": "a bias of keys, which adds the same to the scores of all keys, and does not show in outputs",
    "third-0056": VISION,
    "third-0088": VISION,
    "third-0108": VISION,
    "third-0126": VISION,
    "third-0189": VISION,
    "third-0061": "a prompt for Longformer, which makes its global attention from indices",
    "third-0115": "AdaLoRA on keys of attention, which does not show in outputs",
    "third-0129": "OFT of 0.15: which of two errors comes first",
    "fourth-0077": "MobileViT, whose tiny base gives next to nothing, whatever is changed in it",
    "fourth-0081": "the same",
    "fourth-0082": "the same",
    "sixth-0014": "layers of NeoMME whose last weights are zeros in a base that was never trained",
    "sixth-0046": "POLY up to 0.17, whose base is one level higher for `get_base_model`",
    "sixth-0075": "the same",
    "sixth-0050": VISION,
    "sixth-0081": VISION,
    "sixth-0087": "an adapter called `lora`, whose name PEFT up to 0.17 mixes up with the prefix",
    "rare-0070": "tied embeddings of Qwen2-VL, of which transformers 4 and 5 write different configs",
}
"""Fleets with facts that are told otherwise than PEFT does, and why."""
SOURCES = ("fleets", "second", "rare", "special")
Counts = Counter[str]


def judged(source: str, release: str) -> list[dict[str, Any]]:
    """The fleets of a file to compare for a release: all of the first, every second one of the others."""
    half = RELEASES.index(release) % 2 if source != "fleets" else 0
    return recorded(source)[half :: 2 if source != "fleets" else 1]


def compared(fleets: list[dict[str, Any]], release: str) -> tuple[Counts, Counts, Counts, int]:
    """By facet, how often adapterlint is wrong, does not know and agrees; how many fleets have agreement alone."""
    wrong, unknown, agreed = Counts(), Counts(), Counts()
    told_wrong: list[str] = []
    clean = 0
    for fleet in fleets:
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
    return wrong, unknown, agreed, clean


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("release", RELEASES)
def test_what_is_said_is_what_peft_did(release: str, source: str) -> None:
    fleets = judged(source, release)
    wrong, unknown, agreed, clean = compared(fleets, release)
    every = agreed + wrong + unknown
    assert min(every.values()) > 0
    assert wrong.total() < (0.005 if source in ("fleets", "special") else 0.01) * every.total()
    # What is not decided is about methods that are not simulated, and about what their files lack.
    assert agreed.total() > AGREED[source] * every.total()
    assert clean > CLEAN[source] * len(fleets)


AGREED = {"fleets": 0.985, "second": 0.985, "rare": 0.97, "special": 0.99}
CLEAN = {"fleets": 0.94, "second": 0.9, "rare": 0.75, "special": 0.95}


TRIED = {"sixth": ("0.15.2", "0.18.1", "0.21.2")}
"""File -> the releases that its fleets were given to, where not all were."""


@pytest.mark.parametrize(("source", "release"), [(s, r) for s in UNSEEN for r in TRIED.get(s, RELEASES)])
def test_architectures_that_were_never_looked_at(source: str, release: str) -> None:
    """In each release nearly all that is said is right, of nearly all fleets."""
    fleets = [fleet for fleet in recorded(source) if release in fleet["truth"]]
    wrong, unknown, agreed, clean = compared(fleets, release)
    every = wrong.total() + unknown.total() + agreed.total()
    assert wrong.total() < 0.005 * every
    assert agreed.total() >= 0.99 * every
    assert clean >= 0.9 * len(fleets)


def _plain(value: Any) -> Any:
    """With lists for tuples, and module paths in one order."""
    return json.loads(json.dumps(value, sort_keys=True))
