"""What holds of every fleet, however odd: nothing is raised, one layer for many tells the same, so does a second run.

`ADAPTERLINT_FLEETS=5000 pytest tests/peft/test_nasty_fleets.py` looks at more of them.
"""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nasty import Draw, Fleet

from adapterlint.peft import quick, simulate
from adapterlint.peft.simulate import Alone, Simulated
from adapterlint.planning.pairs import Pair, Reason
from adapterlint.planning.plan import Plan, _plan, plan
from adapterlint.simulation import Simulation, drawn

FLEETS = int(os.environ.get("ADAPTERLINT_FLEETS", "60"))
SAME = "ADAPTERLINT_FLEETS" not in os.environ  # the same fleets in every run, unless more are asked for


def shown(found: Simulated) -> Simulation:
    """A simulation as people get it."""
    return drawn(found, peft="", transformers="", base=None)


def told(lone: Alone) -> Any:
    """All that is said of an adapter alone, but for the layers of the expression that were looked at."""
    error = lone.error
    said = (error.type, error.text, error.module, error.cause) if error is not None else None
    return replace(lone, error=None, expression=()), said, bool(lone.expression)


def check(fleet: Fleet) -> None:
    """Raises an `AssertionError` that shows the fleet."""
    given = fleet.adapters, fleet.tree, fleet.versions
    short = quick.simulate_fleet(*given, activate=fleet.sets)
    whole = simulate.simulate_fleet(*given, activate=fleet.sets)
    assert shown(short) == shown(whole), fleet.told
    assert shown(quick.simulate_fleet(*given, activate=fleet.sets)) == shown(short), fleet.told
    for name, lone in whole.alone.items():
        assert told(short.alone[name]) == told(lone), fleet.told


def check_plan(fleet: Fleet) -> None:
    """The same of a plan."""
    given = fleet.adapters, fleet.tree, fleet.versions
    short, whole = plan(*given), _plan(*given)
    assert planned(short) == planned(whole), fleet.told
    for key, pair in whole.pairs.found.items():
        for named, all_of_them in zip(pair.reasons, short.pairs.found[key].reasons, strict=True):
            assert set(named.modules) <= set(all_of_them.modules), fleet.told


def planned(found: Plan) -> Any:
    """All that is said of a fleet; of a refusal, with the first module only, where PEFT raises."""
    left = {
        name: (why.alone, why.blocker, why.events[:1], why.error and (why.error.type, why.error.text, why.error.module))
        for name, why in found.left.items()
    }
    lone = {name: told(one) for name, one in found.alone.items()}
    made = found.order, found.tries, found.everything, found.together, found.accepted, found.bounded
    pairs = {key: (pair.load, pair.together, *map(first, pair.reasons)) for key, pair in found.pairs.found.items()}
    others = [
        (one.name, one.able, one.sets, one.groups, one.others, one.untried, {k: brief(p) for k, p in one.pairs.items()})
        for one in found.operations
    ]
    return made, found.pairs.groups, found.pairs.untried, pairs, left, lone, shown(found.simulated), others


def brief(pair: Pair) -> Any:
    """A pair on which an operation does not work, without the texts of PEFT, which may list layers."""
    return pair.together, [(reason.kind, reason.error, first(reason).modules) for reason in pair.reasons]


def first(reason: Reason) -> Reason:
    """A reason with the first module only, where PEFT raises; a plan names all that it would raise at."""
    return replace(reason, modules=reason.modules[:1] if reason.error else reason.modules)


@settings(max_examples=FLEETS, deadline=None, derandomize=SAME, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_one_layer_for_many_tells_what_all_of_them_tell(rng: Random) -> None:
    check(Draw(rng).fleet())


@settings(max_examples=FLEETS // 2, deadline=None, derandomize=SAME, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_a_plan_of_one_layer_for_many_is_the_plan_of_all_of_them(rng: Random) -> None:
    check_plan(Draw(rng).fleet())
