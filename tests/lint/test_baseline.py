"""A baseline holds for what it was written for: one finding an entry, wherever its adapter now lies."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapterlint import check
from adapterlint.api import Outcome, run
from adapterlint.lint.baseline import Baseline, BaselineError, Entry, about, parse, written
from adapterlint.lint.baseline_pairs import paired
from adapterlint.lint.example import HIDDEN, VOCABULARY, Patch, base_files, with_tokens
from adapterlint.report.model import ReportedFinding
from adapterlint.settings import Settings

# ---------------------------------------------------------------------------------------------------- whole folders

HEAD = {"base_model.model.lm_head.weight": ("F32", (VOCABULARY, HIDDEN))}
PROBLEMS: Mapping[str, Patch] = {
    "rank": Patch({"r": 4}),
    "zero": Patch({"r": 0}),
    "unknown key": Patch({"lora_alhpa": 3}),
    "two unknown keys": Patch({"lora_alhpa": 3, "taget_modules": ["q_proj"]}),
    "one target too many": Patch({"target_modules": ["q_proj", "v_proj", "k_proj"]}),
    "no card base": Patch(files={"README.md": "---\nbase_model: acme/other\n---\n"}),
    "prefix": Patch(rename=("base_model.model.", "_orig_mod.base_model.model.")),
}
TOGETHER: Mapping[str, Patch] = {
    "head": Patch({"modules_to_save": ["lm_head"]}, tensors=HEAD),
    "tokens": with_tokens(60, 61),
    "more tokens": with_tokens(61, 62),
}
ALONE = Settings(ignore=("FLT",))

Repository = dict[str, str]  # folder of an adapter -> what is wrong with it; "" for nothing

folders = st.sampled_from([f"{top}/{name}" for top in ("prod", "lab/new", "lab/old") for name in ("de", "fr", "it")])
alone = st.dictionaries(folders, st.sampled_from(["", *PROBLEMS]), min_size=1, max_size=6)
together = st.dictionaries(folders, st.sampled_from(["", *PROBLEMS, *TOGETHER]), min_size=2, max_size=6)
few = settings(max_examples=20, deadline=None)


def put(folder: str, problem: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    patch = ({"": Patch()} | dict(PROBLEMS) | dict(TOGETHER))[problem]
    for name, content in patch.folder().files.items():
        Path(folder, name).write_bytes(content)


@contextmanager
def inside(repository: Repository) -> Iterator[Path]:
    """The working folder is a fresh one that holds these adapters."""
    with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
        for folder, problem in repository.items():
            put(folder, problem)
        yield Path(scratch)


def write_baseline(settings: Settings = Settings()) -> int:  # noqa: B008 (it is frozen)
    """Write `baseline.jsonl` for everything in the working folder."""
    made = run(".", settings=settings.model_copy(update={"baseline": "baseline.jsonl"}), rewrite="write")
    assert made.use is not None
    Path("baseline.jsonl").write_text(written(made.use.rewritten()), encoding="utf-8")
    return len(made.use.found)


def read(settings: Settings = Settings(), paths: str = ".") -> tuple[list[ReportedFinding], list[Entry], int]:  # noqa: B008
    """What is still found, what no longer holds, and how many findings are set aside."""
    outcome: Outcome = run(paths, settings=settings.model_copy(update={"baseline": "baseline.jsonl"}))
    assert outcome.use is not None
    stale = [outcome.use.baseline.entries[j] for j in outcome.use.stale]
    told = [f for f in outcome.report.findings if f.rule == "stale-baseline-entry"]
    assert len(told) == len(stale), "every stale entry is in the report"
    assert all(f.severity.value == "info" for f in told)
    return [f for f in outcome.report.findings if f not in told], stale, outcome.report.summary.suppressed


@few
@given(together)
def test_what_was_written_is_set_aside_and_nothing_else_is_left(repository: Repository) -> None:
    with inside(repository):
        before = check(".")
        assert write_baseline() == len(before.findings)
        assert read() == ([], [], len(before.findings))


@few
@given(together, st.randoms(use_true_random=False))
def test_moving_folders_keeps_all_that_still_holds(repository: Repository, chance: random.Random) -> None:
    with inside(repository):
        number = write_baseline()
        for folder in repository:
            if chance.random() < 0.7:
                target = Path("archive", folder.replace("/", "-") if chance.random() < 0.3 else folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                Path(folder).rename(target)
        assert read() == ([], [], number)


@few
@given(together, st.randoms(use_true_random=False))
def test_writing_configs_in_another_form_keeps_all(repository: Repository, chance: random.Random) -> None:
    with inside(repository):
        number = write_baseline()
        for path in Path().rglob("adapter_config.json"):
            items = list(json.loads(path.read_text()).items())
            chance.shuffle(items)
            values = {k: sorted(v, reverse=True) if isinstance(v, list) else v for k, v in items}
            path.write_text(json.dumps(values, indent=chance.choice([None, 0, 4])))
        assert read() == ([], [], number)


@few
@given(alone, st.data())
def test_mending_one_adapter_makes_exactly_its_entries_stale(repository: Repository, data: st.DataObject) -> None:
    with inside(repository):
        number = write_baseline(ALONE)
        mended = data.draw(st.sampled_from(sorted(repository)))
        before = Counter((f.code, f.file) for f in check(mended, settings=ALONE).findings)
        put(mended, "")
        found, stale, aside = read(ALONE)
        assert found == []
        assert Counter((e.code, e.file) for e in stale) == before
        assert aside == number - before.total()


@few
@given(alone, st.sampled_from(sorted(PROBLEMS)), st.data())
def test_a_new_problem_is_all_that_is_shown(repository: Repository, problem: str, data: st.DataObject) -> None:
    with inside(repository):
        number = write_baseline(ALONE)
        new = data.draw(folders.filter(lambda folder: repository.get(folder, "") == ""))
        put(new, problem)
        found, stale, aside = read(ALONE)
        assert found == list(check(new, settings=ALONE).findings)
        assert (stale, aside) == ([], number)


@few
@given(together, together)
def test_lines_of_two_people_are_merged_by_putting_them_together(one: Repository, other: Repository) -> None:
    with inside(one | other):
        write_baseline()
        head, *lines = Path("baseline.jsonl").read_text().splitlines(keepends=True)
        Path("baseline.jsonl").write_text("".join([head, *lines[::2], *lines[1::2]]))
        assert read() == ([], [], len(lines))


@few
@given(together, st.sampled_from(["prod", "lab", "lab/new", "lab/old/fr"]))
def test_a_run_over_a_part_calls_nothing_stale_and_shows_nothing_old(repository: Repository, part: str) -> None:
    with inside({**repository, "prod/de": "", "lab/new/de": "", "lab/old/fr": "rank"}):
        write_baseline()
        found, stale, _ = read(paths=part)
        assert (found, stale) == ([], [])


def test_an_entry_holds_for_one_finding_and_not_for_the_same_in_a_copy() -> None:
    with inside({"de": "rank"}):
        write_baseline()
        put("fr", "rank")
        found, stale, aside = read(ALONE)
        assert [f.file for f in found] == ["fr/adapter_config.json"]
        assert (stale, aside) == ([], 1)


def test_a_line_that_a_merge_left_twice_is_stale_and_pruned() -> None:
    with inside({"de": "rank"}):
        write_baseline()
        text = Path("baseline.jsonl").read_text()
        Path("baseline.jsonl").write_text(text + text.splitlines(keepends=True)[1])
        outcome = run(".", settings=Settings(baseline="baseline.jsonl"), rewrite="prune")
        assert outcome.use is not None
        assert len(outcome.use.stale) == 1
        assert written(outcome.use.pruned()) == text


def test_of_two_adapters_with_the_same_problem_the_one_that_was_mended_is_told() -> None:
    with inside({"de": "rank", "fr": "rank"}):
        write_baseline()
        put("de", "")
        found, stale, aside = read()
        assert (found, aside) == ([], 1)
        assert [e.file for e in stale] == ["de/adapter_config.json"]


def test_an_adapter_that_was_deleted_leaves_its_entry_stale() -> None:
    with inside({"adapters/de": "rank", "adapters/fr": ""}):
        write_baseline()
        for path in Path("adapters/de").iterdir():
            path.unlink()
        Path("adapters/de").rmdir()
        assert [e.file for e in read()[1]] == ["adapters/de/adapter_config.json"]
        assert read(paths="adapters/fr")[1] == [], "where it was is not below what is checked"


# ----------------------------------------------------------------------------------------------------------- fleets


def test_a_fleet_that_lost_a_member_keeps_its_entry() -> None:
    with inside({"de": "head", "fr": "head", "it": "head"}):
        assert write_baseline() == 1
        put("it", "")
        assert read() == ([], [], 1)


def test_an_adapter_that_joins_the_trouble_is_shown_and_the_entry_still_holds() -> None:
    with inside({"de": "head", "fr": "head"}):
        write_baseline()
        put("it", "head")
        found, stale, aside = read()
        assert [f.adapters for f in found] == [("de", "fr", "it")]
        assert (stale, aside) == ([], 0)


def test_the_last_of_a_fleet_that_was_mended_makes_its_entry_stale() -> None:
    with inside({"de": "head", "fr": "head"}):
        write_baseline()
        put("fr", "")
        found, stale, aside = read()
        assert (found, aside) == ([], 0)
        assert [e.adapters for e in stale] == [("de", "fr")]


def test_what_was_advice_is_shown_when_somebody_declares_to_do_it() -> None:
    with inside({"de": "head", "fr": "head"}):
        write_baseline()
        declared = Settings.model_validate(
            {"fleet": [{"name": "f", "adapters": {"german": "de", "french": "fr"}, "activate": [["german", "french"]]}]}
        )
        found, _, _ = read(declared)
        assert [(f.rule, f.severity.value) for f in found] == [("auxiliary-overlap", "error")]
        write_baseline(declared)
        assert read(declared) == ([], [], 1)
        assert read() == ([], [], 1), "and the entry for that holds for the advice too"


# ------------------------------------------------------------------------------------------- what is not looked at


def test_entries_of_rules_that_do_not_run_are_not_stale() -> None:
    with inside({"de": "rank"}):
        write_baseline()
        put("de", "")
        assert read(Settings(select=("TEN",)))[1] == []
        assert read(Settings(ignore=("rank-mismatch",)))[1] == []
        assert len(read()[1]) == 1


def test_entries_that_need_weights_are_not_stale_where_these_were_not_fetched() -> None:
    with inside({"de": "rank"}):
        write_baseline()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n"
        Path("de/adapter_model.safetensors").write_text(pointer)
        found, stale, _ = read()
        assert [f.rule for f in found] == ["lfs-pointer"]
        assert stale == []


def test_entries_that_rest_on_a_base_are_not_stale_without_it(tmp_path: Path) -> None:
    for name, content in base_files().items():
        (tmp_path / name).write_bytes(content)
    based = Settings(base=str(tmp_path), select=("BAS", "LNT"))
    with inside({}):
        Path("de").mkdir()
        for name, content in Patch({"target_modules": ["q_proj", "v_proj", "adapter_gate"]}).folder().files.items():
            Path("de", name).write_bytes(content)
        assert write_baseline(based) > 0
        put("de", "")
        assert read(Settings(select=("BAS", "LNT")))[1] == []
        assert len(read(based)[1]) > 0


def test_entries_are_not_stale_for_other_releases_than_they_were_written_for() -> None:
    with inside({"de": "rank"}):
        write_baseline(Settings(peft=("0.17", "0.21")))
        put("de", "")
        assert read(Settings(peft=("0.21",)))[1] == []
        assert read()[1] == []
        assert len(read(Settings(peft=("0.17.1", "0.18", "0.21")))[1]) == 1


def test_writing_again_keeps_what_this_run_did_not_look_at() -> None:
    with inside({"de": "rank", "fr": "rank"}):
        write_baseline()
        put("de", "zero")
        made = run("de", settings=Settings(baseline="baseline.jsonl"), rewrite="write")
        assert made.use is not None
        Path("baseline.jsonl").write_text(written(made.use.rewritten()))
        assert read()[:2] == ([], [])


# ---------------------------------------------------------------------------------------------------------- the file

words = st.text(max_size=12)
entries = st.builds(
    Entry,
    file=words.filter(lambda t: "\0" not in t),
    adapters=st.lists(words.filter(lambda t: "\0" not in t), max_size=3).map(tuple),
    code=words,
    rule=words,
    pointer=st.none() | words,
    tensor=st.none() | words,
    about=words,
    base=st.booleans(),
    declared=st.booleans(),
    message=words,
)


@given(st.lists(entries, max_size=5), st.sampled_from([(), ("0.18", "0.21")]))
def test_a_file_says_again_what_was_written(those: list[Entry], peft: tuple[str, ...]) -> None:
    text = written(Baseline(tuple(those), peft=peft))
    assert all(line.isprintable() for line in text.split("\n")), "no control character"
    back = parse(text.encode(), "b")
    assert Counter(back.entries) == Counter(those)
    assert back.peft == peft
    assert back.lines == tuple(range(2, 2 + len(those)))
    assert written(back) == text, "and is the same when it is written again"


@given(st.lists(entries, max_size=5), st.randoms(use_true_random=False))
def test_the_file_does_not_depend_on_the_order_of_findings(those: list[Entry], chance: random.Random) -> None:
    shuffled = those.copy()
    chance.shuffle(shuffled)
    assert written(Baseline(tuple(shuffled))) == written(Baseline(tuple(those)))


LINES = [b'{"adapterlint-baseline": 1}\n', b"<<<<<<< HEAD\n", b"[" * 5000, b"{}\n", b'{"file": 3}\n', b"\xff\n"]


@given(st.binary() | st.text().map(str.encode) | st.lists(st.sampled_from(LINES)).map(b"".join))
def test_whatever_a_file_holds_is_read_or_told_in_one_sentence(content: bytes) -> None:
    told = ""
    try:
        parse(content, "b.jsonl")
    except BaselineError as error:
        told = str(error)
    assert not told or (told.startswith("b.jsonl") and "\n" not in told)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'b: This is no baseline: its first line is not `{"adapterlint-baseline": 1}`'),
        ("[]\n", "b: This is no baseline: its first line"),
        ('{"version": 1}\n', "b: This is no baseline: its first line"),
        ('{"adapterlint-baseline": 2}\n', "b: The baseline is of version `2`, and this adapterlint knows version 1"),
        ('{"adapterlint-baseline": 1}\n\n{"file": "a"}\n', "b:3: This line is no entry of a baseline: Object missing"),
        ('{"adapterlint-baseline": 1}\n<<<<<<< HEAD\n', "b:2: This line is no entry of a baseline: JSON is malformed"),
        (
            '{"adapterlint-baseline": 1}\n{"file": "a\\u0000", "code": "", "rule": "", "about": ""}',
            "b:2: This line is no entry of a baseline: a path has a NUL in it",
        ),
    ],
)
def test_what_is_no_baseline_is_told_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(BaselineError) as told:
        parse(text.encode(), "b")
    assert str(told.value).startswith(sentence)


def test_what_a_later_adapterlint_adds_to_an_entry_is_passed_over() -> None:
    line = '{"file": "a", "code": "CFG104", "rule": "zero-rank", "about": "x", "since": "2031"}'
    assert parse(f'{{"adapterlint-baseline": 1}}\r\n{line}\r\n'.encode(), "b").entries[0].file == "a"


def test_what_a_message_is_about_are_its_values_without_names_words_and_order() -> None:
    one = about("`de` and `fr` both bring `lm_head` and `score`: 2 of 3 fail", ["de", "fr"])
    assert one == about("3 of 4 fail: `score` and `lm_head` of `german` and `fr`", ["german", "fr"])
    assert one != about("`de` and `fr` both bring `lm_head`: 2 of 3 fail", ["de", "fr"])


# ----------------------------------------------------------------------------------------------------------- pairing

A = Entry(file="x/de/c.json", code="CFG104", rule="zero-rank", pointer="/r", about="0")


@given(
    st.lists(
        st.sampled_from([A, replace(A, file="x/fr/c.json"), replace(A, pointer="/q"), replace(A, code="TEN1")]),
        max_size=8,
    ),
    st.lists(st.sampled_from([A, replace(A, file="y/de/c.json")]), max_size=8),
    st.booleans(),
)
def test_every_entry_is_used_once_and_what_is_the_same_is_paired_first(
    old: list[Entry], found: list[Entry], there: bool
) -> None:  # fmt: skip
    pairs = paired(found, old, lambda path: there)
    assert len(set(pairs.values())) == len(pairs)
    exact = (Counter(found) & Counter(old)).total()
    assert sum(found[i] == old[j] for i, j in pairs.items()) == exact
    assert len(pairs) == exact or not there, "an entry whose place is there holds for that place alone"


def test_the_path_that_is_most_alike_is_taken_for_the_old_one() -> None:
    old = [replace(A, file="a/de/c.json"), replace(A, file="a/fr/c.json")]
    found = [replace(A, file="b/fr/c.json"), replace(A, file="b/de/c.json"), replace(A, file="b/it/c.json")]
    assert paired(found, old, lambda path: False) == {0: 1, 1: 0}


def test_thousands_of_moved_adapters_are_paired_quickly() -> None:
    names = [f"{i}/{i % 7}/c.json" for i in range(20_000)]
    pairs = paired(
        [replace(A, file=f"new/{n}") for n in names], [replace(A, file=f"old/{n}") for n in names], lambda path: False
    )
    assert all(i == j for i, j in pairs.items())
    assert len(pairs) == len(names)


def test_the_same_result_from_whatever_folder_and_however_paths_are_given() -> None:
    with inside({"a/de": "rank", "a/fr": "head", "b/it": "head"}) as top:
        write_baseline()
        text = Path("baseline.jsonl").read_text()
        os.symlink(top, top / "loop")
        for folder, paths, file in (
            ("a", [".", "../b"], "../baseline.jsonl"),
            ("a/de", [".", "../fr", "../../b/it"], "../../baseline.jsonl"),
            ("/", [str(top / "a"), str(top / "b")], str(top / "baseline.jsonl")),
            (".", [str(top / "loop" / "a"), str(top / "loop" / "b")], "baseline.jsonl"),
        ):
            with chdir(top / folder):
                outcome = run(paths, settings=Settings(baseline=file))
                assert outcome.report.findings == ()
                assert outcome.use is not None
                assert written(outcome.use.rewritten()) == text
