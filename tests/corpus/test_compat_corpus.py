"""Which release each real config asks for.

Whether a config is read, what is raised and which keys are dropped was compared with PEFT 0.10.0 to 0.21.2
(`record_configs.py`): 484 configs that have a `peft_type` or are of LoRA's form, 12 releases, and no difference but for
AdaMSS, which wants scikit-learn. What is listed here was read by hand.
"""

from __future__ import annotations

import json
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest

from adapterlint import compat
from adapterlint.adapter import load_adapter
from adapterlint.compatibility import AdapterCompatibility
from adapterlint.formats import Format
from adapterlint.peft.methods import METHODS
from adapterlint.peft.releases import newest_patch

pytestmark = pytest.mark.corpus

PEFT = "huggingface__peft/@history/"
NOWHERE = [  # no release reads these
    ("BlackCatSpb__fcp/lora_adapters/fcp_adapter", "raises KeyError: 'peft_type'"),
    (PEFT + "2bdf176f/diag_adapter", "the type `DIAG`"),
    (PEFT + "3a96bc3b/*/bdlora/*", "the type `BDLORA`"),
    (PEFT + "*/uilinlora_adapter", "the type `UILINLORA`"),
    (PEFT + "ce51ecc2/*finegates*", "the type `FINEGATES`"),
    (PEFT + "ce51ecc2/outputs/*", "the type `FINEGATES`"),
    (PEFT + "2df411fc/*/road/*", "Invalid variant 1 specified"),
]
GONE = [  # the newest release does not take these, an older one does
    (PEFT + "*/bone/*", "0.18.1", "does not know the type `BONE`"),
    (PEFT + "*adalora*", "0.14.0", "AdaLoRA does not work when `total_step` is None"),
    (PEFT + "def8a202/*/oft/*", "0.13.2", "OFT has been updated since PEFT 0.14.0"),
    ("rkarnwal__udacity/@history/cedfa77d/peft_model", "0.13.2", "Invalid task type: 'SEQUENCE_CLASSIFICATION'"),
]
LATER = {  # LoRA that asks for more than 0.14, which came to drop unknown keys
    ("0.19.1", "0.18.1 drops `use_bdlora`, which makes its factors block-diagonal"): 2,
    ("0.21.2", "0.20.0 drops `kasa_config`, which makes it KaSA, with a diagonal between its factors"): 2,
}


@pytest.fixture(scope="module")
def judged(corpus: Path) -> list[AdapterCompatibility]:
    """One adapter for each config that is another one; all are judged by their configs alone."""
    folders: dict[str, str] = {}
    for file in sorted(corpus.rglob("adapter_config.json")):
        try:
            values = json.loads(file.read_bytes())
        except ValueError:
            continue
        if isinstance(values, dict):
            values.pop("base_model_name_or_path", None)
            folders.setdefault(json.dumps(values, sort_keys=True), str(file.parent))
    assert len(folders) == 497
    others = [load_adapter(folder) for folder in folders.values()]
    assert sum(one is None or one.files.format is not Format.PEFT for one in others) == 13  # such as MLX's
    distinct = set(folders.values())
    found = compat(sorted(distinct)).adapters  # folders below them are found too
    return [
        one.model_copy(update={"path": str(Path(one.path).relative_to(corpus))})
        for one in found
        if one.path in distinct
    ]


def test_every_config_has_a_type_and_an_oldest_release_but_those_that_no_release_reads(
    judged: list[AdapterCompatibility],
) -> None:
    assert len(judged) == 484
    for one in judged:
        if one.oldest is None:
            told = one.before or ""
            assert any(fnmatch(one.path, path) and reason in told for path, reason in NOWHERE), (one.path, told)
        else:
            assert one.peft_type in METHODS
            since = newest_patch(METHODS[one.peft_type].since)
            assert list(one.releases).index(one.oldest) >= list(one.releases).index(since)
    for path, reason in NOWHERE:
        assert any(fnmatch(one.path, path) and reason in str(one.before) for one in judged), path


def test_what_the_newest_release_does_not_take_is_known(judged: list[AdapterCompatibility]) -> None:
    lost = [one for one in judged if one.oldest is not None and one.after is not None]
    for one in lost:
        assert any(
            fnmatch(one.path, path) and one.newest == newest and reason in str(one.after)
            for path, newest, reason in GONE
        ), (one.path, one.newest, one.after)
    assert len(lost) == 8


def test_nothing_is_undecided(judged: list[AdapterCompatibility]) -> None:
    assert [one.path for one in judged if any(found.right is None for found in one.releases.values())] == []


def test_few_of_lora_ask_for_more_than_0_14(judged: list[AdapterCompatibility]) -> None:
    lora = [one for one in judged if one.peft_type == "LORA"]
    later = Counter((one.oldest, one.before) for one in lora if one.oldest not in ("0.10.0", "0.14.0"))
    assert later == LATER


def test_the_oldest_of_other_types_is_their_first_or_what_unknown_keys_ask_for(
    judged: list[AdapterCompatibility],
) -> None:
    others = [one for one in judged if one.oldest is not None and one.peft_type not in ("LORA", "OFT")]
    for one in others:
        since = newest_patch(METHODS[str(one.peft_type)].since)
        assert one.oldest in (since, "0.14.0"), one.path
        if one.oldest != since:
            assert "refuses the config for" in str(one.before)
