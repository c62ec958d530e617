"""What holds for every format: its readers take it, it is the same again, and nothing planted comes out of it raw."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapterlint.lint.example import GOOD_CONFIG, GOOD_TENSORS, Patch, safetensors_file
from adapterlint.lint.loader import load_rules
from adapterlint.report.context import Context
from adapterlint.report.formats import FORMATS
from adapterlint.report.model import Report, ReportedFinding, Summary
from adapterlint.severity import Severity
from adapterlint.words import printable
from conftest import Run, Write
from consumers import CONSUMERS, github, gitlab

TOKEN = "hf_" + "a1B2" * 8
OTHERS = ("ghp_" + "a1B2" * 9, "sk-" + "a1B2" * 10, "AKIA" + "A1B2" * 4)
EVIL = f"\x7f\x1b[31m\x9b1m\r\n\x07\u202e\u2066::error::x ##[error]y %0A <img src=x onerror=alert(1)> | `]( {TOKEN}"


def planted(write: Write) -> Path:
    """An adapter whose keys, values, names of tensors, model card and folder's name hold what must not come out."""
    name = f"de \x1b[1m\u202e,:% {TOKEN}"
    config = {
        **GOOD_CONFIG,
        "r": 4,
        "peft_type": "LORA",
        EVIL: OTHERS[0],
        "base_model_name_or_path": f"https://user:{OTHERS[1]}@hub/{EVIL}",
        "target_modules": ["q_proj", "v_proj", EVIL],
        "modules_to_save": [f"head.{OTHERS[2]}"],
        "revision": EVIL,
    }
    tensors = {**GOOD_TENSORS, f"base_model.model.{EVIL}.lora_A.weight": ("F32", (8, 16)), EVIL: ("F32", (0, 2))}
    card = f"---\nbase_model: other/{TOKEN}\nlibrary_name: peft\n---\n{EVIL}\n"
    files = {
        "adapter_config.json": json.dumps(config),
        "adapter_model.safetensors": safetensors_file(tensors),
        "README.md": card,
    }
    return write(f"fleet/{name}", Patch(files=files))


def harmless(name: str, text: str) -> None:
    """No control, format or line-end character but the format's own line ends; no secret."""
    odd = {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert not odd, f"{name}: {odd}"
    for secret in (TOKEN, *OTHERS):
        assert secret not in text, name


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_planted_comes_out_raw(name: str, write: Write, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.setenv(variable, TOKEN)
    planted(write)
    result = run("check", "fleet", f"nowhere{EVIL}", "-o", name)
    assert result.exit_code == 2, "one of the arguments does not exist"
    harmless(name, result.stdout)
    harmless("stderr", result.stderr)
    CONSUMERS[name](result.stdout)
    to_file = run("check", "fleet", f"nowhere{EVIL}", "-o", f"{name}=report.out")
    assert to_file.stdout == ""
    assert Path("report.out").read_text() == result.stdout


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_whose_own_path_is_planted_is_shown_harmlessly(
    name: str, write: Write, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = planted(write)
    monkeypatch.chdir(folder)
    for path in (".", "..", str(folder)):
        shown = run("check", path, "-o", name).stdout
        harmless(name, shown)
        CONSUMERS[name](shown)


texts = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from([EVIL, TOKEN, "::x::", "a`b", "|", ""])
findings = st.builds(
    ReportedFinding,
    code=st.sampled_from(["CFG104", "FLT101", "LNT101", "CFG999"]),
    rule=st.just("zero-rank"),
    severity=st.sampled_from(Severity),
    message=texts.filter(str.strip),
    help=st.none() | texts,
    adapters=st.lists(texts, max_size=5).map(tuple),
    file=texts.filter(str.strip),
    pointer=st.none() | texts,
    tensor=st.none() | texts,
    location=st.none(),
    frame=st.none(),
    frame_column=st.just(1),
    peft=st.none() | st.just(">=0.18,<0.21"),
    fingerprint=st.just("0123456789abcdef"),
)


SOME_RULES = tuple(rule for rule in load_rules() if rule.code in ("CFG104", "FLT101"))


@settings(max_examples=100, deadline=None)
@given(st.lists(findings, max_size=6))
def test_whatever_a_rule_says_every_reader_takes_it(found: list[ReportedFinding]) -> None:
    """Rules of one's own word their messages as they like; secrets are taken out when findings are drawn, not here."""
    numbers = Summary(adapters=0, errors=len(found), warnings=0, infos=0, suppressed=0)
    report = Report(version="0.1.0", adapters=(), findings=tuple(found), summary=numbers)
    context = Context(rules=SOME_RULES, folder="/repo/a", root="/repo")
    for name, form in FORMATS.items():
        text = form(report, context)
        assert not {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}, name
        CONSUMERS[name](text)
    said = [printable(finding.message) for finding in found]
    assert [command.data.split("\n")[0] for command in github(FORMATS["github"](report, context))] == said
    described = [entry["description"] for entry in gitlab(FORMATS["gitlab"](report, context))]
    assert all(text.startswith(message) for text, message in zip(described, said, strict=True))
    assert all(map(str.isprintable, described))


def test_several_formats_at_once(run: Run) -> None:
    run("demo", "--keep", ".")
    outputs = [f"{name}=out.{name}" for name in FORMATS if name != "text"]
    result = run("check", "adapters", "-o", "text", *(x for o in outputs for x in ("-o", o)))
    assert result.exit_code == 1
    assert result.stdout.endswith("7 adapters checked: 1 error, 4 warnings\n")
    for name in FORMATS:
        if name != "text":
            CONSUMERS[name](Path(f"out.{name}").read_text())


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_does_not_change_the_exit_status_nor_depend_on_the_run(name: str, run: Run) -> None:
    run("demo", "--keep", ".")
    first = run("check", "adapters", "-o", name)
    assert first.exit_code == 1
    assert run("check", "adapters", "-o", name).stdout == first.stdout
    assert run("check", "adapters/healthy", "-o", name).exit_code == 0


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_of_nothing_can_be_read(name: str, run: Run, tmp_path: Path) -> None:
    CONSUMERS[name](run("check", ".", "--allow-empty", "-o", name).stdout)
