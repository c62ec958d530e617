"""How good adapterlint is on adapters that were drawn at random: python score_random.py [FILE without .jsonl.gz] [-v].

Prints, against what real PEFT did: what `compat` says of each release, which adapters without fault are called faulty,
and how many damaged copies are told by one rule. `-v` lists every difference.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence

from recorded_methods import NEWEST, RELEASES, Saved, bases, drawn, findings, harm, transformers_of

from adapterlint.adapter import load_adapter
from adapterlint.lint.classes import tree_for
from adapterlint.lint.engine import Engine
from adapterlint.lint.loader import load_rules
from adapterlint.peft.footprint import footprint_of
from adapterlint.peft.partial import partial_base
from adapterlint.peft.verdicts import Verdict, verdict

Drawn = Sequence[tuple[Saved, Sequence[tuple[str, Saved]]]]


def judged(one: Saved, release: str, *, with_base: bool) -> Verdict:
    adapter = load_adapter(one.folder())
    assert adapter is not None
    touched, beside = footprint_of(adapter), transformers_of(release)
    if touched is None or adapter.config is None:
        return verdict(adapter, release, None, beside)
    if with_base:
        tree = tree_for(bases()[one.base], [(adapter.config, touched)], beside, by_task=False)
        return verdict(adapter, release, tree, beside)
    found = verdict(adapter, release, partial_base([touched]), beside)
    return found if found.outcome != "unknown" else verdict(adapter, release, None, beside)


def compared(one: Saved, release: str, *, with_base: bool) -> tuple[str, str]:
    """What is said of an adapter and what PEFT did."""
    truth, said = one.truth[release], judged(one, release, with_base=with_base)
    told = said.error.type if said.error is not None else said.outcome
    did = truth.error[0] if truth.error is not None else "loads"
    if told == did == "loads":
        told, did = (f"drops {sorted(keys)}" for keys in ({key.key for key in said.dropped}, truth.dropped))
    if told == did != "loads" and truth.loads and said.lost is not None:
        lost = {*said.lost, *said.redrawn}  # PEFT names both
        told, did = (f"loses {sorted(keys)}"[:300] for keys in (map(_loose, lost), truth.unexpected))
    return told, did


def _loose(key: str) -> str:
    return key.replace(".default.", ".")


def found(engine: Engine, one: Saved, *, with_base: bool) -> dict[str, str]:
    """Rule -> its gravest severity, of what `check` says."""
    told = findings(engine, one, with_base=with_base)
    severities = [(each.rule.name, str(each.finding.severity or each.rule.severity)) for each in told]
    return dict(sorted(severities, key=lambda one: ("info", "warning", "error").index(one[1])))


def alarms(drawn: Drawn, *, with_base: bool) -> Iterator[tuple[str, str, str]]:
    """Adapters that load whole, run and have an effect, and what they are accused of."""
    engine = Engine(load_rules())
    for one, _ in drawn:
        truth = one.truth[NEWEST]
        if truth.runs and truth.effective and not truth.missing and not truth.unexpected:
            for rule, severity in found(engine, one, with_base=with_base).items():
                if severity != "info":
                    yield one.name, rule, severity


def outcome(whole: Saved, copy: Saved) -> str:
    """What PEFT does with a damaged copy that it does not do with the adapter."""
    if what := harm(whole, copy):
        return what
    before, after = whole.truth[NEWEST], copy.truth[NEWEST]
    if after.runs and not after.effective and before.effective:
        return "no effect"
    return "harmless" if after.same or not after.runs else "other output"


def damages(drawn: Drawn, *, with_base: bool) -> Iterator[tuple[Saved, str, str, set[tuple[str, str]]]]:
    """Of every damaged copy of an adapter that loads: the adapter, the damage, the outcome, what is new."""
    engine = Engine(load_rules())
    for whole, copies in drawn:
        if whole.truth[NEWEST].loads:
            before = {rule for rule, grave in found(engine, whole, with_base=with_base).items() if grave != "info"}
            for label, copy in copies:
                told = found(engine, copy, with_base=with_base)
                new = {(rule, grave) for rule, grave in told.items() if grave != "info" and rule not in before}
                yield whole, label, outcome(whole, copy), new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default="random")
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    every = drawn(args.file)
    print(f"{len(every)} adapters, {sum(len(copies) for _, copies in every)} copies")
    listed = []
    for with_base in (True, False):
        where = "base" if with_base else "no base"
        for release in RELEASES:
            wrong = {one.name: compared(one, release, with_base=with_base) for one, _ in every}
            wrong = {name: pair for name, pair in wrong.items() if pair[0] != pair[1]}
            listed += [f"compat {release} {where} {name}: said {a} | did {b}" for name, (a, b) in wrong.items()]
            kinds = Counter("unknown" if a == "unknown" else "refused" if b.startswith(("loads", "drops")) else "let"
                            if a == "loads" else "other" for a, b in wrong.values())  # fmt: skip
            print(f"compat {release} {where}: {len(every) - len(wrong)} of {len(every)} right; {dict(kinds)}")
        false = list(alarms(every, with_base=with_base))
        listed += [f"alarm {where} {name}: {severity} {rule}" for name, rule, severity in false]
        print(f"check {where}: {len({name for name, _, _ in false})} sound adapters accused, "
              f"{len({name for name, _, s in false if s == 'error'})} of an error")  # fmt: skip
        told: dict[str, Counter[str]] = {}
        for whole, label, what, new in damages(every, with_base=with_base):
            says = "silent" if not new else "one" if len(new) == 1 else "several"
            if what in ("harmless", "other output", "no effect"):
                says = "error" if any(s == "error" for _, s in new) else "warning" if new else "silent"
            elif what == "raises" and new and not any(s == "error" for _, s in new):
                says = "no error"
            told.setdefault(what, Counter())[says] += 1
            listed.append(f"{what}/{says} {where} {whole.name} {label}: {sorted(new)}")
        for what, counts in sorted(told.items()):
            print(f"damages {where} {what}: {dict(counts.most_common())}")
    if args.v:
        print(*listed, sep="\n")


if __name__ == "__main__":
    main()
