"""The adapters that `simulate` and `plan` are about, with the names that they get in the model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from adapterlint.cli.common import FAILURE, NOTHING, fail, say, say_of_later

if TYPE_CHECKING:
    from adapterlint.adapter import Adapter
    from adapterlint.base.tree import ModuleTree
    from adapterlint.errors import AdapterlintError
    from adapterlint.peft.versions import Versions


def members(paths: Sequence[str]) -> tuple[dict[str, Adapter], list[str]]:
    """The adapters under the paths by name, as found, and the names of older versions of one that is there too.

    A name is as much of the end of the path as tells an adapter from the others; torch takes no dots in it.
    """
    from adapterlint.adapter import load_adapter
    from adapterlint.formats import Format
    from adapterlint.lint.grouping import latest_of, short_names
    from adapterlint.sources.discovery import discover

    found = discover(list(paths))
    for problem in found.problems:
        say(str(problem))
    if found.problems:
        fail("not everything could be looked at", FAILURE)
    read = (load_adapter(c.source, weights=c.weights) for c in found.candidates)
    adapters = {os.path.realpath(a.path): a for a in read if a is not None and a.files.format is Format.PEFT}
    if not adapters:
        fail("no PEFT adapter found", NOTHING)
    latest = set(latest_of(list(adapters)))
    named: dict[str, Adapter] = {}
    old = []
    names = short_names(adapters)
    for folder, adapter in adapters.items():
        chosen = names[folder].replace(".", "_") or "adapter"
        while chosen in named:
            chosen += "_"
        named[chosen] = adapter
        old += [] if folder in latest else [chosen]
    return named, old


def chosen(named: Mapping[str, Adapter], old: Sequence[str], order: Sequence[str]) -> dict[str, Adapter]:
    """The adapters of an order; without one, all but older versions."""
    checked(named, order, "--order")
    return {name: named[name] for name in order or [n for n in named if n not in old]}


def checked(known: Mapping[str, Adapter], names: Sequence[str], option: str) -> None:
    """End with one sentence if a name is not known, or stands there twice."""
    from adapterlint.words import listed, shown, suggestion

    for i, name in enumerate(names):
        if name not in known:
            near = suggestion(name, known)
            meant = f"did you mean {shown(near)}?" if near else f"there are {listed(known)}"
            fail(f"{option}: no adapter is called {shown(name)}; {meant}")
        if name in names[:i]:
            fail(f"{option}: {shown(name)} stands there twice")


def releases(peft: str | None, transformers: str | None) -> tuple[str, str, Versions]:
    """The releases to simulate, and the same as numbers."""
    from adapterlint.peft.releases import NEWEST, is_release, line_of, newest_patch
    from adapterlint.peft.versions import KNOWN, SIMULATED, TRANSFORMERS, Versions, is_known_beside, usual_transformers
    from adapterlint.words import shown

    chosen = peft or NEWEST
    if not is_release(chosen):
        fail(f"--peft: {shown(chosen)} is no release; write it like 0.18 or {NEWEST}")
    if transformers:
        formed = is_release(transformers) or is_release(f"{transformers}.0")  # a major number may stand alone
        if not formed:
            fail(f"--transformers: {shown(transformers)} is no release; write it like 4.56 or {TRANSFORMERS}")
        if not is_known_beside(transformers):
            fail(f"--transformers: {shown(transformers)} is not known, only releases {KNOWN[0]} to {KNOWN[-1]} are")
    if line_of(chosen) not in SIMULATED:
        fail(f"--peft: {shown(chosen)} is not simulated, only releases {SIMULATED[0]} to {SIMULATED[-1]} are")
    say_of_later([chosen])
    beside = transformers or usual_transformers(chosen)
    return newest_patch(chosen), beside, Versions.of(chosen, beside)


def tree(
    base: str | None, adapters: Mapping[str, Adapter], transformers: str
) -> tuple[ModuleTree, Sequence[AdapterlintError]]:
    """The base: the given one, what the adapters name, or what their tensors tell of it; says so if it has to guess.

    Returns:
        It, and what could not be read of it, which is said too.
    """
    from adapterlint.base_names import base_key
    from adapterlint.simulation import tree_of
    from adapterlint.words import listed

    read = list(adapters.values())
    bases = {base_key(b): b for a in read if a.config is not None and (b := a.config.base_model)}
    if base is None and len(bases) > 1:
        say(f"the adapters name different base models, {listed(bases.values())}; all are taken for one base")
    found, problems = tree_of(base, read, transformers)
    for problem in problems:
        say(str(problem))
    if found.partial:
        say("the base model is not at hand, so much stays unknown; name its folder with --base (config.json is enough)")
    return found, problems
