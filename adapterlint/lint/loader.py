"""Rules are found in folders: the built-in one and those of `rule-dirs` are loaded in the same way."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

from adapterlint.lint.rule import RULE_ATTRIBUTE, Rule, RuleError

_PACKAGE = Path(__file__).resolve().parent.parent


def built_in_folder() -> Path:
    """The folder of built-in rules: inside the installed package, or beside it in a checkout."""
    inside = _PACKAGE / "rules"
    return inside if inside.is_dir() else _PACKAGE.parent / "rules"


def load_rules(folders: Iterable[str] = ()) -> tuple[Rule, ...]:
    """The built-in rules and those of other folders, sorted by code.

    Args:
        folders: Folders with rules of one's own, one rule a file, at any depth.

    Raises:
        RuleError: A file cannot be imported, holds no rule or a malformed one, or two rules share a code or a name.
    """
    rules = list(_built_in())
    for folder in folders:
        path = Path(folder).resolve()
        if not path.is_dir():
            raise RuleError("There is no such folder of rules", place=str(folder))
        # Each folder is a package of its own, whatever it is called and whichever else is loaded.
        rules += _rules_of(f"adapterlint_rules_{hashlib.sha256(bytes(path)).hexdigest()[:12]}", path)
    seen: dict[str, Rule] = {}
    for rule in rules:
        for label in (rule.code, rule.name):
            if label in seen:
                raise RuleError(f"`{label}` is the label of two rules", place=rule.name)
            seen[label] = rule
    return tuple(sorted(rules, key=lambda r: r.code))


@cache
def _built_in() -> tuple[Rule, ...]:
    return tuple(_rules_of("adapterlint_built_in_rules", built_in_folder()))


def _rules_of(package: str, folder: Path) -> Iterator[Rule]:
    _import(package, folder / "__init__.py", folder)
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if parts[-1] == "__init__" or any(p.startswith((".", "_")) for p in parts):
            continue
        for i in range(1, len(parts)):
            below = folder.joinpath(*parts[:i])
            _import(".".join([package, *parts[:i]]), below / "__init__.py", below)
        module = _import(".".join([package, *parts]), path)
        found = [rule for value in vars(module).values() if (rule := getattr(value, RULE_ATTRIBUTE, None)) is not None]
        if not found:
            raise RuleError("The file holds no rule", place=str(path))
        yield from found


def _import(name: str, path: Path, package: Path | None = None) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    where = [str(package)] if package else None
    if package and not path.is_file():  # a folder without __init__.py is a package all the same
        module = ModuleType(name)
        module.__path__ = where or []
        sys.modules[name] = module
        return module
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=where)
    if spec is None or spec.loader is None:
        raise RuleError("This cannot be imported", place=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except RuleError as error:
        del sys.modules[name]
        raise RuleError(str(error), place=str(path)) from error
    except Exception as error:
        del sys.modules[name]
        raise RuleError(f"This cannot be imported: {type(error).__name__}: {error}", place=str(path)) from error
    return module
