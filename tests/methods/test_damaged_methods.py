"""The recorded adapters with one thing wrong: what hurts is told by one rule, the right one; what does not is no error.

`method_damage.py` makes the copies; what PEFT 0.21.2 did with each is recorded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import replace
from functools import cache

import pytest
from recorded_methods import NEWEST, Saved, adapters, bases, damaged, findings, harm

from adapterlint import simulate
from adapterlint.adapter import load_adapter
from adapterlint.lint.engine import Engine, Found
from adapterlint.lint.loader import load_rules

ABOUT_WHOLE = {"module-to-save-incomplete", "token-rows-mismatch"}
SIZES = {"rank-mismatch", "shape-differs-from-base", "size-mismatch", "token-rows-mismatch"}
TARGETS = {"target-not-in-base", "target-without-tensors", "untargeted-tensors"}
FLAGS = {"bias-mismatch", "dora-mismatch"}

NAMED: Mapping[tuple[str, str], Set[str]] = {
    ("drop", "raises"): {*ABOUT_WHOLE, "missing-prompt", "no-tensors", "tensor-missing"},
    ("drop", "lost"): {*FLAGS, "no-tensors", "target-without-tensors", "tensor-missing"},
    ("rename", "raises"): {*ABOUT_WHOLE, "missing-prompt", "tensor-unexpected"},
    ("rename", "lost"): {*FLAGS, "tensor-missing", "tensor-unexpected", "token-rows-mismatch", "untargeted-tensors"},
    ("size", "raises"): SIZES,
    ("size", "forward"): {"size-mismatch"},
    ("transpose", "raises"): SIZES,
    ("transpose", "forward"): {"size-mismatch"},
    ("field", "raises"): {
        *(*SIZES, *TARGETS, "layers-pattern-alone", "peft-type-missing", "refused-by-config", "refused-in-base"),
        "tensor-missing",
    },
    ("field", "forward"): {"forward-raises", "size-mismatch", "task-type-needed"},
    ("field", "no effect"): {"task-type-needed"},
    ("field", "lost"): {
        *(*FLAGS, *TARGETS, "base-weights-in-adapter", "forward-raises", "rank-mismatch", "tensor-missing"),
        *("tensor-unexpected", "tensors-reach-nothing", "token-rows-mismatch"),
    },
}
"""Damage and what PEFT does -> the rules one of which tells it, alone."""

Findings = Set[tuple[str, str]]


class Checks:
    """What `check` says of adapters, with their bases or without."""

    def __init__(self, *, with_base: bool) -> None:
        self.with_base = with_base
        self.engine = Engine(load_rules())
        self.whole: dict[str, Set[str]] = {}

    def findings(self, saved: Saved) -> list[Found]:
        return findings(self.engine, saved, with_base=self.with_base)

    def found(self, saved: Saved) -> Findings:
        return {(str(one.finding.severity or one.rule.severity), one.rule.name) for one in self.findings(saved)}

    def new(self, whole: Saved, copy: Saved) -> Findings:
        """What it says of a damaged copy, by rules that have nothing to say of the adapter."""
        if whole.name not in self.whole:
            self.whole[whole.name] = {rule for _, rule in self.found(whole)}
        return {one for one in self.found(copy) if one[0] != "info" and one[1] not in self.whole[whole.name]}


@cache
def results(*, with_base: bool) -> list[tuple[Saved, str, str, Findings]]:
    """Of every copy: the adapter, the damage, what PEFT does, what `check` says."""
    checks = Checks(with_base=with_base)
    return [(whole, label, outcome(whole, copy), checks.new(whole, copy)) for whole, label, copy in copies()]


@cache
def copies() -> list[tuple[Saved, str, Saved]]:
    """Damaged copies of what loads."""
    return [one for one in damaged() if one[0].truth[NEWEST].loads]


def outcome(whole: Saved, copy: Saved) -> str:
    """What PEFT does with a copy that it does not do with the adapter."""
    what, after = harm(whole, copy), copy.truth[NEWEST]
    if what:
        return "unchanged" if what == "lost" and after.same else what
    return "no effect" if after.runs and not after.effective else "harmless"


def damage_of(label: str) -> str:
    return label.partition(":")[0].partition("-")[0]


def test_every_kind_of_damage_was_tried_on_every_method() -> None:
    """The copies are made here as they were made for PEFT; what PEFT did with each is recorded."""
    tried: dict[str, set[str]] = {}
    for whole, label, _ in copies():
        tried.setdefault(whole.peft_type, set()).add(damage_of(label))
    # Vectors and squares stay what they are when they are transposed.
    assert {name for name, kinds in tried.items() if not {"drop", "rename", "size", "field"} <= kinds} == set()
    assert set(tried) == {one.peft_type for one in adapters().values() if one.made_with == NEWEST}


@pytest.mark.parametrize("with_base", [True, False], ids=["base", "no base"])
def test_what_changes_nothing_is_no_error(with_base: bool) -> None:
    wrong = {}
    for whole, label, what, found in results(with_base=with_base):
        errors = sorted(rule for severity, rule in found if severity == "error")
        if what == "harmless" and errors:
            wrong[whole.name, label] = errors
    assert wrong == {}


def test_what_hurts_is_named_by_one_rule_and_what_raises_as_an_error() -> None:
    wrong = {}
    told = Counter[str]()
    for whole, label, what, found in results(with_base=True):
        rules = {rule for _, rule in found}
        if what == "harmless":
            continue
        error = what != "raises" or any(severity == "error" for severity, _ in found)
        kind = "lost" if what == "unchanged" else what
        if len(rules) == 1 and error and rules <= NAMED.get((damage_of(label), kind), set()):
            told[what] += 1
        elif what == "unchanged" and not rules:  # PEFT names a key, and the output stays
            told["unchanged, silent"] += 1
        else:
            wrong[whole.name, label] = what, sorted(rules)
    assert wrong == {}
    assert told["raises"] > 3000
    assert told["lost"] > 1000
    assert told["unchanged"] > 100 * told["unchanged, silent"]


def test_what_loads_with_another_output_is_told_where_the_file_shows_it() -> None:
    """Numbers for more places than VB-LoRA has: PEFT takes the first."""
    told = [
        found
        for whole, label, _, found in results(with_base=False)
        if re.fullmatch(r"vblora-topk.* size-2:.*_topk_weights", f"{whole.name} {label}")
    ]
    assert len(told) == 6
    assert {one for found in told for one in found} == {("warning", "size-mismatch")}


def test_what_is_of_no_effect_without_its_task_is_so_in_the_simulation() -> None:
    said = {}
    for whole, label, copy in copies():
        if label == "field:task_type" and outcome(whole, copy) == "no effect":
            adapter = load_adapter(copy.folder())
            assert adapter is not None
            said[whole.name] = simulate([adapter], base=bases()[copy.base], peft=NEWEST).adapters[whole.name].forward
    assert set(said.values()) == {"no effect"}
    assert len(said) > 20


@pytest.mark.parametrize("with_base", [True, False], ids=["base", "no base"])
def test_blocks_are_what_is_missing_where_all_modules_of_a_name_have_them(with_base: bool) -> None:
    """BD-LoRA lists modules by parts of their paths; one module alone has a wrong size."""
    checks, saved = Checks(with_base=with_base), adapters()["lora-bdlora-column"]
    blocks = [name for name in saved.header if name.endswith("v_proj.lora_B.weight")]
    assert len(blocks) == 2
    whole = {blocks[-1]: ("F32", (saved.header[blocks[-1]][1][0], saved.config["r"]))}
    config = {key: value for key, value in saved.config.items() if key != "use_bdlora"}
    for other, blamed in (({}, True), (whole, False)):
        found = checks.findings(replace(saved, config=config, header={**saved.header, **other}))
        messages = [one.finding.message for one in found if one.rule.name == "size-mismatch"]
        assert [("`use_bdlora` missing" in message) for message in messages] == [blamed]


WITHOUT_BASE = {
    ("drop", "raises"): 0.45,
    ("drop", "lost"): 0.55,
    ("rename", "raises"): 0.55,
    ("rename", "lost"): 0.75,
    ("size", "raises"): 0.40,
    ("transpose", "raises"): 0.65,
    ("field", "raises"): 0.75,
}
"""Shares that the config and the header alone decide: a size is wrong beside another one, or beside a key."""
TIED = "lora-tied-"
"""Adapters whose head is tied to an embedding, which only the whole tensors of both show."""


def test_without_a_base_what_the_config_and_the_header_decide_is_named_by_one_rule() -> None:
    told: dict[tuple[str, str], Counter[int]] = {}
    wrong = {}
    for whole, label, what, found in results(with_base=False):
        if what in ("harmless", "no effect"):
            continue
        key, rules = (damage_of(label), what), {rule for _, rule in found}
        told.setdefault(key, Counter())[min(len(rules), 1)] += 1
        if len(rules) > 1 and not whole.name.startswith(TIED):
            wrong[whole.name, label] = what, sorted(rules)
    assert wrong == {}
    shares = {key: told[key][1] / told[key].total() for key in WITHOUT_BASE}
    assert {key: share for key, share in shares.items() if share < WITHOUT_BASE[key]} == {}
