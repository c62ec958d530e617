"""Markdown as GitHub's own parser draws it: tables are tables, and no text becomes markup."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapterlint.markdown import code, fenced, prose, table
from adapterlint.report.markdown import MAX_BYTES, markdown
from adapterlint.report.model import Problem, Report, ReportedFinding, Summary
from adapterlint.severity import Severity
from adapterlint.words import printable
from conftest import Run, Write
from consumers import Page
from consumers import markdown as drawn

PLAIN = {"p", "code"}
CELLS = {"table", "thead", "tbody", "tr", "th", "td", "code"}
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<!-- x",
    "&lt;b&gt;",
    "[a](https://example.org)",
    "![a](https://example.org/x.png)",
    "https://example.org www.example.org a@example.org",
    "@everyone #12 GH-12 :tada: $x^2$",
    "*a* _b_ __c__ ~~d~~ **e**",
    "a | b || c",
    "`a` `b",
    "``` x",
    "`a|b`",
    "\\| \\` \\",
    "# a\n- b\n> c",
    "1. a",
    "=====",
    "---",
    "a  b",
    "'`'",
]
sentences = st.text(st.characters(codec="utf-8"), max_size=80) | st.sampled_from(HOSTILE)


def words(text: str) -> list[str]:
    """What is read of a text: blanks run together, and quotes and backticks look alike."""
    return printable(text).replace("`", "").replace("'", "").split()


@settings(max_examples=400, deadline=None)
@given(sentences)
@example("`")
@example("a `b` `c")
def test_a_sentence_is_drawn_as_it_was_written(text: str) -> None:
    (row, cells) = Page("\n".join(table(["x", "y"], [[prose(text), "z"]])), CELLS).rows
    assert len(row) == len(cells) == 2
    assert words(cells[0]) == words(text)
    assert words(Page(f"x {prose(text)}", PLAIN).text.rstrip("\n")) == ["x", *words(text)]


@settings(max_examples=400, deadline=None)
@given(sentences)
def test_a_name_is_drawn_as_code(text: str) -> None:
    page = Page("\n".join(table(["x"], [[code(text)]])), CELLS)
    assert len(page.rows) == 2
    assert words(page.code[0]) == words(text)
    assert page.rows[1] == page.code


@settings(max_examples=200, deadline=None)
@given(st.lists(sentences, min_size=1, max_size=4).map("\n".join))
def test_a_block_is_drawn_line_by_line(text: str) -> None:
    shown = "\n".join(map(printable, text.split("\n")))
    assert Page(fenced(shown), {"pre", "code"}).code == [f"{shown}\n"]


def test_values_in_backticks_are_code_and_sentences_stay_sentences() -> None:
    assert prose("`r` is `0`, but a rank is a positive integer") == "`r` is `0`, but a rank is a positive integer"
    assert prose('It is 1,024 bytes (of 2.5), "so it goes"; why?') == 'It is 1,024 bytes (of 2.5), "so it goes"; why?'
    assert prose("set target_modules, not <b>.") == "set `target_modules`, not `<b>`."


def finding(number: int, severity: Severity = Severity.WARNING, message: str = "`x` is not `y`") -> ReportedFinding:
    return ReportedFinding(
        code="CFG104", rule="zero-rank", severity=severity, message=message, help="Mend it.", adapters=("de",),
        file=f"adapters/{number}/adapter_config.json", pointer="/r", tensor=None, location=None, frame=None,
        frame_column=1, peft=None, fingerprint=f"{number:016}",
    )  # fmt: skip


def report(findings: list[ReportedFinding], problems: int = 0) -> Report:
    errors = sum(f.severity is Severity.ERROR for f in findings)
    numbers = Summary(adapters=9, errors=errors, warnings=len(findings) - errors, infos=0, suppressed=0)
    told = tuple(Problem(place=f"a|b{i}", message="<b> is gone") for i in range(problems))
    return Report(version="0.1.0", adapters=(), findings=tuple(findings), problems=told, summary=numbers)


def test_a_fleet_is_a_table_with_the_worst_first(run: Run) -> None:
    run("demo", "--keep", ".")
    page = drawn(run("check", "adapters", "-o", "markdown").stdout)
    assert page.headings == ["adapterlint: 7 adapters checked: 1 error, 4 warnings"]
    assert [row[0] for row in page.rows] == ["", "error", *["warning"] * 4]
    assert page.rows[1][3] == "wrapper-prefix TEN110"
    assert "adapters/head-de/adapter_config.json:14" in page.code


def test_a_line_that_is_not_known_is_not_told(run: Run, write: Write) -> None:
    write("de", {"r": 0})
    assert "`de/adapter_config.json:" in run("check", "de", "-o", "markdown").stdout
    assert ":1`" not in markdown(report([finding(1)]))


def test_what_is_clean_has_no_table() -> None:
    assert markdown(report([])) == "### adapterlint: 9 adapters checked: nothing found\n"


def test_problems_are_a_list(run: Run) -> None:
    page = drawn(markdown(report([], problems=2)))
    assert page.rows == []
    assert "a|b0" in page.code


def test_a_large_report_stays_small_and_counts_what_it_leaves_out() -> None:
    many = [finding(i, message="x" * 5000) for i in range(5000)] + [finding(5001, Severity.ERROR)]
    text = markdown(report(many, problems=40))
    assert len(text.encode()) <= MAX_BYTES + 100
    page = drawn(text)
    assert page.rows[1][0] == "error"
    assert page.text.count("not checked") == 40
    left = 5001 - (len(page.rows) - 1)
    assert page.text.rstrip().endswith(f"and {left:,} more; other formats have all.")
