"""The releases that a simulation runs on."""

from __future__ import annotations

from dataclasses import dataclass

from adapterlint.peft.releases import NEWEST, newest_patch

TRANSFORMERS = "5.23.0"


@dataclass(frozen=True, slots=True)
class Versions:
    """PEFT and transformers.

    Args:
        peft: Major and minor number.
        transformers: Major number.
    """

    peft: tuple[int, int]
    transformers: int

    @classmethod
    def of(cls, peft: str = NEWEST, transformers: str = TRANSFORMERS) -> Versions:
        """The releases `peft` (`"0.18"` or `"0.18.1"`) and `transformers` (`"4.56.2"`, `"5"`).

        Raises:
            ValueError: One of them is not made of numbers and dots.
        """
        major, minor, *_ = (*newest_patch(peft).split("."), "0")
        return cls((int(major), int(minor)), int(transformers.partition(".")[0]))
