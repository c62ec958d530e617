"""Release lines of PEFT as version specifiers."""

from __future__ import annotations

from adapterlint.peft.methods import RELEASES


def between(since: str, until: str | None) -> str | None:
    """The releases from line `since` to line `until`, both included, as a specifier: `">=0.14,<0.19"`.

    Returns:
        `None` where that is every release that adapterlint knows; `until=None` stands for the newest.
    """
    parts = [f">={since}"] if since != RELEASES[0] else []
    if until is not None and until != RELEASES[-1]:
        parts.append(f"<{RELEASES[RELEASES.index(until) + 1]}")
    return ",".join(parts) or None


def before(since: str) -> str | None:
    """The releases before line `since`; `None` if there are none that adapterlint knows."""
    return f"<{since}" if since != RELEASES[0] else None
