"""How bad a finding is."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is.

    `error`: PEFT raises, refuses an operation the user declared, or applies nothing of the adapter.
    `warning`: accepted but silently wrong, or refused in an operation the user may well want. `info`: advice.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)
