"""The releases of PEFT that adapterlint knows, and ranges of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise

# Release line -> its newest patch on PyPI.
PATCHES: Mapping[str, str] = {
    "0.10": "0.10.0",
    "0.11": "0.11.1",
    "0.12": "0.12.0",
    "0.13": "0.13.2",
    "0.14": "0.14.0",
    "0.15": "0.15.2",
    "0.16": "0.16.0",
    "0.17": "0.17.1",
    "0.18": "0.18.1",
    "0.19": "0.19.1",
    "0.20": "0.20.0",
    "0.21": "0.21.2",
}
RELEASES = tuple(PATCHES)  # release lines, oldest first
NEWEST = PATCHES[RELEASES[-1]]


@cache
def newest_patch(release: str) -> str:
    """The release itself, or the newest patch of a release line: `0.18` is `0.18.1`, and so is what came after it."""
    newest = PATCHES.get(line_of(release))
    return newest if newest is not None and (release in PATCHES or is_later(release)) else release


def is_release(text: str) -> bool:
    """Whether a text is a release in the form that options and settings take: `0.18` or `0.18.1`."""
    return re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){1,2}", text) is not None


def is_known(release: str) -> bool:
    """Whether a release is of a line that adapterlint knows."""
    return line_of(release) in PATCHES


def is_later(release: str) -> bool:
    """Whether a release is a later patch than the newest known of its line."""
    from packaging.version import InvalidVersion, Version

    try:
        return is_known(release) and Version(release) > Version(PATCHES[line_of(release)])
    except InvalidVersion:
        return False


def in_range(release: str, since: str, until: str | None) -> bool:
    """Whether `release` (`"0.18"` or `"0.18.1"`) is in the lines `since` to `until`, both included.

    Raises:
        ValueError: One of them is not made of numbers and dots.
    """
    return numbers(since) <= numbers(release) and (until is None or numbers(release) <= numbers(until))


def between(since: str, until: str | None) -> str | None:
    """The releases from line `since` to line `until`, both included, as a specifier: `">=0.14,<0.19"`.

    Returns:
        `None` where that is every release that adapterlint knows; `until=None` stands for the newest.
    """
    parts = [f">={since}"] if since != RELEASES[0] else []
    if until is not None and until != RELEASES[-1]:
        parts.append(f"<{RELEASES[RELEASES.index(until) + 1]}")
    return ",".join(parts) or None


def line_of(release: str) -> str:
    """The line of a release: `0.18.1` is of `0.18`."""
    return ".".join(release.split(".")[:2])


def spanned(releases: Sequence[str]) -> str | None:
    """Releases as a specifier: `">=0.15,<0.18"` if their lines follow each other, else the last line alone."""
    lines = [line_of(release) for release in releases]
    places = sorted(RELEASES.index(line) for line in lines if line in RELEASES)
    if places and all(b - a == 1 for a, b in pairwise(places)):
        return between(RELEASES[places[0]], RELEASES[places[-1]])
    return f"=={lines[-1]}.*"


def before(since: str) -> str | None:
    """The releases before line `since`, as a specifier; `None` if there are none that adapterlint knows."""
    return f"<{since}" if since != RELEASES[0] else None


@cache
def numbers(release: str) -> tuple[int, int]:
    """Major and minor number of a release.

    Raises:
        ValueError: It is not made of numbers and dots.
    """
    major, minor, *_ = (*release.split("."), "0")
    return int(major), int(minor)
