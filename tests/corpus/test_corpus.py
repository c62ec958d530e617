"""Real adapters: nothing crashes, nothing healthy is called ill, and every error is one that was looked at.

Errors are listed by hand with the reason why each is right. What real PEFT 0.21.2 does with the configs in question was
seen by loading them; the rest can be seen in the folder.
"""

from __future__ import annotations

import json
import struct
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

from adapterlint import check
from adapterlint.lint.loader import load_rules
from adapterlint.report.context import Context
from adapterlint.report.formats import FORMATS
from adapterlint.report.model import Report, ReportedFinding
from adapterlint.severity import Severity
from consumers import CONSUMERS

pytestmark = pytest.mark.corpus

PEFT = "huggingface__peft/@history/"


class Expected(NamedTuple):
    rule: str
    files: str
    number: int
    reason: str


ERRORS = [
    Expected("peft-type-missing", "BlackCatSpb__fcp/lora_adapters/fcp_adapter/*", 1,
             "keys of LoRA, but no peft_type: KeyError 'peft_type'"),
    Expected("peft-type-unknown", PEFT + "2bdf176f/diag_adapter/*", 1, "DIAG is in no release"),
    Expected("peft-type-unknown", PEFT + "3a96bc3b/*/bdlora/*", 1, "BDLORA became LoRA's use_bdlora"),
    Expected("peft-type-unknown", PEFT + "*/uilinlora_adapter/*", 4, "UILINLORA is in no release"),
    Expected("peft-type-unknown", PEFT + "ce51ecc2/*/finegates/*", 2, "FINEGATES is an open pull request"),
    Expected("peft-type-unknown", PEFT + "ce51ecc2/outputs/*", 16, "FINEGATES is an open pull request"),
    Expected("peft-type-not-in-release", PEFT + "*/bone/llama-3.2-3B-*", 4, "BONE was removed in 0.19"),
    Expected("invalid-task-type", "rkarnwal__udacity/@history/cedfa77d/peft_model/*", 1,
             "SEQUENCE_CLASSIFICATION for SEQ_CLS: ValueError"),
    Expected("refused-by-config", PEFT + "2df411fc/*/road/*", 1, "variant 1 instead of road_1: ValueError"),
    Expected("refused-by-config", PEFT + "*/adalora/*", 5, "AdaLoRA without total_step: ValueError"),
    Expected("refused-by-config", PEFT + "40640403/tests/regression/adalora_*", 2, "total_step null: ValueError"),
    Expected("refused-by-config", PEFT + "def8a202/*/oft/*", 1, "OFT without oft_block_size: ValueError"),
    Expected("lfs-pointer", "Hmbown__shannon-control-unit/*", 3, "a pointer"),
    Expected("lfs-pointer", "RockENZO__NLP-Cyber-Harm-Detection/models/*", 4, "a pointer"),
    Expected("lfs-pointer", "LuisWangSS__DeepLearning_midterm/*", 1, "a pointer"),
    Expected("lfs-pointer", "cookieswolf__xtuner/*", 1, "a pointer"),
    Expected("lfs-pointer", "devVibe1122__llama3-1_70b_together_model_cloned/*", 1, "a pointer"),
    Expected("lfs-pointer", "guanyuch__colpali_gc/*", 1, "a pointer"),
    Expected("lfs-pointer", "jain18ayush__CoT-Faithfulness-Model-Diffing/*", 1, "a pointer"),
    Expected("lfs-pointer", "japjotsaggu-wai__NE_Indictrans2/*", 1, "a pointer"),
    Expected("empty-weights", "Hastws__NVIDIA-Nemotron-Model-Reasoning-Challenge/*", 1, "zero bytes"),
    Expected("model-beside-adapter", "mnkhmtv__koyash-prompt-vs-lora/model/*", 1,
             "a whole model with an adapter_config.json that has no weights"),
    # Saved by save_pretrained (inference_mode is true), and the collection holds no weights of them: see below.
    Expected("missing-weights", "*/adapter_config.json", 152, "no adapter_model.* beside the config"),
]  # fmt: skip


@pytest.fixture(scope="module")
def report(corpus: Path) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(corpus)  # paths in the report are those of the corpus
        return check(sorted(p.name for p in Path().iterdir() if p.is_dir()))


@pytest.fixture(scope="module")
def errors(report: Report) -> list[ReportedFinding]:
    return [f for f in report.findings if f.severity is Severity.ERROR]


def matching(finding: ReportedFinding) -> list[Expected]:
    return [e for e in ERRORS if e.rule == finding.rule and fnmatch(finding.file, e.files)]


def test_no_folder_makes_a_rule_crash_or_stays_unread(report: Report) -> None:
    assert [f.message for f in report.findings if f.code.startswith("LNT")] == []
    assert report.problems == ()
    assert report.summary.adapters > 700


def test_every_error_is_one_of_those_listed(errors: list[ReportedFinding]) -> None:
    assert [(f.rule, f.file, f.message) for f in errors if len(matching(f)) != 1] == []


@pytest.mark.parametrize("expected", ERRORS, ids=lambda e: f"{e.rule} {e.files}")
def test_every_error_listed_is_found(expected: Expected, errors: list[ReportedFinding]) -> None:
    assert sum(expected in matching(f) for f in errors) == expected.number, expected.reason


def test_missing_weights_are_an_error_only_where_an_adapter_was_saved(
    corpus: Path, errors: list[ReportedFinding]
) -> None:
    for finding in (f for f in errors if f.rule == "missing-weights"):
        folder = (corpus / finding.file).parent
        assert not list(folder.glob("adapter_model.*"))
        assert json.loads((folder / "adapter_config.json").read_bytes())["inference_mode"] is True


def with_headers(corpus: Path, peft_type: str) -> list[Path]:
    """Folders with a config and a checkpoint header, of one type."""
    folders = [p.parent for p in corpus.rglob("adapter_model.safetensors.header")]
    configs = {folder: folder / "adapter_config.json" for folder in folders}
    return [f for f, c in configs.items() if c.is_file() and json.loads(c.read_bytes()).get("peft_type") == peft_type]


def test_the_lora_checkpoints_disagree_with_their_configs_in_nothing(corpus: Path, report: Report) -> None:
    healthy = {str(f.relative_to(corpus)) for f in with_headers(corpus, "LORA")}
    assert len(healthy) == 34
    told = [f for f in report.findings if not healthy.isdisjoint(f.adapters) and f.code[:3] in ("FIT", "TEN", "CFG")]
    # Advice on where the base is, and on keys that PEFT ignores, is no disagreement; nor is what the file really lacks.
    allowed = {"base-model-missing", "base-model-local-path", "unknown-key", "head-not-saved", "invalid-task-type"}
    assert [(f.rule, f.file) for f in told if f.rule not in allowed] == []


def test_a_head_that_is_told_to_be_missing_is_missing(corpus: Path, report: Report) -> None:
    told = [f for f in report.findings if f.rule == "head-not-saved"]
    assert len(told) == 1
    raw = ((corpus / told[0].file).parent / "adapter_model.safetensors").read_bytes()
    names = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
    assert not any("classifier" in name or "score" in name for name in names)


def test_heads_that_peft_lists_by_itself_are_never_told(report: Report) -> None:
    told = [f for f in report.findings if f.rule in ("module-to-save-without-tensors", "target-and-module-to-save")]
    assert told == []


@pytest.fixture(scope="module")
def again(corpus: Path) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(corpus)
        return check(sorted(p.name for p in Path().iterdir() if p.is_dir()))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_the_same_from_run_to_run_printable_and_taken_by_its_readers(
    name: str, corpus: Path, report: Report, again: Report
) -> None:
    context = Context(rules=load_rules(), folder=str(corpus), root=str(corpus))
    written = FORMATS[name](report, context)
    assert FORMATS[name](again, context) == written
    assert all(line.isprintable() for line in written.splitlines())
    CONSUMERS[name](written)
