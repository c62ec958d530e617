"""What a release of PEFT makes of one adapter: whether it loads, and what is lost of it on the way.

Where the modules are known the simulation decides; where it does not, the modules that the tensors name; of a method
that is not simulated, and of an adapter without weights that can be read, the config alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft.constructors import refusals
from adapterlint.peft.dropped import DROPS_SINCE, Dropped, dropped
from adapterlint.peft.footprint import footprint_of
from adapterlint.peft.keys import TOKENS
from adapterlint.peft.methods import METHODS
from adapterlint.peft.needs import needs_of
from adapterlint.peft.opened import OpenedConfig, open_config
from adapterlint.peft.partial import partial_base
from adapterlint.peft.quick import alone
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.releases import in_range, numbers
from adapterlint.peft.simulate import Alone
from adapterlint.peft.versions import Versions, usual_transformers

_TIED = ".token_adapter.base_layer."  # token rows in a module that is saved whole: it follows one that it is tied to

Outcome = Literal["loads", "raises", "unknown"]
Evidence = Literal["base", "tensors", "config"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one release makes of an adapter.

    Args:
        outcome: Whether it loads.
        error: What is raised.
        dropped: Keys that are taken out of its config; where the config is refused for them, those that are not known.
        lost: Names of tensors that reach nothing; `None` if that is not known.
        redrawn: Names of those that reach nothing and are not lost: PEFT draws the same numbers from the config.
        forward: The class of the error that a forward pass raises.
        effective: Whether a forward pass gives something else than the base's; `None` if that is not known.
        evidence: What decided.
    """

    outcome: Outcome
    error: Refused | None = None
    dropped: tuple[Dropped, ...] = ()
    lost: tuple[str, ...] | None = None
    redrawn: frozenset[str] = frozenset()
    forward: str | None = None
    effective: bool | None = None
    evidence: Evidence = "config"


def verdict(adapter: Adapter, release: str, tree: ModuleTree | None, transformers: str | None = None) -> Verdict:
    """What a release makes of an adapter.

    Args:
        adapter: The adapter.
        release: `0.14` or `0.14.0`.
        tree: Its base, or what its tensors tell of it; `None` to go by the config alone.
        transformers: The release of transformers; by default one of PEFT's time.
    """
    try:
        config = open_config(adapter, release)
    except Refused as error:
        return Verdict("raises", error.kept(), _unknown_keys(adapter, release))
    except Undecided:
        return Verdict("unknown", dropped=_unknown_keys(adapter, release))
    keys = _unknown_keys(adapter, release)
    touched = footprint_of(adapter)
    needs = needs_of(adapter.config, touched) if adapter.config is not None and touched is not None else ()
    lacking = (need for need in needs if not in_range(release, need.since, None))
    if early := next((need for need in lacking if need.error is not None), None):
        return Verdict("raises", Refused(str(early.error), early.text, cause="target-unsupported"), keys)
    if tree is None or adapter.header is None:
        return _of_config(config, release, keys)
    # Before 0.15 the simulation knows an adapter in a fresh base, and no more (`early`).
    versions = Versions(numbers(release), numbers(transformers or usual_transformers(release)))
    found = alone(adapter, "default", tree, versions)
    if not found.known and not tree.partial and touched is not None:  # then as if there were no base
        tree = partial_base([touched])
        found = alone(adapter, "default", tree, versions)
    if found.error is not None and tree.partial and any(_TIED in name for name in adapter.header.tensors):
        return Verdict("unknown", dropped=keys)  # only a base tells what is tied
    if not found.known and not METHODS[config.peft_type].layers_only:
        return _of_config(config, release, keys)
    return _simulated(found, keys, "tensors" if tree.partial else "base")


def _of_config(config: OpenedConfig, release: str, keys: tuple[Dropped, ...]) -> Verdict:
    """What the config tells alone."""
    refused = next(refusals(config.peft_type, config, release=release), None)
    if refused is not None and refused.pointer != "/init_lora_weights":
        return Verdict("raises", Refused(refused.error, refused.text, cause="config"), keys)
    return Verdict("loads", dropped=keys)


def _simulated(found: Alone, keys: tuple[Dropped, ...], evidence: Evidence) -> Verdict:
    if not found.known:
        return Verdict("unknown", dropped=keys, evidence=evidence)
    if found.error is not None:
        return Verdict("raises", found.error, keys, evidence=evidence)
    loaded = found.loaded
    redrawn = loaded.redrawn if loaded is not None else frozenset()
    lost = tuple(name for name in loaded.unexpected if name not in redrawn) if loaded is not None else None
    if lost is not None and evidence != "base":
        lost = tuple(name for name in lost if not name.endswith(TOKENS))  # only a base tells what is tied
    effective = found.effective if found.forward is None and evidence == "base" else None
    return Verdict("loads", None, keys, lost, redrawn, found.forward, effective, evidence)


def _unknown_keys(adapter: Adapter, release: str) -> tuple[Dropped, ...]:
    config = adapter.config
    return dropped(config.peft_type, config.values, release) if config is not None else ()


def drops(release: str) -> bool:
    """Whether a release drops keys that it does not know, and does not refuse them."""
    return in_range(release, DROPS_SINCE, None)
