"""Settings: `pyproject.toml` or `adapterlint.toml` of the invoking project, and the command line over them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from adapterlint.errors import AdapterlintError
from adapterlint.lint.rule import Severity
from adapterlint.words import shown, suggestion

FILES = ("adapterlint.toml", "pyproject.toml")  # the first that has settings, from the working folder upwards


class SettingsError(AdapterlintError):
    """A setting that cannot be taken; carries the file and the setting's name."""


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_kebab, populate_by_name=True)


class FleetSettings(_Model):
    """A declared fleet.

    Attributes:
        name: How findings call it.
        base: Its base model, if that differs from the project's.
        adapters: Folder by adapter name.
        order: Names in the order in which they are loaded.
        activate: Sets of names that are active together.
    """

    name: str
    base: str | None = None
    adapters: dict[str, str] = Field(min_length=1)
    order: tuple[str, ...] = ()
    activate: tuple[tuple[str, ...], ...] = ()


class Settings(_Model):
    """What a run does.

    Attributes:
        base: Folder or `hf://owner/name` of the base model that all adapters belong to.
        peft: PEFT releases that must handle the adapters, such as `0.18` or `0.21.2`; empty for the newest known.
        select: Rules that run: codes, names, families (`CFG`) or `ALL`.
        extend_select: Rules that run besides.
        ignore: Rules that do not run.
        extend_ignore: Rules that do not run besides.
        severity: Severity by rule, where it differs from the default.
        per_file_ignores: Rules that are not reported for files or folders that match a glob pattern.
        rule_dirs: Folders with rules of one's own.
        exclude: Glob patterns of folders that are not looked at.
        fail_on: The severity from which on the exit status is 1.
        fleet: Declared fleets.
    """

    base: str | None = None
    peft: tuple[str, ...] = ()
    select: tuple[str, ...] = ("ALL",)
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_ignore: tuple[str, ...] = ()
    severity: dict[str, Severity] = Field(default_factory=dict)
    per_file_ignores: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    rule_dirs: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    fail_on: Severity = Severity.ERROR
    fleet: tuple[FleetSettings, ...] = ()

    @field_validator("peft")
    @classmethod
    def _releases(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from packaging.version import InvalidVersion, Version

        for text in value:
            try:
                Version(text)
            except InvalidVersion:
                raise ValueError(f"{shown(text)} is no release of PEFT; write it like `0.18` or `0.21.2`") from None
        return value

    @field_validator(
        "peft", "select", "extend_select", "ignore", "extend_ignore", "rule_dirs", "exclude", mode="before"
    )
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Effective:
    """Settings, and where each of them came from.

    Args:
        settings: The merged ones.
        origins: Name of a setting as it is written in a file -> `default`, a file, or `command line`.
        file: The file they were read from.
    """

    settings: Settings
    origins: Mapping[str, str] = field(default_factory=dict)
    file: str | None = None


def load_settings(
    overrides: Mapping[str, Any] | None = None, *, file: str | None = None, folder: str = ".", isolated: bool = False
) -> Effective:
    """Read the settings of the invoking project and put the command line over them.

    Args:
        overrides: Values of the command line by name of the setting; `None` and empty ones say nothing.
        file: A settings file, instead of searching for one.
        folder: Where the search begins; it goes upwards. The inspected folders are never asked.
        isolated: Do not read any file.

    Raises:
        SettingsError: A file cannot be read, or a setting is unknown or of the wrong form.
    """
    found, table = (None, {}) if isolated else _read(Path(file)) if file else _search(Path(folder).resolve())
    given = {k: v for k, v in (overrides or {}).items() if v is not None and v != ()}
    from_file = _validated(table, str(found) if found else "")
    from_line = _validated(given, "command line")
    merged = {name: getattr(from_line if name in from_line.model_fields_set else from_file, name) for name in _NAMES}
    if found:
        merged["fleet"] = tuple(_resolved(f, found.parent) for f in from_file.fleet)
        for name in ("base", "rule_dirs"):
            if name not in from_line.model_fields_set:
                merged[name] = _relative(merged[name], found.parent)
        merged["per_file_ignores"] = {_pattern(p, found.parent): v for p, v in from_file.per_file_ignores.items()}
    origins = {
        _kebab(name): "command line"
        if name in from_line.model_fields_set
        else str(found)
        if name in from_file.model_fields_set
        else "default"
        for name in _NAMES
    }
    return Effective(Settings.model_construct(**merged), origins, str(found) if found else None)


_NAMES = tuple(Settings.model_fields)


def _search(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    for parent in (folder, *folder.parents):
        for name in FILES:
            path = parent / name
            if path.is_file() and (table := _table(path)) is not None:
                return path, table
    return None, {}


def _read(path: Path) -> tuple[Path, dict[str, Any]]:
    table = _table(path)
    if table is None:
        raise SettingsError("There is no table `tool.adapterlint`", place=str(path))
    return path, table


def _table(path: Path) -> dict[str, Any] | None:
    """The settings of a file, or `None` if it has none (a `pyproject.toml` of a project without them)."""
    try:
        with path.open("rb") as stream:
            document = tomllib.load(stream)
    except OSError as error:
        raise SettingsError(error.strerror or "It cannot be read", place=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"This is not TOML: {error}", place=str(path)) from error
    if path.name != "pyproject.toml" and "tool" not in document:
        return document
    tool = document.get("tool")
    table = tool.get("adapterlint") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _validated(values: Mapping[str, Any], place: str) -> Settings:
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        raise SettingsError(_sentence(error), place=place) from None


def _sentence(error: ValidationError) -> str:
    """The first error of pydantic, in the words of somebody who writes settings."""
    first = error.errors(include_url=False)[0]
    where = ".".join(_kebab(str(part)) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        fields = FleetSettings.model_fields if where.startswith("fleet.") else Settings.model_fields
        name = str(first["loc"][-1])
        near = suggestion(_kebab(name), map(_kebab, fields))
        return f"There is no setting {shown(where)}" + (f"; did you mean `{near}`" if near else "")
    text = str(first["msg"]).removeprefix("Value error, ")
    return f"{shown(where)}: {text[:1].lower()}{text[1:]}"


def _relative(value: Any, folder: Path) -> Any:
    """Paths of a settings file are relative to it."""
    if isinstance(value, tuple):
        return tuple(_relative(v, folder) for v in value)
    if not isinstance(value, str) or value.startswith("hf://"):
        return value
    path = folder / value
    return os.path.relpath(path) if path.exists() else value


def _pattern(pattern: str, folder: Path) -> str:
    """Patterns of a settings file are relative to it too, unless they begin anywhere."""
    return pattern if pattern.startswith(("*", "/")) else os.path.relpath(folder / pattern)


def _resolved(fleet: FleetSettings, folder: Path) -> FleetSettings:
    return fleet.model_copy(
        update={
            "adapters": {name: os.path.relpath(folder / path) for name, path in fleet.adapters.items()},
            "base": _relative(fleet.base, folder),
        }
    )


def parsed_sets(values: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """`--activate de,fr --activate de,it` as sets of names."""
    return tuple(tuple(name.strip() for name in value.split(",") if name.strip()) for value in values)
