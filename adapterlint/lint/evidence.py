"""What a run had to go by, and which rules did not run and why: for those who wonder at its silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from adapterlint.lint.rule import Rule
from adapterlint.words import counted, listed

# What is read, in the words of people; the other inputs are made of these.
_READ = {"config": "config", "header": "header of the weights", "card": "model card", "base": "base model"}
_LACKS = {
    **{name: f"no {words}" for name, words in _READ.items()},
    "adapter": "not an adapter of PEFT",
    "footprint": "config or weights could not be read",
    "simulation": "no release of PEFT that is simulated",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run had to go by.

    Args:
        known: All rules.
        chosen: Those that the settings choose.
        ran: Those of them that hold for a release that is asked for.
        releases: Releases of PEFT that were asked for.
        simulated: Those of them that are simulated.
        adapters: Folder of an adapter -> the inputs that there were for rules about it.
        fleets: For each fleet the folders of its members, and whether there was a base.
    """

    known: Sequence[Rule]
    chosen: Sequence[Rule]
    ran: Sequence[Rule]
    releases: Sequence[str]
    simulated: Sequence[str]
    adapters: Mapping[str, frozenset[str]]
    fleets: Sequence[tuple[frozenset[str], bool]]

    def told(self) -> Iterator[str]:
        """A line for each thing that there was to go by, with the rules that could not run."""
        yield f"PEFT {', '.join(self.releases)}"
        chosen, ran = {r.code for r in self.chosen}, {r.code for r in self.ran}
        yield f"{len(self.ran)} of {counted(len(self.known), 'rule')} in force"
        yield from _left_out("not selected", [r for r in self.known if r.code not in chosen])
        yield from _left_out("about other releases of PEFT", [r for r in self.chosen if r.code not in ran])
        groups: dict[frozenset[str], list[str]] = {}
        for path, inputs in self.adapters.items():
            groups.setdefault(inputs, []).append(path)
        for inputs, paths in groups.items():
            yield from self._group(inputs, paths)
        for members, base in self.fleets:
            had = "with their base model" if base else "by what they themselves say, as the base model is not at hand"
            yield f"fleet of {listed(sorted(members), word='adapters')}: {had}"
            lacks = {"base": not base, "simulation": not self.simulated}
            of_fleets = [r for r in self.ran if "fleet" in r.needs]
            for name in (name for name, lacking in lacks.items() if lacking):
                yield from _left_out(_LACKS[name], [r for r in of_fleets if name in r.needs])

    def _group(self, inputs: frozenset[str], paths: Sequence[str]) -> Iterator[str]:
        """Adapters of which the same was at hand."""
        read = [words for name, words in _READ.items() if name in inputs]
        yield f"{listed(paths, word='adapters')}: {', '.join(read) or 'names of files'}"
        lacking: dict[str, list[Rule]] = {}
        for rule in self.ran:
            missing = rule.needs - inputs
            if missing and not rule.needs & _OTHERS:
                lacking.setdefault(next(why for name, why in _LACKS.items() if name in missing), []).append(rule)
        for why, rules in lacking.items():
            yield from _left_out(why, rules)


_OTHERS = {"fleet", "run"}  # inputs of rules that are not about single adapters


def _left_out(why: str, rules: Sequence[Rule]) -> Iterator[str]:
    if rules:
        yield f"  did not run, {why}: {', '.join(rule.code for rule in rules)}"
