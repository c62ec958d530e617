"""The releases of PEFT that adapterlint knows."""

from __future__ import annotations

from collections.abc import Mapping

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
NEWEST = "0.21.2"


def newest_patch(release: str) -> str:
    """The release itself, or the newest patch of a release line: `0.18` is `0.18.1`."""
    return PATCHES.get(release, release)
