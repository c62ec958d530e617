"""The report: what crosses the border. Its JSON form is versioned and only ever grows.

`schema.json` beside this file is generated from these classes; a test keeps the two equal.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from adapterlint.severity import Severity


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Location(_Model):
    """A place in a text. Lines and columns count from 1, columns in characters; the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class ReportedFinding(_Model):
    """One finding.

    Attributes:
        code: The rule's code.
        rule: The rule's name.
        severity: How bad it is.
        message: One sentence without a full stop.
        help: The remedy, if there is one.
        adapters: Folders of the adapters concerned.
        file: The file to look at, or a folder.
        pointer: JSON pointer into the file.
        tensor: Name of a tensor in the file.
        location: Line and column, or null where they are not known.
        frame: The source line at `location`, or of a long line what is around it.
        frame_column: The column at which `frame` begins; 1 except in long lines.
        peft: Releases of PEFT for which it holds, as a version specifier; null for all.
        fingerprint: The same for the same problem in the same adapter, whatever its line and the path to it.
        fix: Always null in this version.
    """

    code: str
    rule: str
    severity: Severity
    message: str
    help: str | None
    adapters: tuple[str, ...]
    file: str
    pointer: str | None
    tensor: str | None
    location: Location | None
    frame: str | None
    frame_column: int
    peft: str | None
    fingerprint: str
    fix: None = None


class ReportedFootprint(_Model):
    """What one adapter touches.

    Attributes:
        modules_to_save: Modules it brings whole.
        trainable_tokens: Module -> token indices; null where the config does not give them.
        tuned: Modules its method tunes.
        overwrites: Names of tensors that belong to the base itself.
        unexpected: Names of tensors that reach nothing.
    """

    modules_to_save: tuple[str, ...]
    trainable_tokens: dict[str, tuple[int, ...] | None]
    tuned: tuple[str, ...]
    overwrites: tuple[str, ...]
    unexpected: tuple[str, ...]


class ReportedAdapter(_Model):
    """One adapter, or a folder in somebody else's format.

    Attributes:
        name: The folder's name.
        path: The folder.
        format: Whose format it is in; only `PEFT` is judged.
        peft_type: As the config has it.
        base_model: As the config has it.
        fleet: The declared fleet it belongs to, or the base that it shares with others.
        footprint: What it touches; null if its config or weights could not be read.
        commit: The commit that was judged, of a repository on the Hub.
    """

    name: str
    path: str
    format: str
    peft_type: str | None
    base_model: str | None
    fleet: str | None
    footprint: ReportedFootprint | None
    commit: str | None = None


class Problem(_Model):
    """Something that could not be judged: an argument, a folder, a declared fleet, a base model.

    Attributes:
        place: What it is about.
        message: One sentence without a full stop.
        fatal: Whether it was asked for, so that the exit status is 2; what a run can do without is only told.
        unreachable: Whether it is on the Hub and could not be had.
    """

    place: str
    message: str
    fatal: bool = True
    unreachable: bool = False


class Summary(_Model):
    """Numbers of adapters and findings."""

    adapters: int
    errors: int
    warnings: int
    infos: int
    suppressed: int


class Report(_Model):
    """What a run found.

    Attributes:
        schema_: Version of this form.
        version: Version of adapterlint.
        adapters: In the order in which they were found.
        findings: By adapter, the worst first; those about several adapters last.
        problems: What could not be judged.
        summary: Numbers.
    """

    model_config = ConfigDict(frozen=True, serialize_by_alias=True, validate_by_name=True)

    schema_: Literal[1] = Field(default=1, alias="schema")
    version: str
    adapters: tuple[ReportedAdapter, ...]
    findings: tuple[ReportedFinding, ...]
    problems: tuple[Problem, ...] = ()
    summary: Summary

    def worst(self) -> Severity | None:
        """The severity of the worst finding."""
        return min((f.severity for f in self.findings), key=lambda s: s.rank, default=None)
