"""The releases that a simulation runs on."""

from __future__ import annotations

from dataclasses import dataclass

from adapterlint.peft.releases import NEWEST, RELEASES, line_of, newest_patch, numbers

TRANSFORMERS = "5.23.0"
FIRST_SIMULATED = "0.15"
SIMULATED = RELEASES[RELEASES.index(FIRST_SIMULATED) :]  # release lines, oldest first


KNOWN = ("4", "5")  # majors of transformers that PEFT runs beside


def is_known_beside(transformers: str) -> bool:
    """Whether a release of transformers is of a major that is known; of one, later releases count as its newest."""
    return transformers.partition(".")[0] in KNOWN


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
            ValueError: One of them is not made of numbers and dots, or is not known.
        """
        if line_of(peft) not in SIMULATED:
            raise ValueError(f"PEFT is simulated from {SIMULATED[0]} to {SIMULATED[-1]}, not {peft}")
        if not is_known_beside(transformers):
            raise ValueError(f"transformers is known from {KNOWN[0]} to {KNOWN[-1]}, not {transformers}")
        return cls(numbers(newest_patch(peft)), numbers(transformers))

    @classmethod
    def usual(cls, peft: str) -> Versions:
        """A release of PEFT with the release of transformers that people have beside it."""
        return cls.of(peft, usual_transformers(peft))


def usual_transformers(peft: str) -> str:
    """The release of transformers that people have beside a release of PEFT: the newest since 0.19, else 4.56."""
    return TRANSFORMERS if numbers(newest_patch(peft)) >= (0, 19) else "4.56.2"
