"""Fleets: which adapters form one, under which names and in which order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapterlint.adapter import load_adapter
from adapterlint.api import check
from adapterlint.base_names import base_key, hub_model
from adapterlint.lint.example import Patch
from adapterlint.lint.grouping import Fleets, form_fleets
from adapterlint.peft.footprint import footprint_of
from adapterlint.settings import FleetSettings, Settings
from conftest import Run, Write

HEAD = Patch(config={"modules_to_save": ["lm_head"]}, tensors={"base_model.model.lm_head.weight": ("F32", (64, 16))})


@pytest.fixture
def form(write: Write, tmp_path: Path) -> Callable[..., Fleets]:
    """Form fleets of adapters written into folders: folder -> what its config changes."""

    def form_them(
        adapters: dict[str, dict[str, Any]], declared: tuple[FleetSettings, ...] = (), **given: Any
    ) -> Fleets:
        loaded = [load_adapter(write(folder, patch)) for folder, patch in adapters.items()]
        return form_fleets([(a, footprint_of(a)) for a in loaded if a], declared, **given)

    return form_them


def names(fleets: Fleets) -> list[list[str]]:
    return [[m.name for m in f.members] for f in fleets.fleets]


# ---------------------------------------------------------------------------------------------------------- undeclared


def test_adapters_of_one_base_are_a_fleet(form: Any) -> None:
    fleets = form({"a": {}, "b": {}, "c": {"base_model_name_or_path": "acme/other"}})
    assert names(fleets) == [["a", "b"]]
    assert not fleets.fleets[0].declared
    assert set(fleets.by_path.values()) == {"acme/tiny-llama"}
    assert len(fleets.by_path) == 2, "an adapter alone shares its base with nobody"


def test_an_adapter_that_names_no_base_is_in_no_fleet_unless_the_base_is_given(form: Any) -> None:
    adapters = {"a": {}, "b": {"base_model_name_or_path": None}}
    assert names(form(adapters)) == []
    assert names(form(adapters, base="acme/tiny-llama")) == [["a", "b"]]


def test_names_of_one_base_are_one_base(form: Any) -> None:
    cached = "/home/me/.cache/huggingface/hub/models--acme--tiny-llama/snapshots/0e9e"
    assert names(form({"a": {}, "b": {"base_model_name_or_path": cached}})) == [["a", "b"]]


def test_adapters_for_other_model_classes_are_other_fleets(form: Any) -> None:
    labels, chat = {"task_type": "SEQ_CLS"}, {"task_type": "CAUSAL_LM"}
    trained = {"task_type": None, "auto_mapping": {"base_model_class": "LlamaForSequenceClassification"}}
    either = {"task_type": None}
    assert names(form({"a": labels, "b": chat, "c": labels, "d": chat, "e": trained, "f": either, "g": either})) == [
        ["a", "c", "e"],
        ["b", "d"],
        ["f", "g"],
    ]


def test_an_adapter_that_does_not_say_its_model_class_goes_with_the_only_one(form: Any) -> None:
    assert names(form({"a": {"task_type": "SEQ_CLS"}, "b": {"task_type": None}})) == [["a", "b"]]


@pytest.mark.parametrize(
    ("folders", "kept"),
    [
        (["run/checkpoint-9", "run/checkpoint-10", "run/checkpoint-2"], "checkpoint-10"),
        (["run", "run/checkpoint-9", "run/checkpoint-10"], "run"),
        (["run/checkpoint-9", "run/final"], "final"),
        (["run/best", "run/checkpoint-9", "run/last_checkpoint"], "best"),
        (["run/epoch_1", "run/epoch_2"], "epoch_2"),
        (["run/step-100", "run/global_step200"], "global_step200"),
    ],
)
def test_versions_of_one_adapter_count_once(form: Any, folders: list[str], kept: str) -> None:
    assert names(form({folder: {} for folder in (*folders, "other")})) == [[kept, "other"]]


def test_runs_are_told_apart_by_their_folders(form: Any) -> None:
    assert names(form({"a/out/checkpoint-9": {}, "b/out/checkpoint-9": {}, "c/out/checkpoint-9/x": {}})) == [
        ["a/out/checkpoint-9", "b/out/checkpoint-9", "x"]
    ]


def test_names_that_only_look_like_versions_stay(form: Any) -> None:
    assert names(form({"sst2-final": {}, "mnli-final": {}, "checkpoint-a": {}})) == [
        ["sst2-final", "mnli-final", "checkpoint-a"]
    ]


# ------------------------------------------------------------------------------------------------------------- declared


def declared(folder: Path, **changes: Any) -> FleetSettings:
    adapters = {"de": str(folder / "german"), "fr": str(folder / "french")}
    return FleetSettings.model_validate({"name": "support", "adapters": adapters, **changes})


def test_a_declared_fleet_has_declared_names_and_order(form: Any, tmp_path: Path) -> None:
    fleets = form({"german": {}, "french": {}, "other": {}}, (declared(tmp_path, order=["fr", "de"]),))
    assert names(fleets) == [["fr", "de"]]
    assert fleets.fleets[0].ordered
    assert set(fleets.by_path.values()) == {"support"}


def test_without_an_order_the_members_stand_as_declared_and_the_order_is_open(form: Any, tmp_path: Path) -> None:
    fleets = form({"french": {}, "german": {}}, (declared(tmp_path),))
    assert names(fleets) == [["de", "fr"]]
    assert not fleets.fleets[0].ordered


def test_versions_may_be_declared(form: Any, tmp_path: Path) -> None:
    folders = {"old": str(tmp_path / "run/checkpoint-1"), "new": str(tmp_path / "run/checkpoint-2")}
    assert names(form({"run/checkpoint-1": {}, "run/checkpoint-2": {}}, (declared(tmp_path, adapters=folders),))) == [
        ["old", "new"]
    ]


def test_names_that_the_fleet_does_not_have_are_kept(form: Any, tmp_path: Path) -> None:
    (fleet,) = form({"german": {}, "french": {}}, (declared(tmp_path, activate=[["de", "it"]], order=["es"]),)).fleets
    assert fleet.unknown == ("it", "es")


def test_a_declared_folder_that_is_not_there_is_a_problem(form: Any, tmp_path: Path) -> None:
    (problem,) = form({"german": {}}, (declared(tmp_path),)).problems
    assert problem.place == "fleet support"
    assert "french" in problem.message


def test_one_adapter_of_a_declared_fleet_is_judged_with_the_others(write: Write, tmp_path: Path) -> None:
    write("german", HEAD)
    write("french", HEAD)
    settings = Settings(fleet=(declared(tmp_path, activate=[["de", "fr"]]),))
    report = check(tmp_path / "german", settings=settings)
    assert [a.name for a in report.adapters] == ["german"]
    assert [f.code for f in report.findings] == ["FLT101"]


# --------------------------------------------------------------------------------------------------------- command line


def test_names_on_the_command_line_make_a_fleet_of_their_own(form: Any) -> None:
    fleets = form({"a": {}, "b": {}, "c": {}, "d": {}}, activate=[("b", "a")], order=("b", "a"))
    assert names(fleets) == [["b", "a"], ["c", "d"]]
    assert fleets.fleets[0].activate == (("b", "a"),)
    assert fleets.fleets[0].ordered


def test_sets_with_a_common_name_are_about_one_model(form: Any) -> None:
    adapters: dict[str, Any] = {name: {} for name in "abcde"}
    assert names(form(adapters, activate=[("a", "b"), ("c", "d"), ("b", "e")])) == [["c", "d"], ["a", "b", "e"]]


def test_names_of_a_declared_fleet_are_its_own(form: Any, tmp_path: Path) -> None:
    fleets = form({"german": {}, "french": {}}, (declared(tmp_path),), activate=[("fr", "de")], order=("fr",))
    (fleet,) = fleets.fleets
    assert fleet.activate == (("fr", "de"),)
    assert names(fleets) == [["fr", "de"]]


def test_an_older_version_may_be_named(form: Any) -> None:
    adapters: dict[str, Any] = {f"run/checkpoint-{i}": {} for i in (1, 2, 3)}
    assert names(form(adapters, activate=[("checkpoint-1", "checkpoint-3")])) == [["checkpoint-1", "checkpoint-3"]]


def test_a_name_that_nobody_has_is_a_problem_with_a_suggestion(form: Any) -> None:
    (problem,) = form({"german": {}, "french": {}}, activate=[("german", "frensh")]).problems
    assert (problem.place, problem.message) == ("frensh", "No adapter has this name; did you mean `french`")


def test_a_name_that_several_have_is_a_problem(form: Any) -> None:
    (problem,) = form({"a/x": {}, "b/x": {}, "y": {}}, activate=[("x", "y")]).problems
    assert problem.message == "Several adapters have this name: `a/x` and `b/x`"


def test_an_adapter_that_could_not_be_read_is_known_by_name(form: Any) -> None:
    broken = Patch(files={"adapter_model.safetensors": b"junk"})
    fleets = form({"a": {}, "b": broken}, activate=[("a", "b")])
    assert fleets.problems == ()
    assert fleets.fleets == ()


def test_a_set_that_is_refused_fails_the_run(write: Write, run: Run) -> None:
    write("de", HEAD)
    write("fr", HEAD)
    assert run("check", ".", "--isolated").exit_code == 0, "nothing is declared: a warning"
    result = run("check", ".", "--isolated", "--activate", "de,fr", "-o", "concise")
    assert result.exit_code == 1
    assert "error[FLT101] `de` and `fr` (declared to be active together) both bring `lm_head` whole" in result.stdout
    assert run("check", ".", "--isolated", "--activate", "de,xx").exit_code == 2


# ----------------------------------------------------------------------------------------------------------- base names


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("acme/llama/", "acme/llama"),
        ("/hub/models--acme--llama-3--8b/snapshots/1", "acme/llama-3--8b"),
        (r"C:\hub\models--acme--llama\snapshots\1", "acme/llama"),
        ("/", "/"),
    ],
)
def test_the_key_of_a_base(name: str, key: str) -> None:
    assert base_key(name) == key


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
        ("unsloth/Llama-3.1-8B-Instruct-unsloth-bnb-4bit", "llama-3.1-8b-instruct"),
        ("TheBloke/Llama-2-7B-GPTQ", "llama-2-7b"),
        ("NousResearch/Llama-2-7b-hf", "llama-2-7b"),
        ("databricks/dolly-v2-3b", "dolly-v2-3b"),
        ("Qwen/Qwen2.5-7B", "qwen2.5-7b"),
        ("models/llama", None),
        ("my_models/llama", None),
        ("outputs/run1", None),
        ("./llama", None),
        ("/data/llama", None),
        ("gpt2", None),
        ("a/b/c", None),
        ("", None),
    ],
)
def test_the_model_behind_a_name(name: str, model: str | None) -> None:
    assert hub_model(name) == model


def test_an_adapter_may_be_in_several_declared_fleets(write: Write, tmp_path: Path) -> None:
    folders = {name: str(write(name, HEAD)) for name in ("de", "fr")}
    one = FleetSettings(name="one", adapters=folders)
    two = FleetSettings(name="two", adapters=folders, activate=(("de", "fr"),))
    report = check(tmp_path, settings=Settings(fleet=(one, two)))
    assert {f.rule for f in report.findings if f.severity == "error"} == {"auxiliary-overlap"}


def test_a_fleet_of_which_nothing_is_checked_is_not_judged(write: Write, tmp_path: Path) -> None:
    write("elsewhere/de")
    fleet = FleetSettings(name="one", adapters={"de": str(tmp_path / "elsewhere" / "de")}, activate=(("de", "ed"),))
    report = check(write("other"), settings=Settings(fleet=(fleet,)))
    assert report.findings == ()


def test_mirrors_that_leave_the_makers_name_away_mean_the_same_model() -> None:
    assert hub_model("meta-llama/Meta-Llama-3-8B") == hub_model("unsloth/llama-3-8b-bnb-4bit")


def test_revisions_of_one_hub_repository_are_versions_of_one_adapter(form: Any) -> None:
    cached = "hub/models--acme--{}/snapshots/{}"
    names_of = names(form({cached.format("de", "abc"): {}, cached.format("de", "def"): {}}))
    assert names_of == []
    assert len(names(form({cached.format("de", "abc"): {}, cached.format("fr", "abc"): {}}))[0]) == 2
