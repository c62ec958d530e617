"""Pages of rules: the example that a page shows, written to disk and checked, gives the output that it shows."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from adapterlint.lint.example import (
    GOOD_CARD,
    GOOD_CONFIG,
    GOOD_TENSORS,
    Example,
    FleetPatch,
    Patch,
    as_patch,
    base_files,
    safetensors_file,
)
from adapterlint.lint.loader import load_rules
from adapterlint.lint.page import page, page_markdown
from adapterlint.lint.rule import Rule
from conftest import Run
from consumers import TAGS, Page

RULES = load_rules()
OF_ADAPTERS = [rule for rule in RULES if rule.family != "LNT"]  # the others are about the settings of a run
CONFIG, WEIGHTS, CARD = "adapter_config.json", "adapter_model.safetensors", "README.md"
TAGS_OF_PAGES = TAGS | {"pre", "a", "em"}


@dataclass
class Shown:
    """An adapter as the lines of a page tell how it differs from a healthy one."""

    config: dict[str, Any] = field(default_factory=lambda: dict(GOOD_CONFIG))
    tensors: dict[str, Any] = field(default_factory=lambda: dict(GOOD_TENSORS))
    files: dict[str, bytes | None] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)  # files of which a page does not show all

    def read(self, line: str) -> None:
        if match := re.fullmatch(rf'{re.escape(CONFIG)}: "([^"]+)": (.*)', line):
            if "…" in match[2]:
                self.cut.add(CONFIG)
            else:
                self.config[match[1]] = json.loads(match[2])
        elif match := re.fullmatch(rf'{re.escape(CONFIG)}: no "([^"]+)"', line):
            del self.config[match[1]]
        elif match := re.fullmatch(r"no tensor (.+)", line):
            del self.tensors[match[1]]
        elif match := re.fullmatch(r"tensor (.+): (\w+) (\[[\d, ]*\])", line):
            self.tensors[match[1]] = (match[2], tuple(json.loads(match[3])))
        elif match := re.fullmatch(r"no file (\S+)", line):
            self.files[match[1]] = None
        elif match := re.fullmatch(r"file (\S+) is a link to (\S+)", line):
            self.links[match[1]] = match[2]
        elif match := re.fullmatch(r"file (\S+): (.*)", line):
            if match[2].startswith('"') and "…" not in match[2]:
                self.files[match[1]] = json.loads(match[2]).encode()
            else:
                self.cut.add(match[1])
        else:
            assert line == "a healthy adapter", line

    def write(self, folder: Path, whole: Patch, elsewhere: Path) -> None:
        """Write it; of what is shown in part `whole` has the rest, and links lead `elsewhere`."""
        files: dict[str, bytes | None] = {
            CARD: GOOD_CARD.encode(),
            CONFIG: json.dumps(self.config, indent=2, sort_keys=True).encode(),
            WEIGHTS: safetensors_file(self.tensors),
        }
        files |= self.files | {name: whole.folder().files[name] for name in self.cut}
        folder.mkdir(parents=True)
        for name, content in files.items():
            if content is not None and name not in self.links:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
        for name, target in self.links.items():
            behind = elsewhere / target.lstrip("/")
            behind.parent.mkdir(parents=True)
            if name not in self.files:
                behind.write_bytes(files[name] or b"")
            (folder / name).symlink_to(behind)


@dataclass
class Scene:
    """All that a block of lines shows: an adapter or several, what is to be done with them, the base, the releases."""

    adapters: dict[str, Shown] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    activate: list[list[str]] = field(default_factory=list)
    base: dict[str, Any] | None = None
    peft: list[str] = field(default_factory=list)
    fleet: str | None = None

    def read(self, block: str) -> Scene:
        name = "adapter"
        for line in block.splitlines():
            if match := re.fullmatch(r"(\S+):", line):
                name = match[1]
                self.adapters[name] = Shown()
            elif line.startswith("loaded in this order: "):
                self.order = line.partition(": ")[2].split(", ")
            elif line.startswith("activated together: "):
                self.activate.append(line.partition(": ")[2].split(", "))
            elif match := re.fullmatch(r"declared in the settings as the fleet (\w+)", line):
                self.fleet = match[1]
            elif line.startswith("base: a tiny Llama"):
                changes = re.findall(r", (\w+) (\{.*?\}|\[.*?\]|\"[^\"]*\"|[^,]+)", line)
                self.base = {key: json.loads(value) for key, value in changes}
            elif match := re.fullmatch(r"PEFT ([\d.]+)", line):
                self.peft.append(match[1])
            else:
                self.adapters.setdefault(name, Shown()).read(line.removeprefix("    "))
        self.adapters = self.adapters or {name: Shown()}
        return self

    def check(self, run: Run, folder: Path, example: Example, rule: Rule) -> str:
        """What the command line says of it."""
        patches = example.members if isinstance(example, FleetPatch) else {"adapter": example}
        arguments = [f"adapters/{name}" for name in self.adapters] + [f"--peft={release}" for release in self.peft]
        if self.base is not None:
            (folder / "base").mkdir()
            for name, content in base_files(self.base).items():
                (folder / "base" / name).write_bytes(content)
            arguments += ["--base", "base"]
        if self.fleet:
            (folder / "adapterlint.toml").write_text(self.settings())
        else:
            arguments += [f"--activate={','.join(names)}" for names in self.activate]
            arguments += ["--order", ",".join(self.order)] if self.order else []
        with TemporaryDirectory() as elsewhere:  # of a short name, which messages show whole
            for name, shown in self.adapters.items():
                shown.write(folder / "adapters" / name, as_patch(patches[name]), Path(elsewhere))
            return str(run("check", *arguments, "--select", rule.code).stdout).replace(elsewhere, "")

    def settings(self) -> str:
        """The declared fleet; what TOML has in common with JSON is enough for it."""
        folders = ", ".join(f"{json.dumps(name)} = {json.dumps('adapters/' + name)}" for name in self.adapters)
        lines = [f"name = {json.dumps(self.fleet)}", f"adapters = {{ {folders} }}"]
        lines += [f"activate = {json.dumps(self.activate)}"] if self.activate else []
        lines += [f"order = {json.dumps(self.order)}"] if self.order else []
        return "\n".join(["[[fleet]]", *lines, ""])


def blocks(rule: Rule) -> tuple[str, str, str]:
    """What the page of a rule shows as found, as output, and as not found."""
    found, _, rest = page(rule).partition("\nFound in:\n")[2].partition("\n\n")
    told, _, good = rest.partition("\n\nNot found in:\n")
    bad_text, told_text, good_text = (
        "\n".join(line.removeprefix("    ") for line in part.rstrip("\n").splitlines()) for part in (found, told, good)
    )
    return bad_text, told_text, good_text


def said(output: str) -> list[str]:
    """The findings and remedies of a report in text, each in a line."""
    stripped = (line.strip() for line in output.splitlines())
    return [line for line in stripped if re.match(r"(error|warning|info)\[\w+\] |help: ", line)]


@pytest.mark.parametrize("rule", OF_ADAPTERS, ids=lambda r: r.name)
def test_what_a_page_shows_as_found_gives_what_it_shows_as_output(rule: Rule, run: Run, tmp_path: Path) -> None:
    bad, told, _ = blocks(rule)
    assert told
    assert said(Scene().read(bad).check(run, tmp_path, rule.bad[0], rule)) == told.splitlines()


@pytest.mark.parametrize("rule", OF_ADAPTERS, ids=lambda r: r.name)
def test_what_a_page_shows_as_not_found_gives_nothing(rule: Rule, run: Run, tmp_path: Path) -> None:
    assert said(Scene().read(blocks(rule)[2]).check(run, tmp_path, rule.good[0], rule)) == []


def in_markdown(source: str) -> Page:
    """A page as GitHub's parser draws it; there is no raw HTML in it."""
    return Page(source, TAGS_OF_PAGES)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_a_page_in_markdown_has_the_same_blocks(rule: Rule) -> None:
    drawn = in_markdown(page_markdown(rule))
    assert drawn.headings == [rule.name, "Found in", "Not found in"]
    assert drawn.code[-3:] == [f"{block}\n" for block in blocks(rule)]
    assert rule.code in drawn.text
    spans = re.findall(r"``(.+?)``|`([^`]+)`", rule.manual, re.DOTALL)
    assert {" ".join((a or b).split()) for a, b in spans} <= {" ".join(code.split()) for code in drawn.code}


def test_all_pages_are_written_with_an_index(run: Run, tmp_path: Path) -> None:
    assert run("rule", "--all", "-o", "markdown=docs/rules").exit_code == 0
    folder = tmp_path / "docs" / "rules"
    assert {p.name for p in folder.iterdir()} == {"index.md", *(f"{r.name}.md" for r in RULES)}
    index = in_markdown((folder / "index.md").read_text())
    assert all((folder / link).is_file() for link in index.links)
    head, *rows = index.rows
    assert head == ["code", "name", "severity", "since", "releases of PEFT", "evidence it needs", "what it finds"]
    assert [row[0] for row in rows] == [r.code for r in RULES]
    assert index.links == [f"{r.name}.md" for r in RULES]
    zero = next(row for row in rows if row[1] == "zero-rank")
    assert zero[2:] == ["error", "0.1", "all", "config", "The rank r is not a positive integer"]
    assert run("rule", "zero-rank", "-o", "markdown").stdout == (folder / "zero-rank.md").read_text()


def test_all_pages_are_one_text_with_links_inside_of_it(run: Run) -> None:
    drawn = in_markdown(run("rule", "--all", "-o", "markdown").stdout)
    names = [heading for heading in drawn.headings if heading not in ("Rules", "Found in", "Not found in")]
    assert names == [r.name for r in RULES]
    inside = [link for link in drawn.links if link.startswith("#")]
    assert inside == [f"#{name}" for name in names]
    assert run("rules", "-o", "markdown").stdout.count("\n|") == len(RULES) + 2
    assert all(page(r) in run("rule", "--all").stdout for r in RULES[:3])


@pytest.mark.parametrize("arguments", [[], ["zero-rank", "--all"], ["--all", "-o", "json"]])
def test_one_rule_or_all_in_a_format_that_there_is(arguments: list[str], run: Run) -> None:
    assert run("rule", *arguments).exit_code == 2


def test_a_folder_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("rule", "--all", "-o", "markdown=file")
    assert result.exit_code == 2
    assert "file: " in result.stderr
