"""Settings: `pyproject.toml` or `adapterlint.toml` of the invoking project, and the command line over them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from adapterlint.errors import AdapterlintError
from adapterlint.severity import Severity
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


class Ignore(_Model):
    """What is not reported in some files or folders.

    Attributes:
        rules: Codes, names, families (`CFG`) or `ALL`.
        reason: Why, for those who read the settings.
    """

    rules: tuple[str, ...] = Field(min_length=1)
    reason: str | None = None

    @field_validator("rules", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


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
        per_file_ignores: Rules that are not reported for files or folders that match a glob pattern; a list of them,
            or a table of `rules` and the `reason`.
        baseline: File with findings that are set aside.
        rule_dirs: Folders with rules of one's own.
        exclude: Glob patterns of folders that are not looked at.
        fail_on: The severity from which on the exit status is 1.
        fleet: Declared fleets.
        required_version: Releases of adapterlint that may read the settings, as a version or a specifier.
    """

    base: str | None = None
    peft: tuple[str, ...] = ()
    select: tuple[str, ...] = ("ALL",)
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_ignore: tuple[str, ...] = ()
    severity: dict[str, Severity] = Field(default_factory=dict)
    per_file_ignores: dict[str, Ignore] = Field(default_factory=dict)
    baseline: str | None = None
    rule_dirs: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    fail_on: Severity = Severity.ERROR
    fleet: tuple[FleetSettings, ...] = ()
    required_version: str | None = None
    _file: str | None = PrivateAttr(default=None)

    @property
    def file(self) -> str | None:
        """The file they were read from, if they were."""
        return self._file

    @field_validator("per_file_ignores", mode="before")
    @classmethod
    def _with_reasons(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        for pattern, ignore in value.items():
            if not isinstance(ignore, str | list | tuple | Mapping | Ignore):
                raise ValueError(f"{shown(pattern)} has neither a list of rules nor a table of `rules` and a `reason`")
        return {p: {"rules": v} if isinstance(v, str | list | tuple) else v for p, v in value.items()}

    @field_validator("peft")
    @classmethod
    def _releases(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from adapterlint.peft.releases import RELEASES, is_known, is_release

        for text in value:
            if not is_release(text):
                raise ValueError(f"{shown(text)} is no release of PEFT; write it like `0.18` or `0.21.2`")
            if not is_known(text):
                known = f"which are {RELEASES[0]} to {RELEASES[-1]}"
                raise ValueError(f"{shown(text)} is none of the releases of PEFT that are known, {known}")
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
    if found and "required-version" in table:
        _require(table["required-version"], found)
    given = {k: v for k, v in (overrides or {}).items() if v is not None and v != ()}
    from_file = _validated(table, str(found) if found else "")
    from_line = _validated(given, "command line")
    merged = {name: getattr(from_line if name in from_line.model_fields_set else from_file, name) for name in _NAMES}
    if found:
        if from_file.rule_dirs and not file and any((found.parent / name).exists() for name in _ADAPTER):
            reason = "rules are code, and this file lies beside an adapter; name it with --config if you trust it"
            raise SettingsError(f"`rule-dirs`: {reason}", place=str(found))
        from_file = _resolved(from_file, found.parent)
        merged |= {n: getattr(from_file, n) for n in _PATHS if n not in from_line.model_fields_set}
    origins = {
        _kebab(name): "command line"
        if name in from_line.model_fields_set
        else str(found)
        if name in from_file.model_fields_set
        else "default"
        for name in _NAMES
    }
    effective = Settings.model_construct(**merged)
    effective._file = os.path.relpath(found) if found else None
    return Effective(effective, origins, str(found) if found else None)


_NAMES = tuple(Settings.model_fields)
_PATHS = ("base", "rule_dirs", "exclude", "per_file_ignores", "baseline", "fleet")  # relative to the file they stand in
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")


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
    if table is not None and not isinstance(table, dict):
        raise SettingsError("`tool.adapterlint` is not a table", place=str(path))
    return table


def _require(wanted: Any, path: Path) -> None:
    """See that this is a release that may read a file, before anything else in the file can be wrong for it."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    from adapterlint import __version__

    try:
        wanted = wanted.strip()
        accepted = SpecifierSet(f"=={wanted}" if wanted[:1].isdigit() else wanted or "?").contains(
            __version__, prereleases=True
        )
    except (InvalidSpecifier, TypeError, AttributeError):
        reason = "is neither a version nor a specifier such as `>=0.1`"
        raise SettingsError(f"`required-version`: {shown(wanted)} {reason}", place=str(path)) from None
    if not accepted:
        raise SettingsError(
            f"This is adapterlint {__version__}, and the project requires {shown(wanted)}", place=str(path)
        )


def _validated(values: Mapping[str, Any], place: str) -> Settings:
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as error:
        raise SettingsError(_sentence(error), place=place) from None


_TABLES: Mapping[str, type[_Model]] = {"fleet": FleetSettings, "per-file-ignores": Ignore}


def _sentence(error: ValidationError) -> str:
    """The first error of pydantic, in the words of somebody who writes settings."""
    first = error.errors(include_url=False)[0]
    where = ".".join(_kebab(str(part)) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        fields = _TABLES.get(where.partition(".")[0], Settings).model_fields if "." in where else Settings.model_fields
        name = str(first["loc"][-1])
        near = suggestion(_kebab(name), map(_kebab, fields))
        return f"There is no setting {shown(where)}" + (f"; did you mean `{near}`" if near else "")
    text = str(first["msg"]).removeprefix("Value error, ")
    return f"{shown(where)}: {text[:1].lower()}{text[1:]}"


def overridden(settings: Settings, **given: Any) -> Settings:
    """Settings with other values for some of them; `None` leaves one as it is.

    Raises:
        SettingsError: A value is of the wrong form.
    """
    values = {name: value for name, value in given.items() if value is not None}
    return settings.model_copy(update={name: getattr(_validated(values, ""), name) for name in values})


def _resolved(settings: Settings, folder: Path) -> Settings:
    """Settings whose paths are relative to the working folder instead of their file's."""
    return settings.model_copy(
        update={
            "base": _base(settings.base, folder),
            "rule_dirs": tuple(os.path.relpath(folder / path) for path in settings.rule_dirs),
            "exclude": tuple(_pattern(p, folder) for p in settings.exclude),
            "per_file_ignores": {_pattern(p, folder): v for p, v in settings.per_file_ignores.items()},
            "baseline": None if settings.baseline is None else os.path.relpath(folder / settings.baseline),
            "fleet": tuple(
                fleet.model_copy(
                    update={
                        "adapters": {name: os.path.relpath(folder / path) for name, path in fleet.adapters.items()},
                        "base": _base(fleet.base, folder),
                    }
                )
                for fleet in settings.fleet
            ),
        }
    )


def _base(value: str | None, folder: Path) -> str | None:
    """A base is a folder where there is one, else a name."""
    if value is None or value.startswith("hf://") or not (folder / value).exists():
        return value
    return os.path.relpath(folder / value)


def _pattern(pattern: str, folder: Path) -> str:
    """A pattern without a slash may match anywhere, one that begins with a wildcard does."""
    return pattern if pattern.startswith(("*", "/")) or "/" not in pattern else os.path.relpath(folder / pattern)


def parsed_sets(values: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """`--activate de,fr --activate de,it` as sets of names."""
    return tuple(tuple(name.strip() for name in value.split(",") if name.strip()) for value in values)
