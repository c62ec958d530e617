"""What each release makes of an adapter of every method, against what PEFT 0.10 to 0.21 did with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest
from recorded_methods import (
    NEWEST,
    RELEASES,
    Saved,
    adapters,
    base_folders,
    bases,
    damaged,
    transformers_of,
    write_bases,
)

from adapterlint import check, compat
from adapterlint.adapter import load_adapter
from adapterlint.compatibility import ReleaseVerdict, release_verdicts
from adapterlint.lint.classes import tree_for
from adapterlint.peft.footprint import footprint_of
from adapterlint.peft.methods import METHODS
from adapterlint.peft.partial import partial_base
from adapterlint.peft.releases import PATCHES
from adapterlint.peft.verdicts import Verdict, verdict
from adapterlint.report.compat_text import compat_text

WITHOUT_BASE = {
    "adaptionprompt-*": "which attention it has",
    "loha-*": "a convolution of one dimension from one of two",
    "lokr-*": "a convolution of one dimension from one of two",
    "lora-bdlora-*": "whether a factor is as wide as the module",
    "lora-experts*": "whether experts are modules or parameters",
    "lora-layers-*": "how many groups a convolution has",
    "lora-stack": "whether layers are in a list that the config does not name",
    "lora-tokens-two": "whether token rows are those of an embedding",
    "lora-wav2vec2": "how many groups a convolution has",
    "oft-embedding": "an embedding from a linear layer",
    "prompttuning-bert-*": "which head it has",
    "trainabletokens-head*": "whether token rows are those of an embedding",
}
"""Adapters that some release refuses and that are said to load without their base, and what nothing tells then."""

HEAD = "up to 0.16 the head fills that of the base, which PEFT does not save, and is recorded as what reaches nothing"
NOT_RIGHT = {
    "lokr-effective": "a forward pass asks for a layout in memory, which no shape tells",
    "lora-whisper-convolution": "a forward pass of transformers reads an attribute of a convolution that PEFT wraps",
    "poly-no-task": "a forward pass raises though it is given `task_ids`, which is excused",
    "prefixtuning-classifier": HEAD,
    "prefixtuning-zero": "`init_weights` is no default, and of no matter for what is loaded",
    "promptencoder-classifier": HEAD,
    "prompttuning-bert-*": HEAD,
    "prompttuning-classifier": HEAD,
    "pvera-sampling": "`generator_seed` decides about sampling in training alone",
    "shadow-linear": "a forward pass of a module that is no transformer",
}
"""Adapters that are said to be right where what was recorded says that they are not."""

SAVED_AND_NOT_RIGHT = {
    "lora-arrow": "refused by the release that saved it",
    "lora-corda*": "refused by the release that saved it",
    "lokr-effective": "its forward pass raises",
    "lora-whisper-convolution": "its forward pass raises",
    "poly-no-task": "its forward pass raises",
    "prefixtuning-plain@0.10.0": "its forward pass raises beside transformers 4.56",
    "prefixtuning-projection@0.10.0": "its forward pass raises beside transformers 4.56",
    "prefixtuning-t5": "its forward pass raises",
    "shadow-linear": "its forward pass raises",
}
"""Adapters of which the release that saved them makes nothing."""


@cache
def judged(name: str, release: str, *, with_base: bool = True) -> Verdict:
    one = adapters()[name]
    adapter = load_adapter(one.folder())
    assert adapter is not None
    assert adapter.config is not None
    touched, beside = footprint_of(adapter), transformers_of(release)
    if touched is None:
        return verdict(adapter, release, None, beside)
    if not with_base:
        found = verdict(adapter, release, partial_base([touched]), beside)
        return found if found.outcome != "unknown" else verdict(adapter, release, None, beside)
    tree = tree_for(bases()[one.base], [(adapter.config, touched)], beside, by_task=False)
    return verdict(adapter, release, tree, beside)


def differences(release: str, *, with_base: bool = True) -> dict[str, tuple[str, str]]:
    """Adapter -> what is said of it and what PEFT did, where that is not the same."""
    found = {}
    for name, one in adapters().items():
        truth, said = one.truth[release], judged(name, release, with_base=with_base)
        told = said.error.type if said.error is not None else said.outcome
        did = truth.error[0] if truth.error is not None else "loads"
        if told == did == "loads":
            told, did = (f"drops {sorted(keys)}" for keys in ({key.key for key in said.dropped}, truth.dropped))
        if told != did:
            found[name] = (told, did)
    return found


@pytest.mark.parametrize("release", PATCHES.values())
def test_what_a_release_makes_of_every_method_is_said_as_it_was(release: str) -> None:
    """The class of the error, or the keys that are dropped; that nothing is known would be one of the differences."""
    assert differences(release) == {}


@pytest.mark.parametrize("release", RELEASES)
def test_without_a_base_nothing_is_refused_that_peft_loads(release: str) -> None:
    found = differences(release, with_base=False)
    assert {said for said, _ in found.values()} <= {"loads"}
    assert [name for name in found if not any(fnmatch(name, known) for known in WITHOUT_BASE)] == []
    assert len(found) < 0.05 * len(adapters())


@pytest.mark.parametrize("release", RELEASES)
def test_what_changes_nothing_is_said_to(release: str) -> None:
    """Where the output is the base's; what differs from it by rounding alone has lost all its tensors."""
    said = {name: judged(name, release).effective for name, one in adapters().items() if one.truth[release].runs}
    silent = {name for name in said if not adapters()[name].truth[release].effective}
    assert {name for name in silent if said[name] is True} == set()
    assert {name for name in said.keys() - silent if said[name] is False and not _is_lost(name, release)} == set()


@cache
def shown(name: str) -> Mapping[str, ReleaseVerdict]:
    """Release -> what `compat` shows of it beside the transformers that it was asked beside."""
    one = adapters()[name]
    found = {release: judged(name, release) for release in one.truth}
    asks = METHODS[one.peft_type].asks_for_task_ids
    return release_verdicts(found, len(one.header), lacks_task_ids=asks)


def was_right(one: Saved, release: str) -> bool:
    """Whether it ran, the output was another one than the base's, and nothing was lost that a later release needs.

    That is a key of the config that was given another value than its default, or a tensor that the newest release has
    a place for; but for projections, of which PEFT drew the same ones.
    """
    truth = one.truth[release]
    newest = next(told for told in reversed(list(one.truth.values())) if told.loads)
    nothing_left = len(newest.unexpected) == len(one.header)
    lost = set(truth.unexpected) - set(() if nothing_left else newest.unexpected)
    lost -= {f"base_model.{name}" for name in ("vera_A", "vera_B", "pvera_A", "pvera_B")}
    return truth.runs and truth.effective and not lost and not set(truth.dropped) & set(one.given)


def test_an_adapter_is_right_in_the_releases_in_which_it_was() -> None:
    """And in no other ones; never is one called wrong that was right."""
    wrong, number = set(), 0
    for name, one in adapters().items():
        for release, truth in one.truth.items():
            said, was = shown(name)[release].right, truth.loads and was_right(one, release)
            number += 1
            if said is not was:
                assert (said, was) == (True, False), (name, release)
                wrong.add((name, release))
    assert [name for name, _ in wrong if not any(fnmatch(name, known) for known in NOT_RIGHT)] == []
    assert len(wrong) < 0.01 * number


def test_an_adapter_is_right_in_the_release_that_saved_it() -> None:
    wrong = {name for name, one in adapters().items() if not shown(name)[one.made_with].right}
    assert [name for name in sorted(wrong) if not any(fnmatch(name, known) for known in SAVED_AND_NOT_RIGHT)] == []
    for name in wrong:
        one = adapters()[name]
        assert not one.truth[one.made_with].runs


def test_a_forward_error_is_not_right_in_the_newest_release_either(tmp_path: Path) -> None:
    one = adapters()["prefixtuning-t5"]
    found = compat(one.write(tmp_path / "adapters"), base=write_bases(tmp_path) / one.base)
    (told,) = found.adapters
    error = one.truth[NEWEST].forward
    assert error is not None
    assert (told.oldest, told.releases[NEWEST].right, told.releases[NEWEST].forward) == (None, False, error[0])
    assert told.before == f"a forward pass of {NEWEST} raises {error[0]}"
    assert f"no release is right; a forward pass of {NEWEST} raises {error[0]}" in compat_text(found)


@pytest.mark.parametrize("name", ["poly-plain", "multitaskprompttuning-plain"])
def test_that_a_forward_pass_is_given_its_task_ids_is_nothing_that_an_adapter_decides(name: str) -> None:
    assert shown(name)[NEWEST].right


PROJECTED = [name for name, one in adapters().items() if {"base_model.vera_A", "base_model.pvera_A"} & set(one.header)]


@pytest.mark.parametrize("with_base", [True, False])
@pytest.mark.parametrize("name", PROJECTED)
def test_projections_that_are_drawn_again_are_not_lost(name: str, with_base: bool) -> None:
    """Up to 0.20 PEFT passes over those in a file, and has the same ones from the seed in the config."""
    one = adapters()[name]
    loads = [release for release, truth in one.truth.items() if truth.runs and truth.effective]
    assert {"0.19.1", "0.20.0", "0.21.2"} <= set(loads)
    for release in loads:
        assert not judged(name, release, with_base=with_base).lost


def test_projections_of_another_shape_than_those_that_are_drawn_are_lost() -> None:
    whole = adapters()["vera-plain"]
    dtype, (rows, columns) = whole.header["base_model.vera_A"]
    wider = replace(whole, header={**whole.header, "base_model.vera_A": (dtype, (rows, 2 * columns))})
    adapter = load_adapter(wider.folder())
    assert adapter is not None
    touched = footprint_of(adapter)
    assert adapter.config is not None
    assert touched is not None
    tree = tree_for(bases()[whole.base], [(adapter.config, touched)], transformers_of("0.20.0"), by_task=False)
    assert verdict(adapter, "0.20.0", tree).lost == ("base_model.vera_A",)


@pytest.mark.parametrize("name", PROJECTED)
def test_nothing_is_found_about_projections_in_a_file(name: str, tmp_path: Path) -> None:
    base, folder = write_bases(tmp_path) / adapters()[name].base, adapters()[name].write(tmp_path / "adapters")
    for peft in ("0.19", "0.20", "0.21"):
        for at in (base, None):
            found = check([folder], base=at, peft=[peft])
            assert [one.message for one in found.findings if "vera_A" in one.message or "vera_B" in one.message] == []


def _is_lost(name: str, release: str) -> bool:
    return len(adapters()[name].truth[release].unexpected) == len(adapters()[name].header)


@pytest.mark.parametrize("name", ["prefixtuning-plain", "prompttuning-plain", "cartridge-plain"])
def test_a_prompt_without_its_task_is_right_in_no_release(name: str, tmp_path: Path) -> None:
    """PEFT 0.21.2 loads it, and the output is the base's."""
    copy = next(copy for whole, label, copy in damaged() if (whole.name, label) == (name, "field:task_type"))
    assert (copy.truth[NEWEST].runs, copy.truth[NEWEST].effective) == (True, False)
    (tmp_path / "base").mkdir()
    for file, content in base_folders()[copy.base].files.items():
        (tmp_path / "base" / file).write_bytes(content)
    found = compat(copy.write(tmp_path), base=tmp_path / "base")
    (one,) = found.adapters
    assert (one.oldest, one.before) == (None, "0.21.2 loads it, and it changes nothing")
    assert one.releases[NEWEST].effective is False
    assert "- loads, and changes nothing" in compat_text(found)
