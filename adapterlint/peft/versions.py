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
        transformers: Major and minor number.
    """

    peft: tuple[int, int]
    transformers: tuple[int, int]

    @classmethod
    def of(cls, peft: str = NEWEST, transformers: str = TRANSFORMERS) -> Versions:
        """The releases `peft` (`"0.18"` or `"0.18.1"`) and `transformers` (`"4.56.2"`, `"5"`).

        Raises:
            ValueError: One of them is not made of numbers and dots.
        """
        return cls(_line(newest_patch(peft)), _line(transformers))


def _line(release: str) -> tuple[int, int]:
    major, minor, *_ = (*release.split("."), "0")
    return int(major), int(minor)


def usual_transformers(peft: str) -> str:
    """The release of transformers that people have beside a release of PEFT: the newest since 0.19, else 4.56."""
    return TRANSFORMERS if _line(newest_patch(peft)) >= (0, 19) else "4.56.2"
