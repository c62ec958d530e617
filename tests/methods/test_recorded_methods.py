"""One adapter of every method and variant, as real PEFT saved it: what PEFT takes is clean, what it refuses is told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from recorded_methods import (
    NEWEST,
    RELEASES,
    Saved,
    adapters,
    bases,
    damaged,
    transformers_of,
    write_bases,
)

from adapterlint import check, simulate
from adapterlint.adapter import load_adapter
from adapterlint.peft.fields import fields_of
from adapterlint.peft.methods import METHODS
from adapterlint.peft.releases import in_range
from adapterlint.simulation import SimulatedAdapter

FIRST_LAYER = "all tensors of a classifier of depth 1 are lost on saving, 0.20 and 0.21; PEFT loads the empty file"
ALARMS = {
    "oft-conv@0.15.2": "no tensor of old OFT reaches anything; since 0.16 OFT changes convolutions without any",
    "xlora-plain": FIRST_LAYER,
    "xlora-trainable": FIRST_LAYER,
}
"""Adapters that PEFT loads, runs and applies, and `check` calls an error, and what is not modelled yet."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bases(tmp_path_factory.mktemp("bases"))


def simulated(saved: Saved, release: str) -> SimulatedAdapter:
    adapter = load_adapter(saved.folder())
    assert adapter is not None
    base, beside = bases()[saved.base], transformers_of(release)
    return simulate([adapter], names=["default"], base=base, peft=release, transformers=beside).adapters["default"]


def test_every_method_of_the_newest_release_has_an_adapter() -> None:
    made = {one.peft_type for one in adapters().values() if one.made_with == NEWEST}
    assert made == {name for name, method in METHODS.items() if method.known_in(NEWEST)}


def test_every_release_was_asked_about_every_adapter() -> None:
    assert [name for name, one in adapters().items() if not set(RELEASES) <= set(one.truth)] == []


def test_an_adapter_that_peft_loads_runs_and_applies_is_no_error(tmp_path: Path, folders: Path) -> None:
    wrong = {}
    for name, one in adapters().items():
        if one.truth[NEWEST].runs and one.truth[NEWEST].effective:
            report = check(one.write(tmp_path), base=folders / one.base)
            errors = [f"{found.code} {found.message}" for found in report.findings if found.severity == "error"]
            if errors:
                wrong[name] = errors
    assert {name: errors for name, errors in wrong.items() if name not in ALARMS} == {}


def test_whether_an_adapter_loads_is_said_as_peft_does_it() -> None:
    wrong, decided = {}, Counter[str]()
    for name, one in adapters().items():
        truth, said = one.truth[NEWEST], simulated(one, NEWEST)
        decided[str(said.loads is not None)] += 1
        if said.loads is None:
            continue
        raised = truth.error[0] if truth.error else None
        if (said.loads, said.error.type if said.error else None) != (truth.loads, raised):
            wrong[name] = (said.error, truth.error)
    assert wrong == {}
    assert decided["True"] > 0.93 * decided.total()


FORWARD = {
    "lokr-effective": "since 0.18, a convolution of one dimension: strides that torch does not view",
    "lora-whisper-convolution": "Whisper asks its convolutions for their stride, which LoRA's layers do not have",
}
"""Adapters whose forward pass is another one than what is said, and what is not modelled."""
ASKS_FOR_TASKS = ("MULTITASK_PROMPT_TUNING", "POLY")  # and was given `task_ids` when it was recorded


def test_what_a_forward_pass_gives_is_said_as_it_is_in_every_release() -> None:
    wrong, decided = set(), Counter[bool]()
    for name, one in adapters().items():
        for release in RELEASES if one.peft_type not in ASKS_FOR_TASKS else ():
            truth, said = one.truth[release], simulated(one, release)
            if not truth.loads or not said.loads:
                continue
            decided[said.forward is not None] += 1
            seen = truth.forward[0] if truth.forward else "effective" if truth.effective else "no effect"
            if said.forward not in (seen, None):
                wrong.add(name)
    assert wrong == set(FORWARD)
    assert decided[True] > 0.95 * decided.total()


def test_what_is_missing_and_what_reaches_nothing_is_what_peft_lists() -> None:
    """Of copies that lack a tensor or have it under another name."""
    wrong, decided = {}, Counter[bool]()
    for whole, label, copy in damaged():
        truth = copy.truth[NEWEST]
        if not truth.loads or not label.startswith(("drop:", "rename:")) or "lora_magnitude_vector" in label:
            continue  # magnitudes have a rule of their own
        said = simulated(copy, NEWEST).coverage
        decided[said is not None] += 1
        if said is not None and (_loose(said.missing), _loose(said.unexpected)) != (truth.missing, truth.unexpected):
            wrong[whole.name, label] = said
    assert wrong == {}
    assert decided[True] > 0.95 * decided.total()


def _loose(keys: list[str]) -> tuple[str, ...]:
    """As they were recorded: without the adapter's name, which files of ShadowPEFT have."""
    return tuple(sorted(key.replace(".default.", ".") for key in keys))


def test_keys_that_a_release_drops_are_those_it_does_not_have() -> None:
    """`Unexpected keyword arguments [...] for class ...`, which PEFT says since 0.14."""
    wrong = {}
    for name, one in adapters().items():
        fields = fields_of(one.peft_type)
        for release, truth in one.truth.items():
            if truth.loads and in_range(release, "0.14", None):
                known = {key for key, field in fields.items() if in_range(release, field.since, field.until)}
                if set(one.config) - known != set(truth.dropped):
                    wrong[name, release] = truth.dropped
    assert wrong == {}
