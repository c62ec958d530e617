"""What each release makes of an adapter of every method, against what PEFT 0.10 to 0.21 did with it."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest
from recorded_methods import adapters, bases, transformers_of

from adapterlint.adapter import load_adapter
from adapterlint.lint.classes import tree_for
from adapterlint.peft.footprint import footprint_of
from adapterlint.peft.releases import PATCHES
from adapterlint.peft.verdicts import Verdict, verdict

KNOWN = {
    "lora-layers-*": "headers do not tell how many groups a convolution has",
    "lora-attention*": "the outputs of `MultiheadAttention` are tuned by a path that its wrapper changes",
    "lora-siglip": "the same",
    "lora-wav2vec2": "0.15 counts the groups of a convolution otherwise",
    "oft-embedding": "embeddings, which OFT takes since 0.20 if they are known to be some",
    "osf-pattern": "`rank_pattern` of OSF",
    "unilora-gpt2": "weights that are stored the other way round",
    "waveft-proportional": "frequencies shared out by the sizes of all targets",
}
"""Adapters of which something else is said in some release, or nothing, and why."""


def judged(name: str, release: str) -> Verdict:
    one = adapters()[name]
    adapter = load_adapter(one.folder())
    assert adapter is not None
    assert adapter.config is not None
    touched, beside = footprint_of(adapter), transformers_of(release)
    if touched is None:
        return verdict(adapter, release, None, beside)
    tree = tree_for(bases()[one.base], [(adapter.config, touched)], beside, by_task=False)
    return verdict(adapter, release, tree, beside)


@pytest.mark.parametrize("release", PATCHES.values())
def test_what_a_release_makes_of_every_method_is_said_as_it_was(release: str) -> None:
    wrong = {}
    asked = [name for name, one in adapters().items() if release in one.truth]
    for name in asked:
        truth, found = adapters()[name].truth[release], judged(name, release)
        said = None if found.outcome == "unknown" else (found.error.type if found.error else "loads")
        same = said == ("loads" if truth.loads else truth.error and truth.error[0])
        if same and truth.loads:
            same = sorted(key.key for key in found.dropped) == sorted(truth.dropped)
        if not same:
            wrong[name] = (said, truth.error)
    assert {name: why for name, why in wrong.items() if not any(fnmatch(name, known) for known in KNOWN)} == {}
    assert len(wrong) < 0.03 * len(asked)
