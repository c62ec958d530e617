"""The front matter of a model card: the YAML between two `---` lines at the top of a README.md.

Found as `huggingface_hub` finds it (`REGEX_YAML_BLOCK`, repocard.py), read with PyYAML's safe loader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapterlint.words import printable, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import yaml

MAX_FRONT_MATTER_BYTES = 256 * 1024
MAX_YAML_EVENTS = 50_000
MAX_YAML_DEPTH = 50

MAX_YAML_NUMBER_CHARS = 10_000  # `1:1:1...` is a number to base 60, and quadratic to compute
MAX_PROBLEM_CHARS = 200

_FRONT_MATTER = re.compile(r"\s*---(?:\r\n|\r|\n)(?P<yaml>[\s\S]*?)(?:\r\n|\r|\n)---[ \t]*(?:[\r\n]|\Z)")
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Card:
    """What the front matter of a model card says; empty if there is none.

    Attributes:
        data: The front matter by its top-level names.
        base_models: `base_model`, one name or several.
        base_model_line: Line of the file on which `base_model` stands, from 1.
        library_name: `library_name`, if it is a string.
        problem: Why the front matter cannot be read, in one sentence without a full stop.
        invalid: Whether YAML refuses it too, and not only a bound of this reader.
    """

    data: dict[str, Any] = field(default_factory=dict)
    base_models: tuple[str, ...] = ()
    base_model_line: int | None = None
    library_name: str | None = None
    problem: str | None = None
    invalid: bool = False


class _Unreadable(Exception):
    """The front matter is not YAML that is read here; the text is the problem."""

    def __init__(self, problem: str, *, invalid: bool = True) -> None:
        super().__init__(problem)
        self.invalid = invalid


def read_card(raw: bytes) -> Card:
    """Read a model card; never raises, whatever the bytes.

    Args:
        raw: The README.md; its first `MAX_FRONT_MATTER_BYTES` suffice.
    """
    head = raw[:MAX_FRONT_MATTER_BYTES].removeprefix(b"\xef\xbb\xbf")
    if not head.lstrip().startswith(b"---"):
        return Card()
    text = head.decode("utf-8", errors="replace")
    match = _FRONT_MATTER.match(text)
    if match is None:
        return Card()
    first_line = 1 + len(_LINE_END.findall(text, 0, match.start("yaml")))
    try:
        data, base_model_line = _load(match["yaml"], first_line)
    except _Unreadable as error:
        return Card(problem=str(error), invalid=error.invalid)
    return card_of(data, base_model_line)


def card_of(data: Mapping[str, Any], base_model_line: int | None = None) -> Card:
    """A card whose front matter is known.

    Args:
        data: The front matter by its top-level names.
        base_model_line: Line of the file on which `base_model` stands, if that is known.
    """
    library = data.get("library_name")
    return Card(
        data=dict(data),
        base_models=_names(data.get("base_model")),
        base_model_line=base_model_line,
        library_name=library if isinstance(library, str) else None,
    )


def _load(text: str, first_line: int) -> tuple[dict[str, Any], int | None]:
    """Return the front matter and the line of `base_model`; `first_line` is the line on which the text starts."""
    import yaml

    loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_events(yaml.parse(text, Loader=loader_class))
        loader = loader_class(text)
        node = loader.get_single_node()
        data = {} if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {first_line + mark.line}" if mark else "the front matter"
        reason = printable(shortened(error.problem or "", MAX_PROBLEM_CHARS))
        raise _Unreadable(f"{where} is not YAML: {reason}") from None
    except _Unreadable:
        raise
    except Exception:
        # Constructors of scalars raise whatever Python does: `2024-13-45` a ValueError, `!!bool x` a KeyError.
        raise _Unreadable("the front matter has a character or a value that YAML does not allow") from None
    if not isinstance(data, dict):
        raise _Unreadable("the front matter is not a mapping of names to values")
    return {key: value for key, value in data.items() if isinstance(key, str)}, _line_of_base_model(node, first_line)


def _check_events(events: Iterable[yaml.Event]) -> None:
    """Refuse what could grow beyond the text (aliases) or exhaust the stack, before anything is built."""
    import yaml

    depth = 0
    for count, event in enumerate(events):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise _Unreadable("the front matter has a YAML alias (`*name`), which is not followed", invalid=False)
        if depth > MAX_YAML_DEPTH or count > MAX_YAML_EVENTS:
            raise _Unreadable("the front matter is nested too deep or too long", invalid=False)
        if not isinstance(event, yaml.ScalarEvent) or len(event.value) <= MAX_YAML_NUMBER_CHARS:
            continue
        if event.tag or not event.style:
            problem = f"the front matter has an unquoted value of more than {MAX_YAML_NUMBER_CHARS} characters"
            raise _Unreadable(problem, invalid=False)


def _line_of_base_model(node: yaml.Node | None, first_line: int) -> int | None:
    pairs = node.value if node is not None else ()
    lines = [first_line + key.start_mark.line for key, _ in pairs if key.value == "base_model"]
    return lines[-1] if lines else None


def _names(value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    return tuple(name for name in names if isinstance(name, str))
