"""What an input may be: a repository at a revision, a folder of it, an address from a browser, a list of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapterlint import check
from adapterlint.lint.example import Patch
from hub_server import HubServer
from hub_traffic import adapter

Run = Callable[..., Any]
BAD = Patch(config={"r": 0})


def paths(report: Any) -> list[str]:
    return [one.path for one in report.adapters]


def codes(report: Any) -> set[str]:
    return {one.code for one in report.findings}


@pytest.fixture(scope="module")
def repo(server: HubServer) -> dict[str, str]:
    """A repository that is right on main and wrong on a branch, a tag and a pull request."""
    commits = {"main": server.commit("input/one", adapter())}
    for ref in ("develop", "refs/tags/v1.0", "refs/pr/1"):
        commits[ref] = server.commit("input/one", adapter(BAD), ref)
    server.publish("input/one", "v1.0")
    return commits


@pytest.mark.parametrize(
    ("revision", "ref"), [("develop", "develop"), ("v1.0", "refs/tags/v1.0"), ("refs/pr/1", "refs/pr/1")]
)
def test_a_branch_a_tag_and_a_pull_request_are_judged_and_their_commit_is_named(
    revision: str, ref: str, repo: dict[str, str], edge: HubServer, run: Run
) -> None:
    report = check(f"hf://input/one@{revision}")
    assert "CFG104" in codes(report)
    assert [one.commit for one in report.adapters] == [repo[ref]]
    assert f"judged: hf://input/one at {repo[ref]}" in run("check", f"hf://input/one@{revision}").output


def test_a_commit_is_judged(repo: dict[str, str], edge: HubServer) -> None:
    assert "CFG104" in codes(check(f"hf://input/one@{repo['develop']}"))
    assert "CFG104" not in codes(check(f"hf://input/one@{repo['main']}"))


@pytest.fixture(scope="module")
def several(server: HubServer) -> str:
    server.commit(
        "input/several",
        {
            **adapter(below="de/"),
            **adapter(BAD, below="fr/"),
            **adapter(below="runs/checkpoint-500/"),
            "notes.txt": b"x",
        },
    )
    return "hf://input/several"


def test_every_adapter_of_a_repository_is_judged(several: str, edge: HubServer) -> None:
    assert paths(check(several)) == [f"{several}/{name}" for name in ("de", "fr", "runs/checkpoint-500")]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("{}/de", "de"),
        ("{}/de/", "de"),
        ("{}/runs", "runs/checkpoint-500"),
        ("{}/de@main", "de"),
        ("{}@main/de", "de"),
        ("{}/de/adapter_config.json", "de"),
        ("https://huggingface.co/input/several/tree/main/de", "de"),
        ("https://huggingface.co/input/several/blob/main/de/adapter_model.safetensors", "de"),
        ("https://huggingface.co/input/several/resolve/main/de/adapter_config.json?download=true", "de"),
    ],
)
def test_a_folder_or_a_file_of_a_repository_may_be_meant(given: str, found: str, several: str, edge: HubServer) -> None:
    assert paths(check(given.format(several))) == [f"{several}/{found}"]


def test_an_address_from_a_browser_means_the_repository(repo: dict[str, str], edge: HubServer) -> None:
    assert paths(check("https://huggingface.co/input/one")) == ["hf://input/one"]
    assert paths(check(f"{edge.edge}/input/one")) == ["hf://input/one"]
    report = check("https://huggingface.co/input/one/discussions/1")
    assert [one.commit for one in report.adapters] == [repo["refs/pr/1"]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("hf://datasets/acme/x", "It is a dataset, and adapters are kept in models"),
        ("https://huggingface.co/spaces/acme/x", "It is a space, and adapters are kept in models"),
        ("https://example.org/acme/x", "This means no repository on the Hub"),
        ("hf://", "This means no repository on the Hub"),
        ("hf://input/one/../two", "leads out of the repository"),
        ("hf://input/several/nowhere", "The repository has no such folder or file"),
    ],
)
def test_what_is_no_model_is_refused_with_a_sentence(
    given: str, said: str, several: str, edge: HubServer, run: Run
) -> None:
    result = run("check", given)
    assert said in result.output
    assert result.exit_code == 2


def test_a_file_lists_inputs_one_a_line(repo: dict[str, str], several: str, edge: HubServer, run: Run) -> None:
    Path("inputs.txt").write_text(f"# ours\nhf://input/one\n\n{several}/de   # German\n")
    result = run("check", "--inputs", "inputs.txt", "-o", "concise")
    assert "2 adapters checked" in run("check", "--inputs", "inputs.txt").output
    assert result.exit_code == 0


def test_a_list_that_is_not_there_is_told(run: Run) -> None:
    result = run("check", "--inputs", "none.txt")
    assert "none.txt" in result.output
    assert result.exit_code == 2


def test_repositories_of_one_base_are_one_fleet(edge: HubServer) -> None:
    for name in ("de", "fr"):
        edge.commit(f"fleet/{name}", adapter(Patch(config={"modules_to_save": ["lm_head"]}, tensors={
            "base_model.model.lm_head.weight": ("F32", (64, 16))})))  # fmt: skip
    report = check(["hf://fleet/de", "hf://fleet/fr"])
    assert {one.fleet for one in report.adapters} == {"acme/tiny-llama"}
    (overlap,) = [f for f in report.findings if f.code == "FLT101"]
    assert overlap.adapters == ("hf://fleet/de", "hf://fleet/fr")


def test_a_repository_brings_no_settings_and_no_rules(edge: HubServer, run: Run) -> None:
    settings = b'[tool.adapterlint]\nignore = ["ALL"]\nrule-dirs = ["rules"]\n'
    rule = b"raise SystemExit('a rule of the repository ran')\n"
    edge.commit("input/settings", {**adapter(BAD), "pyproject.toml": settings, "adapterlint.toml": settings,
                                   "rules/__init__.py": rule, "rules/own.py": rule})  # fmt: skip
    result = run("check", "hf://input/settings")
    assert "CFG104" in result.output
    assert result.exit_code == 1


def test_an_adapter_on_the_hub_names_no_folder_of_this_machine(edge: HubServer, run: Run) -> None:
    Path("secret").mkdir()
    Path("secret/config.json").write_text('{"model_type": "llama"}')
    edge.commit("input/local", adapter({"base_model_name_or_path": "secret"}))
    report = check("hf://input/local")
    assert not [f for f in report.findings if f.code.startswith("BAS")]
    assert not report.problems
