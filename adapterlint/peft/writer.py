"""Which release of PEFT wrote a config."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from adapterlint.adapter import Config
from adapterlint.peft.releases import NEWEST

MAX_VERSION = 100  # characters; `0.18.2.dev0@` and a commit hash are 52


def written_by(config: Config) -> Version | None:
    """The release that `peft_version` names (PEFT writes it since 0.18), without the commit of a development one."""
    value = config.get("peft_version")
    if not isinstance(value, str) or len(value) > MAX_VERSION:
        return None
    try:
        return Version(value.partition("@")[0])
    except InvalidVersion:
        return None


def is_newer(config: Config) -> bool:
    """Whether a release wrote the config that is newer than all that adapterlint knows."""
    version = written_by(config)
    return version is not None and version > Version(NEWEST)
