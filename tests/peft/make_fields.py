"""Write `adapterlint/peft/fields.json`: the config keys of every PEFT type, by release, read from PEFT's source.

Run from the root of the checkout, with one wheel (or one unpacked wheel) of each release line, in any order:

    python tests/peft/make_fields.py path/to/peft-0.10.0-py3-none-any.whl ... > adapterlint/peft/fields.json

Nothing is imported from PEFT: the fields are what the dataclasses say, resolved through their bases, and a config
class belongs to the type that its `__post_init__` assigns to `self.peft_type`.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_WHEEL = re.compile(r"peft-(\d+\.\d+)[\d.]*[^/]*$")
_SKIPPED_ANNOTATIONS = ("ClassVar", "InitVar")


def release_of(wheel: Path) -> str:
    """The release line in a wheel's name: `"0.18"` of `peft-0.18.1-py3-none-any.whl`."""
    if not (match := _WHEEL.search(wheel.name)):
        raise ValueError(f"not named like a wheel of PEFT: {wheel.name}")
    return match[1]


def sources(wheel: Path) -> Iterator[str]:
    """The text of every Python file of PEFT in a wheel or a folder that holds `peft/`."""
    if wheel.is_dir():
        yield from (file.read_text("utf-8") for file in sorted((wheel / "peft").rglob("*.py")))
        return
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("peft/") and name.endswith(".py"))
        yield from (archive.read(name).decode("utf-8") for name in names)


def fields_in(texts: Iterable[str]) -> dict[str, dict[str, list[Any]]]:
    """Config keys in the source of one release: type -> key -> [annotation] or [annotation, default]."""
    classes: dict[str, ast.ClassDef] = {}
    for text in texts:
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                classes.setdefault(node.name, node)
    found = {}
    for node in classes.values():
        if peft_type := _assigned_type(node):
            found[peft_type] = dict(sorted(_dataclass_fields(node, classes).items()))
    return found


def merge(by_release: Mapping[str, Mapping[str, Mapping[str, list[Any]]]]) -> dict[str, dict[str, list[Any]]]:
    """All releases in one table: type -> key -> [since, until, annotation] or [since, until, annotation, default].

    `until` is null for what the newest release has. Annotation and default are those of the newest release with the
    key. A key that went away and came back would need more than two releases, so that raises a `ValueError`.
    """
    lines = sorted(by_release, key=lambda line: [int(part) for part in line.split(".")])
    table: dict[str, dict[str, list[Any]]] = {}
    for index, line in enumerate(lines):
        for peft_type, fields in by_release[line].items():
            for key, spec in fields.items():
                known = table.setdefault(peft_type, {}).setdefault(key, [line, None])
                if known[1] not in (None, lines[index - 1]):
                    raise ValueError(f"{peft_type}.{key} is in {known[1]} and {line}, but not in between")
                known[1:] = [line, *spec]
    for fields in table.values():
        for known in fields.values():
            known[1] = None if known[1] == lines[-1] else known[1]
    return {peft_type: dict(sorted(table[peft_type].items())) for peft_type in sorted(table)}


def dump(table: Mapping[str, Mapping[str, list[Any]]]) -> str:
    """The table as JSON with one line a type."""
    rows = (
        f"{json.dumps(name)}:{json.dumps(fields, separators=(',', ':'), sort_keys=True)}"
        for name, fields in table.items()
    )
    return "{\n" + ",\n".join(rows) + "\n}\n"


def make(wheels: Iterable[Path]) -> str:
    """The text of `fields.json` from the wheels of several releases."""
    return dump(merge({release_of(wheel): fields_in(sources(wheel)) for wheel in wheels}))


def _assigned_type(node: ast.ClassDef) -> str | None:
    """`"LORA"` where the class's own `__post_init__` has `self.peft_type = PeftType.LORA`."""
    for method in node.body:
        if not (isinstance(method, ast.FunctionDef) and method.name == "__post_init__"):
            continue
        for statement in ast.walk(method):
            if (
                isinstance(statement, ast.Assign)
                and ast.unparse(statement.targets[0]) == "self.peft_type"
                and isinstance(statement.value, ast.Attribute)
            ):
                return statement.value.attr
    return None


def _dataclass_fields(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> dict[str, list[Any]]:
    fields: dict[str, list[Any]] = {}
    for base in reversed(node.bases):
        parent = classes.get(ast.unparse(base).rsplit(".", 1)[-1])
        if parent is not None:
            fields.update(_dataclass_fields(parent, classes))
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return fields
    for statement in node.body:
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        annotation = ast.unparse(_plain(statement.annotation))
        if annotation.startswith(_SKIPPED_ANNOTATIONS):
            continue
        default = [] if statement.value is None else _default(statement.value, classes)
        if default is None:
            fields.pop(statement.target.id, None)
        else:
            fields[statement.target.id] = [annotation, *default]
    return fields


def _default(value: ast.expr, classes: Mapping[str, ast.ClassDef]) -> list[Any] | None:
    """`[default]`, `[]` without one, or `None` for a field that the constructor does not take."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func).rsplit(".", 1)[-1] == "field"):
        return [_value(value, classes)]
    arguments = {keyword.arg: keyword.value for keyword in value.keywords}
    if "init" in arguments and not ast.literal_eval(arguments["init"]):
        return None
    if "default_factory" in arguments:
        return [_made(arguments["default_factory"], classes)]
    return [_value(arguments["default"], classes)] if "default" in arguments else []


def _made(factory: ast.expr, classes: Mapping[str, ast.ClassDef]) -> Any:
    """What a `default_factory` makes; another config class counts as a mapping, which it is in JSON."""
    if isinstance(factory, ast.Lambda):
        return _value(factory.body, classes)
    return [] if ast.unparse(factory) in ("list", "set", "tuple") else {}


def _value(value: ast.expr, classes: Mapping[str, ast.ClassDef]) -> Any:
    """A literal, or the value of an enumeration's member (`PromptTuningInit.RANDOM` is `"RANDOM"` in JSON)."""
    if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name):
        for statement in classes[value.value.id].body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == value.attr:
                return ast.literal_eval(statement.value)
    literal = ast.literal_eval(value)
    return list(literal) if isinstance(literal, tuple | set) else literal


def _plain(annotation: ast.expr) -> ast.expr:
    """One spelling for all releases: `Optional[Union[List[str], str]]` becomes `list[str] | str | None`."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    return _Plain().visit(annotation)  # type: ignore[no-any-return]


class _Plain(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        name = ast.unparse(node.value).rsplit(".", 1)[-1]
        if name == "Literal":
            return node
        self.generic_visit(node)
        if name == "Optional":
            return _union([node.slice, ast.Constant(None)])
        if name == "Union":
            return _union(node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice])
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        lower = node.id.lower()
        return ast.Name(lower) if lower in ("list", "dict", "set", "tuple") else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self.visit_Name(ast.Name(node.attr))


def _union(members: list[ast.expr]) -> ast.expr:
    union, *others = members
    for member in others:
        union = ast.BinOp(union, ast.BitOr(), member)
    return union


if __name__ == "__main__":
    sys.stdout.write(make(Path(argument) for argument in sys.argv[1:]))
