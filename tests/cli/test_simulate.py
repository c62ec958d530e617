"""`adapterlint simulate`: which adapters, which order, which exit status, one sentence for what cannot be done."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from conftest import Run, Write


@pytest.fixture
def fleet(run: Run) -> Run:
    """The fleet of the demo, and its base in `base`."""
    run("demo", "--keep", ".")
    return run


def test_healthy_adapters_end_with_0(fleet: Run) -> None:
    result = fleet("simulate", "adapters/healthy", "--base", "base")
    assert result.exit_code == 0
    assert "1. load healthy: ok" in result.stdout


def test_what_is_refused_ends_with_1(fleet: Run) -> None:
    result = fleet("simulate", "adapters", "--base", "base", "--activate", "head-de,head-fr")
    assert result.exit_code == 1
    assert "activate head-de and head-fr: raises" in result.stdout


def test_the_order_chooses_what_is_loaded_and_when(fleet: Run) -> None:
    result = fleet("simulate", "adapters", "--base", "base", "--order", "tokens-chat,healthy")
    assert "1. load tokens-chat: ok" in result.stdout
    assert "2. load healthy: raises" in result.stdout
    other = fleet("simulate", "adapters", "--base", "base", "--order", "healthy,tokens-chat", "-o", "json")
    assert other.exit_code == 0
    assert [step["adapters"] for step in json.loads(other.stdout)["steps"]] == [["healthy"], ["tokens-chat"]]


def test_json_is_the_simulation_in_ascii_and_goes_to_a_file(run: Run, write: Write) -> None:
    write("dé")
    assert run("simulate", "dé", "-o", "json=out.json").stdout == ""
    with open("out.json", encoding="utf-8") as stream:
        text = stream.read()
    assert text.isascii()
    assert list(json.loads(text)["adapters"]) == ["dé"]


def test_releases_are_chosen(fleet: Run) -> None:
    value = json.loads(fleet("simulate", "adapters/healthy", "--base", "base", "--peft", "0.17", "-o", "json").stdout)
    assert (value["peft"], value["transformers"]) == ("0.17.1", "4.56.2")


@pytest.mark.parametrize(("release", "known"), [("0.21.3", "0.21.2"), ("0.17.12", "0.17.1")])
def test_a_later_patch_is_taken_for_the_newest_one_that_is_known(fleet: Run, release: str, known: str) -> None:
    result = fleet("simulate", "adapters/healthy", "--base", "base", "--peft", release, "-o", "json")
    assert json.loads(result.stdout)["peft"] == known
    assert result.stderr == f"adapterlint: PEFT `{release}` is not known yet; it is taken for {known}\n"
    assert fleet("simulate", "adapters/healthy", "--base", "base", "--peft", known).stderr == ""


def test_names_are_as_short_as_tells_adapters_apart_and_have_no_dots(run: Run, write: Write) -> None:
    write("a/de")
    write("b/de")
    write("v1.5")
    value = json.loads(run("simulate", ".", "-o", "json").stdout)
    assert list(value["adapters"]) == ["a/de", "b/de", "v1_5"]


def test_older_checkpoints_are_loaded_only_where_they_are_named(run: Run, write: Write) -> None:
    write("run/checkpoint-1")
    write("run/checkpoint-2")
    assert list(json.loads(run("simulate", "run", "-o", "json").stdout)["adapters"]) == ["checkpoint-2"]
    named = run("simulate", "run", "-o", "json", "--order", "checkpoint-1,checkpoint-2")
    assert list(json.loads(named.stdout)["adapters"]) == ["checkpoint-1", "checkpoint-2"]


NAMES = [
    (["--order", "heathy"], "--order: no adapter is called `heathy`; did you mean `healthy`?"),
    (["--order", "healthy,healthy"], "--order: `healthy` stands there twice"),
    (["--activate", "healthy,healthy"], "--activate: `healthy` stands there twice"),
    (["--order", "healthy", "--activate", "unpaired"], "--activate: no adapter is called `unpaired`"),
]
OTHERS = [
    (["--peft", "new"], "--peft: `new` is no release"),
    (["--peft", "0.18.1.1"], "--peft: `0.18.1.1` is no release; write it like 0.18 or 0.21.2"),
    (["--peft", "1" * 5000], "is no release; write it like 0.18 or 0.21.2"),
    (["--transformers", "4.x"], "`4.x` is no release; write it like 4.56 or 5.23.0"),
    (["--transformers", "0"], "`0` is not known, only releases 4 to 5 are"),
    (["--transformers", "9.9"], "`9.9` is not known, only releases 4 to 5 are"),
    (["--peft", "0.14"], "--peft: `0.14` is not simulated, only releases 0.15 to 0.21 are"),
    (["--peft", "9.9"], "--peft: `9.9` is not simulated, only releases 0.15 to 0.21 are"),
    (["-o", "sarif"], "the formats are text, json"),
]


@pytest.mark.parametrize(
    ("command", "options", "sentence"),
    [("simulate", *case) for case in [*NAMES, *OTHERS]] + [("plan", *case) for case in OTHERS],
)
def test_what_cannot_be_done_is_one_sentence(fleet: Run, command: str, options: list[str], sentence: str) -> None:
    result = fleet(command, "adapters", "--base", "base", *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["simulate", "plan"])
def test_no_adapter_ends_with_3_and_no_folder_with_2(fleet: Run, command: str) -> None:
    assert fleet(command, "base").exit_code == 3
    assert fleet(command, "nowhere").exit_code == 2


def test_a_base_that_is_not_there_is_one_sentence(fleet: Run) -> None:
    result = fleet("simulate", "adapters", "--base", "nowhere")
    assert result.exit_code == 2
    said = "nowhere: There is no base model: neither a folder nor a model in the Hub's cache"
    assert result.stderr == f"adapterlint: {said}\n"


def test_different_bases_are_told(run: Run, write: Write) -> None:
    write("a")
    write("b", {"base_model_name_or_path": "acme/other"})
    assert "different base models, `acme/tiny-llama` and `acme/other`" in run("simulate", ".").stderr


def test_what_readme_shows_comes_out(fleet: Run) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown = re.findall(r"```text\n\$ adapterlint ((?:simulate|plan) .*?)\n(.*?)```", readme, re.DOTALL)
    assert {arguments.split()[0] for arguments, _ in shown} == {"simulate", "plan"}
    for arguments, output in shown:
        assert fleet(*arguments.split()).stdout == output
