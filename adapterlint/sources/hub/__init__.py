"""Repositories on the Hub: what an input means, the requests it takes, and what is kept of their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapterlint.sources.hub.names import is_hub

if TYPE_CHECKING:
    from adapterlint.sources.hub.fetch import Fetched
    from adapterlint.sources.hub.repository import Hub, HubFolder

__all__ = ["Network", "Progress", "is_hub"]

Progress = Callable[[int, int], None]
"""Is told how many repositories were fetched, and of how many."""


@dataclass(frozen=True, slots=True)
class Network:
    """What may be asked for. Inputs on the Hub always may; `huggingface_hub` is imported for them alone.

    Args:
        bases: Whether base models that adapters name may be asked for too.
        offline: Whether nothing may, so that what is kept from before has to do; `HF_HUB_OFFLINE` has the same effect.
        progress: Is told how far it is.
    """

    bases: bool = False
    offline: bool = False
    progress: Progress | None = None

    def fetch(self, inputs: Sequence[str]) -> Mapping[str, Fetched]:
        """What inputs on the Hub lead to, each of them once."""
        if not inputs:
            return {}
        from adapterlint.sources.hub.fetch import fetch

        once = list(dict.fromkeys(inputs))
        return dict(zip(once, fetch(once, self._hub(), self.progress), strict=True))

    def base(self, name: str) -> HubFolder:
        """The folder of a base model.

        Args:
            name: `hf://owner/name[@revision]`, or what adapters name: `owner/name`, or a name alone.

        Raises:
            SourceError: It is no repository, or could not be had.
        """
        from adapterlint.sources.hub.fetch import fetch_base
        from adapterlint.sources.hub.names import base_reference

        return fetch_base(base_reference(name), self._hub())

    def _hub(self) -> Hub:
        from adapterlint.sources.hub.repository import Hub

        return Hub.of_user(offline=self.offline)


NONE = Network()
