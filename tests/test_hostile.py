"""Hostile input: whatever a folder holds, a run ends with a report, in bounds, and nothing harmful is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapterlint import check
from adapterlint.lint.engine import Engine
from adapterlint.lint.example import DROP, GOOD_CONFIG, GOOD_TENSORS, Patch, safetensors_file
from adapterlint.lint.loader import load_rules
from adapterlint.peft.footprint import footprint_of
from adapterlint.report.context import Context
from adapterlint.report.draw import draw
from adapterlint.report.formats import FORMATS
from adapterlint.report.model import Report
from adapterlint.severity import Severity
from conftest import Write
from consumers import CONSUMERS

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
GOOD = Patch().folder().files

MAX_READ = 1_000_000  # characters of a report that its reader reads too: a schema is slow

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def judged(files: Mapping[str, bytes]) -> Report:
    """The report on a folder with these files, after the promises that hold for every folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        report = check(folder)
    crashes = [f.message for f in report.findings if f.code == "LNT101"]
    assert crashes == []
    for name, form in FORMATS.items():
        shown = form(report, Context())
        assert all(line.isprintable() for line in shown.splitlines()), "a control character would reach the terminal"
        shown.encode()
        if len(shown) < MAX_READ:
            CONSUMERS[name](shown)
    return report


def names(report: Report) -> set[str]:
    return {f.rule for f in report.findings}


@few
@given(st.binary(max_size=400), st.sampled_from([CONFIG, WEIGHTS, "adapter_model.bin", "README.md"]))
def test_random_bytes_in_the_place_of_any_file(content: bytes, name: str) -> None:
    judged({**GOOD, name: content})


@few
@given(st.data())
def test_a_file_with_some_bytes_changed(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([CONFIG, WEIGHTS, "README.md"]))
    content = bytearray(GOOD[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    judged({**GOOD, name: bytes(content)})


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_file_cut_off_anywhere_is_an_error_and_never_more(name: str) -> None:
    engine = Engine(load_rules())
    for end in range(len(GOOD[name])):
        adapter = Patch(files={name: GOOD[name][:end]}).adapter()
        found = engine.check_adapter(adapter, footprint_of(adapter))
        assert any(f.rule.severity is Severity.ERROR for f in found), f"cut at {end}"
        for one in found:
            draw(one, Severity.ERROR, ())
    assert engine.crashes == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = [*GOOD_CONFIG, "exclude_modules", "target_parameters", "token_indices", "loftq_config", "corda_config",
        "eva_config", "use_bdlora", "lora_bias", "layer_replication", "megatron_config", "feedforward_modules",
        "oft_block_size", "boft_block_size", "total_step", "num_virtual_tokens", "init_weights"]  # fmt: skip
TYPES = ["LORA", "ADALORA", "IA3", "OFT", "BOFT", "VERA", "TRAINABLE_TOKENS", "PROMPT_TUNING", "LN_TUNING", "XLORA"]


@settings(max_examples=250, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), json_values, max_size=5), st.sampled_from(TYPES))
def test_any_json_under_any_key(values: dict[str, Any], peft_type: str) -> None:
    judged({**GOOD, CONFIG: json.dumps({**GOOD_CONFIG, "peft_type": peft_type, **values}).encode()})


@few
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=30), max_size=6, unique=True))
def test_any_tensor_names(tensors: list[str]) -> None:
    changed = {**GOOD_TENSORS, **{name: ("F32", (2, 2)) for name in tensors if name != "__metadata__"}}
    judged({**GOOD, WEIGHTS: safetensors_file(changed)})


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"r": ' + b"9" * 10_000 + b"}",
        b'{"r": 1e999999}',
        b"\xff\xfe{\0}\0",
        b"\xef\xbb\xbf{}",
        b'{"peft_type": "\\ud800"}',
        b"nul",
        b"\0" * 100,
        b"[" + b"[]," * 1_300_000 + b"[]]",
    ],
    ids=["deep list", "deep object", "huge integer", "huge float", "utf-16", "bom", "surrogate", "word", "nul", "bomb"],
)
def test_a_config_that_is_no_ordinary_json(text: bytes) -> None:
    # What is beyond our own bounds only, PEFT may still read: a warning says that nothing was checked.
    assert {f.severity.value for f in judged({**GOOD, CONFIG: text}).findings} & {"error", "warning"}


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"\xff" * 8,
        (2**63).to_bytes(8, "little") + b"{}",
        (100).to_bytes(8, "little") + b"{}",
        b"<!DOCTYPE html><html><body>429 Too Many Requests</body></html>",
        (2).to_bytes(8, "little") + b"[]",
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        (20).to_bytes(8, "little") + b'{"a":{"dtype":"F32"}}'[:20],
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 1234\n",
    ],
    ids=["empty", "ones", "2^63", "past the end", "html", "a list", "deep", "half an entry", "lfs pointer"],
)
def test_weights_that_are_no_safetensors(weights: bytes) -> None:
    assert judged({**GOOD, WEIGHTS: weights}).summary.errors


def test_names_with_escapes_and_secrets_are_shown_harmlessly() -> None:
    token = "hf_" + "a1B2" * 8
    evil = f"\x1b[31mred\x1b[0m\r\x07\u202e{token}"
    files = {
        **GOOD,
        CONFIG: json.dumps(
            {**GOOD_CONFIG, "peft_type": evil, evil: 1, "base_model_name_or_path": f"/x/{evil}"}
        ).encode(),
        WEIGHTS: safetensors_file({**GOOD_TENSORS, evil: ("F32", (0, 2))}),
    }
    report = judged(files)
    assert report.findings
    for form in FORMATS.values():
        assert token not in form(report, Context())
        assert "\x1b" not in form(report, Context())


def test_a_token_in_the_middle_of_a_line_is_not_in_its_frame() -> None:
    token = "hf_" + "a1B2" * 8
    report = judged({**GOOD, CONFIG: json.dumps({**GOOD_CONFIG, "r": 0, "note": token}).encode()})
    assert "CFG104" in {f.code for f in report.findings}
    assert token not in FORMATS["text"](report, Context())


BACKTRACKING = ["(a*)*b", "(.*)*x$", r"(\w+\s?)+!", "(?:(?:.*)+)+y"]


@pytest.mark.parametrize("pattern", BACKTRACKING)
@pytest.mark.parametrize(
    "key", ["target_modules", "exclude_modules", "rank_pattern", "alpha_pattern", "modules_to_save"]
)
def test_a_pattern_that_backtracks_forever_does_not_stop_the_run(key: str, pattern: str) -> None:
    value: Any = {pattern: 8} if key.endswith("pattern") else [pattern] if key == "modules_to_save" else pattern
    long = "base_model.model." + "a" * 4000 + ".lora_{}.weight"
    tensors = {**GOOD_TENSORS, long.format("A"): ("F32", (8, 16)), long.format("B"): ("F32", (16, 8))}
    judged({**GOOD, CONFIG: json.dumps({**GOOD_CONFIG, key: value}).encode(), WEIGHTS: safetensors_file(tensors)})


def test_a_hundred_thousand_tensors() -> None:
    tensors = {f"base_model.model.layers.{i}.q_proj.lora_A.weight": ("F32", (8, 0)) for i in range(100_000)}
    assert "zero-sized-tensor" in names(judged({**GOOD, WEIGHTS: safetensors_file(tensors)}))


MEASURE = """
import resource, sys
import adapterlint
from adapterlint.lint.loader import load_rules
from adapterlint.lint.loader import load_rules
from adapterlint.severity import Severity
from adapterlint.report.context import Context
from adapterlint.report.formats import FORMATS
load_rules(); adapterlint.check([])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = adapterlint.check([sys.argv[1]])
FORMATS["text"](report, Context())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
CONSTANT_KB = 200_000  # what a run may take besides the size of the file


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts in kB only on Linux")
@pytest.mark.parametrize("kind", ["nested lists", "metadata", "tensors", "config", "one name"])
def test_memory_stays_at_the_size_of_the_file_and_a_constant(kind: str, write: Write) -> None:
    folder = write("bomb")
    entry = '"{}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    bodies = {
        "nested lists": lambda: '{"a":' + "[" + "[],[]," * 6_000_000 + "[]]}",
        "metadata": lambda: '{"__metadata__":{' + ",".join(f'"{i:x}":""' for i in range(4_000_000)) + "}}",
        "tensors": lambda: "{" + ",".join(entry.format(f"{i:x}") for i in range(800_000)) + "}",
        "config": lambda: "{" + ",".join(f'"{i:x}":[]' for i in range(3_000_000)) + "}",
        "one name": lambda: "{" + entry.format("x" * 40_000_000) + "}",
    }
    text = bodies[kind]().encode()
    size = len(text)
    if kind == "config":
        (folder / CONFIG).write_bytes(text)
    else:
        (folder / WEIGHTS).write_bytes(size.to_bytes(8, "little") + text)
    del text
    result = subprocess.run([sys.executable, "-c", MEASURE, str(folder)], capture_output=True, text=True, check=True)
    assert int(result.stdout) < size / 1000 + CONSTANT_KB


def test_a_file_that_vanishes_while_it_is_looked_at_is_told(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write("de")
    real = os.open

    def vanishing(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith(WEIGHTS):
            os.unlink(path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", vanishing)
    report = check(folder)
    assert names(report) == {"unreadable-file"}
    assert "No such file" in report.findings[0].message


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_things_that_are_no_files_do_not_block(name: str, write: Write) -> None:
    folder = write("de", Patch(files={name: DROP}))
    os.mkfifo(folder / name)
    assert "unreadable-file" in names(check(folder))
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    assert "unreadable-file" in names(check(folder))
    (folder / name).unlink()
    (folder / name).symlink_to("nowhere")
    assert "unreadable-file" in names(check(folder))


def test_a_name_that_is_no_text_is_shown_escaped(write: Write) -> None:
    folder = write("de", {"r": 4})
    try:
        os.rename(os.fsencode(folder), os.fsencode(folder.parent) + b"/\xff\x1b[1m")
    except OSError:
        pytest.skip("the file system takes only text")
    report = check(folder.parent)
    assert report.summary.errors
    for form in FORMATS.values():
        assert "\x1b" not in form(report, Context())
        form(report, Context()).encode()


def with_config(**changes: Any) -> dict[str, bytes]:
    return {**GOOD, CONFIG: json.dumps({**GOOD_CONFIG, **changes}).encode()}


def test_a_report_does_not_depend_on_what_was_checked_before() -> None:
    slow = with_config(rank_pattern={"(a*)*b": 8})
    alone = judged(slow)
    long = {f"base_model.model.{'a' * 4000}{i}.lora_A.weight": ("F32", (8, 16)) for i in range(20)}
    judged({**slow, WEIGHTS: safetensors_file({**GOOD_TENSORS, **long})})
    assert judged(slow).findings == alone.findings


@pytest.mark.parametrize(
    "changes",
    [
        {"modules_to_save": [f"he[a]d{i}" for i in range(5000)]},
        {"modules_to_save": [f"layers.{i}.x" for i in range(5000)], "target_modules": [f"q{i}" for i in range(5000)]},
        {"rank_pattern": {rf"(\w+\.)*(q|v){i}": 8 for i in range(20_000)}},
        {"layers_to_transform": [0], "layers_pattern": [f"lay[e]rs{i}" for i in range(20_000)]},
        {"target_modules": "(?i)" + "[\u0100-\uffff]" * 5000},
        {f"lora_alpha_{i}": 1 for i in range(20_000)},
    ],
    ids=["expressions", "paths", "patterns", "layers", "wide ranges", "unknown keys"],
)
def test_very_many_entries_take_no_time(changes: dict[str, Any]) -> None:
    started = time.thread_time()
    judged(with_config(**changes))
    assert time.thread_time() - started < 5


def test_a_name_of_very_many_components_takes_no_time() -> None:
    started = time.thread_time()
    tensors = {**GOOD_TENSORS, "base_model.model." + "a." * 200_000 + "weight": ("F32", (0,))}
    judged({**with_config(modules_to_save=["head", "lm_head"]), WEIGHTS: safetensors_file(tensors)})
    assert time.thread_time() - started < 5
