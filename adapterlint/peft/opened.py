"""An adapter's config as PEFT of a release has it in memory: without unknown keys, with defaults, changed on the way.

Follows `peft/config.py` and the `__post_init__` of the config classes, 0.15 to 0.21.2.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adapterlint.adapter import Adapter
from adapterlint.peft.constructors import refusals
from adapterlint.peft.fields import MISSING, fields_of, wrong_type
from adapterlint.peft.methods import METHODS
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.releases import in_range
from adapterlint.peft.tasks import TASK_TYPES


class OpenedConfig(dict[str, Any]):
    """The values of a config; what the release does not know is absent.

    Args:
        peft_type: The PEFT type.
        values: The file.
        release: The release of PEFT, as `"0.18"`.
    """

    def __init__(self, peft_type: str, values: dict[str, Any], release: str) -> None:
        self.peft_type = peft_type
        known, defaults = _known(peft_type, release)
        # `runtime_config` is taken out of the file first, with a warning of its own
        runtime = {"runtime_config"} if in_range(release, "0.12", None) else frozenset()
        self.ignored: list[str] = [key for key in values if key not in known and key not in runtime]
        super().__init__(defaults)
        self.update({key: value for key, value in values.items() if key in known})
        self.update(dict.fromkeys(METHODS[peft_type].config.cleared))
        for key in ("modules_to_save", "target_modules"):
            if isinstance(self.get(key), list):
                self[key] = list(self[key])

    if TYPE_CHECKING:  # values are of any type

        def get(self, key: str, default: Any = None) -> Any:
            """The value of a key."""

    @property
    def prompt_learning(self) -> bool:
        """Whether it is a config of prompt learning."""
        return METHODS[self.peft_type].prompt_learning

    @property
    def task_type(self) -> str | None:
        """The task type."""
        task: str | None = self.get("task_type")
        return task

    def signature(self) -> tuple[str, ...]:
        """The variants of the method that change what it computes."""
        return tuple(k for k in ("use_qalora", "use_bdlora", "kasa_config", "alora_invocation_tokens") if self.get(k))


@functools.cache
def _known(peft_type: str, release: str) -> tuple[frozenset[str], Mapping[str, Any]]:
    """The keys that a type has in a release, and the defaults of those that have one."""
    known = {name: f for name, f in fields_of(peft_type).items() if in_range(release, f.since, f.until)}
    defaults = {name: f.default for name, f in known.items() if f.default is not MISSING}
    former = METHODS[peft_type].config.former_defaults(release)
    return frozenset(known), defaults | {name: value for name, value in former.items() if name in known}


# What a file is -> what `PeftConfig.from_pretrained` raises. What is too deep or too large for adapterlint, and half a
# surrogate pair, it does read.
_UNREADABLE = {
    "syntax": "JSONDecodeError",
    "lfs-pointer": "JSONDecodeError",
    "byte-order-mark": "JSONDecodeError",
    "encoding": "UnicodeDecodeError",
    "not-object": "TypeError",
}


def open_config(adapter: Adapter, release: str) -> OpenedConfig:
    """`PeftConfig.from_pretrained`.

    Raises:
        Refused: PEFT of this release does not read the config.
    """
    config = adapter.config
    if config is None:
        broken = adapter.unreadable.get("config")
        if broken is None:
            raise Refused("ValueError", f"Can't find 'adapter_config.json' at '{adapter.path}'", cause="config")
        if broken.kind not in _UNREADABLE:
            raise Undecided
        raise Refused(_UNREADABLE[broken.kind], broken.message, cause="config")
    peft_type = config.get("peft_type")
    if "peft_type" not in config:
        raise Refused("KeyError", "'peft_type'", cause="config")
    if isinstance(peft_type, (list, dict)):
        raise Refused("TypeError", f"unhashable type: '{type(peft_type).__name__}'", cause="config")
    method = METHODS.get(peft_type) if isinstance(peft_type, str) else None
    if method is None or not method.known_in(release):
        raise Refused("KeyError", repr(peft_type), cause="config")
    opened = OpenedConfig(method.name, config.values, release)
    if opened.ignored and not in_range(release, "0.14", None):
        text = f"__init__() got an unexpected keyword argument '{opened.ignored[0]}'"
        raise Refused("TypeError", text, cause="config")
    if any(wrong_type(method.name, key, value) is not None for key, value in config.values.items()):
        raise Undecided
    task = opened.get("task_type")
    if task is not None and task not in TASK_TYPES and in_range(release, method.config.tasks_since, None):
        raise Refused(
            "ValueError", f"Invalid task type: '{task}'. Must be one of the following task types: ...", cause="config"
        )
    for refusal in refusals(method.name, config.values, release=release):
        if refusal.where == "config":
            raise Refused(refusal.error, refusal.text, cause="config")
    _check_layers(opened, release)
    return opened


def _check_layers(config: OpenedConfig, release: str) -> None:
    layers, pattern = config.get("layers_to_transform"), config.get("layers_pattern")
    absent = layers is None if in_range(release, "0.21", None) else not layers
    said = METHODS[config.peft_type].config
    if pattern and absent and said.needs_layers and in_range(release, "0.14", None):
        text = "When `layers_pattern` is specified, `layers_to_transform` must also be specified. "
        raise Refused("ValueError", text, cause="config")
    if isinstance(config.get("target_modules"), str):
        for key in said.beside_pattern:
            if config.get(key) is not None:
                text = f"`{key}` cannot be used when `target_modules` is a str."
                raise Refused("ValueError", text, cause="config")
