"""A rule's manual page, made of the rule itself: its docstring, its bounds, its examples and what it says of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from adapterlint.lint.example_lines import example_lines
from adapterlint.lint.example_run import run_example
from adapterlint.lint.rule import Rule
from adapterlint.markdown import code, fenced, prose, table
from adapterlint.words import printable


def index(rules: Sequence[Rule]) -> str:
    """One line a rule."""
    width = max((len(r.name) for r in rules), default=0)
    return "".join(f"{r.code}  {r.name:<{width}}  {r.severity.value:<7}  {r.title}\n" for r in rules)


def index_json(rules: Sequence[Rule]) -> str:
    """The same with everything that a machine may want."""
    entries = [
        {
            "code": r.code,
            "name": r.name,
            "severity": r.severity.value,
            "since": r.since,
            "title": r.title,
            "manual": r.manual,
            "reads": list(r.inputs),
            "peft": str(r.peft) if r.peft is not None else None,
            "types": sorted(r.types) if r.types is not None else None,
            "source": r.source,
        }
        for r in rules
    ]
    return json.dumps(entries, indent=2) + "\n"


def index_markdown(rules: Sequence[Rule], links: str | None = None) -> str:
    """A table of rules.

    Args:
        links: Where their pages are, with `{}` for the name of a rule.
    """
    rows = [
        [
            r.code,
            f"[{r.name}]({links.format(r.name)})" if links else r.name,
            r.severity.value,
            r.since,
            code(str(r.peft)) if r.peft is not None else "all",
            ", ".join(_reads(r)),
            prose(r.title),
        ]
        for r in rules
    ]
    head = ("code", "name", "severity", "since", "releases of PEFT", "evidence it needs", "what it finds")
    return "\n".join(["# Rules", "", *table(head, rows)]) + "\n"


def page(rule: Rule, *, told: bool = True) -> str:
    """What a rule finds, why it matters, how to repair it, before and after.

    Args:
        told: Whether the rule runs on its example, to show what it says.
    """
    parts = [f"{rule.name} ({rule.code})", f"{rule.title}.", rule.manual, "; ".join(_facts(rule))]
    parts += [f"Seen in: {rule.source}"] if rule.source else []
    parts += [f"Found in:\n{_indented(_bad(rule))}"]
    parts += [_indented(_told(rule))] if told else []
    parts += [f"Not found in:\n{_indented(_good(rule))}"]
    return "\n\n".join(parts) + "\n"


def page_markdown(rule: Rule, *, level: int = 1, told: bool = True) -> str:
    """The page in Markdown.

    Args:
        level: Of its heading.
        told: As for `page`.
    """
    deeper = "#" * (level + 1)
    parts = [f"{'#' * level} {rule.name}", f"**{rule.code}**: {prose(rule.title)}.", rule.manual]
    parts += [prose("; ".join(_facts(rule))) + "."]
    parts += [f"Seen in: {prose(rule.source)}"] if rule.source else []
    parts += [f"{deeper} Found in", fenced("\n".join(_bad(rule)))]
    parts += [fenced("\n".join(_told(rule)))] if told else []
    parts += [f"{deeper} Not found in", fenced("\n".join(_good(rule)))]
    return "\n\n".join(parts) + "\n"


def pages_markdown(rules: Sequence[Rule]) -> Mapping[str, str]:
    """A file a rule, and `index.md`."""
    return {"index.md": index_markdown(rules, "{}.md")} | {f"{rule.name}.md": page_markdown(rule) for rule in rules}


def book(rules: Sequence[Rule]) -> str:
    """All pages in one text."""
    return "\n\n".join(map(page, rules))


def book_markdown(rules: Sequence[Rule]) -> str:
    """The index and all pages in one text."""
    return "\n".join([index_markdown(rules, "#{}"), *(page_markdown(rule, level=2) for rule in rules)])


def _facts(rule: Rule) -> Iterator[str]:
    yield f"severity {rule.severity.value}"
    yield f"since {rule.since}"
    yield f"reads {', '.join(_reads(rule))}"
    if rule.peft is not None:
        yield f"PEFT {rule.peft}"
    if rule.types is not None:
        yield f"only {', '.join(sorted(rule.types))}"


def _reads(rule: Rule) -> list[str]:
    return [f"{name} (where there is one)" if name in rule.optional else name for name in rule.inputs]


def _bad(rule: Rule) -> list[str]:
    return list(map(printable, example_lines(rule.bad[0])))


def _good(rule: Rule) -> list[str]:
    return list(map(printable, example_lines(rule.good[0])))


def _told(rule: Rule) -> Iterator[str]:
    """What the rule says of its first bad example, as a report in text has it."""
    for found in run_example(rule.bad[0], [rule]):
        finding = found.finding
        yield f"{(finding.severity or rule.severity).value}[{rule.code}] {printable(finding.message)}"
        if finding.help:
            yield f"help: {printable(finding.help)}"


def _indented(lines: Sequence[str] | Iterator[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)
