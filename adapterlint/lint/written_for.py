"""Which releases of PEFT have the tensors of an adapter, where those that are asked for do not."""

from __future__ import annotations

from collections.abc import Iterable

from adapterlint.adapter import Config
from adapterlint.base.tree import ModuleTree
from adapterlint.lint.simulated import AdapterSimulation
from adapterlint.peft.fields import reads
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.compared import compared
from adapterlint.peft.methods.expected import releases_with
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.releases import NEWEST, RELEASES, in_range, line_of, spanned
from adapterlint.words import listed


def written_for(config: Config, touched: Footprint, base: ModuleTree | None = None) -> tuple[str, ...]:
    """The releases that have all of an adapter's tensors, no others beside them, and all in these sizes."""
    known = [line for line in RELEASES if METHODS[config.peft_type].known_in(line)]
    if not touched.tuned:
        return ()
    found = [(line, compared(config, touched, base, line)) for line in known]
    return tuple(line for line, one in found if not (one.missing or one.unexpected or one.misshapen))


def elsewhere(
    names: Iterable[str], config: Config, simulation: AdapterSimulation | None, peft: str | None
) -> tuple[str, ...]:
    """The releases in which names are those of parameters; empty where one of those that are asked for is among them.

    Args:
        peft: Those of which it is said that they have no such parameters, as a specifier; `None` for all of them.
    """
    from packaging.specifiers import SpecifierSet

    asked = [line_of(release) for release in simulation.alone] if simulation is not None else [line_of(NEWEST)]
    having = [releases_with(METHODS[config.peft_type], name) for name in dict.fromkeys(names)]
    common = tuple(line for line in RELEASES if all(line in lines for lines in having))
    told = SpecifierSet(peft or "")
    return () if any(line in asked and told.contains(line) for lines in having for line in lines) else common


def remedy(config: Config, releases: tuple[str, ...]) -> str:
    """How an adapter of these releases is loaded, and what others need."""
    ignored = ignored_in(config, releases[-1])
    refused = ignored and not in_range(releases[-1], "0.14", None)
    without = f", with {listed(ignored)} taken out of the config" if refused else ""
    other = "Newer" if releases[-1] != RELEASES[-1] else "Older"
    return (
        f"Load it with PEFT {spanned(releases)}{without}. {other} releases have other tensors: "
        "for them it has to be trained anew."
    )


def ignored_in(config: Config, release: str) -> list[str]:
    """The keys of a config that a release does not know, and others do."""
    ignored = OpenedConfig(config.peft_type, dict(config.values), release).ignored
    return [key for key in ignored if reads(config.peft_type, key)]
