"""What the config class of a PEFT type refuses, and which of its keys are passed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapterlint.peft.releases import in_range

LAYERS = ("layers_to_transform", "layers_pattern")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfigClass:
    """The config class of a PEFT type (`peft/tuners/*/config.py`).

    Args:
        needs_layers: Whether `__post_init__` refuses `layers_pattern` without `layers_to_transform`; else it is passed
            over.
        beside_pattern: Keys that `__post_init__` refuses beside a `target_modules` that is a pattern.
        tasks_since: First release that refuses a `task_type` which PEFT does not have: up to then the class has a
            `__post_init__` of its own that does not call that of `PeftConfigMixin`.
        defaults_before: A release -> the defaults of earlier ones that are others than those of the newest.
        null_patterns: Whether a mapping of patterns may be `null`, as its annotation says.
        unread: Keys that are not looked at when an adapter is loaded and run, whatever stands there.
        cleared: Keys that `__post_init__` takes out, whatever stands there: PEFT finds the values out by itself.
        reads_init: Whether what `init_weights` is makes a difference to an adapter that is loaded.
    """

    needs_layers: bool = True
    beside_pattern: tuple[str, ...] = ()
    tasks_since: str = "0.14"
    defaults_before: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    null_patterns: bool = False
    unread: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()
    reads_init: bool = False

    def passes_over(self, key: str) -> bool:
        """Whether PEFT never looks at a key of a loaded adapter's config."""
        if key == "init_weights":
            return not self.reads_init
        return key in (*self.unread, *self.cleared) or (key == "layers_pattern" and not self.needs_layers)

    def former_defaults(self, release: str) -> Mapping[str, Any]:
        """What a release takes for absent keys where the newest takes something else."""
        return next((of for until, of in self.defaults_before.items() if not in_range(release, until, None)), {})
