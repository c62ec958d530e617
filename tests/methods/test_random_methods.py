"""Adapters that were drawn at random, with random damages: nobody looked at them before adapterlint did.

`score_random.py` prints how good it is on all of them; what it says here is what it was mended to say.
"""

from __future__ import annotations

import re
from functools import cache

import pytest
from recorded_methods import NEWEST, RELEASES, drawn
from score_random import Drawn, alarms, compared, damages

GROUPS = {"loha-4-3": "the header of the base does not tell how many groups a convolution has"}
"""Adapters that some release refuses and that are said to load, and what nothing tells."""
COPIES = 3  # damaged copies of an adapter that are looked at; of those of other seeds, which showed something, all

SHARED = "both the number that the config gives and what all targets share are of another size, each with its own rule"
TIED = "PEFT warns of the other ends of tied embeddings, whose rows are the same parameter"
BARE = "without a config, what a linear layer is and what PEFT takes by default is not known"
TWO = "two things that are wrong in the config: one alone would be refused as well"

NOT_TOLD: tuple[tuple[str, str, str], ...] = (
    ("adamss-4-1|c3a-3-1|ia3-3-5|peanut-1-4", "(change|field):target_modules.*", TWO),
    (
        "adalora-1-1",
        "change:target_modules.*",
        "what is no target raises because of `rank_pattern`",
    ),
    ("cartridge-1-1", "change:num_transformer_submodules=2", "how a cache takes twice as many keys is not modelled"),
    ("adaptionprompt-4-4", "change:adapter_layers=1", "the rule about targets does not count layers"),
    ("frod-3-4|loha-4-3", "(change|field):(sparse_rate|use_effective_conv2d).*", SHARED),
    ("poly-4-0", "field:task_type", "without a task it raises too, and then whatever it is given"),
    ("lntuning-.*", "field:target_modules", BARE),
    ("prompttuning-3-2", "change:modules_to_save.*", "beside a prompt, what is no whole module reaches the base"),
    ("trainabletokens-1-1", "(drop|rename):.*", TIED),
    ("unilora-3-3", "drop:base_model.unilora_theta_d", "the only tensor that the method has"),
    ("waveft-4-2", ".*(n_frequency|size).*", BARE),
    ("waveft-4-4", "drop:.*", "a head without tensors: it is mostly in the list of targets by mistake"),
)
"""Adapters and damages (regular expressions) that are not told by one rule, and why."""


@cache
def looked_at() -> Drawn:
    return [(one, copies[: COPIES if "-1-" in one.name else None]) for one, copies in drawn()]


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_makes_of_an_adapter_is_said_as_it_was(release: str) -> None:
    """The class of the error, or the keys that are dropped and the tensors that are lost."""
    told = {one.name: compared(one, release, with_base=True) for one, _ in drawn()}
    assert {name: pair for name, pair in told.items() if pair[0] != pair[1] and name not in GROUPS} == {}


def test_without_a_base_nothing_is_refused_or_lost_that_peft_takes() -> None:
    told = {one.name: compared(one, NEWEST, with_base=False) for one, _ in drawn() if one.truth[NEWEST].loads}
    assert {name: (said, did) for name, (said, did) in told.items() if said != did} == {}


def test_a_sound_adapter_is_no_error() -> None:
    assert [(name, rule) for name, rule, severity in alarms(drawn(), with_base=True) if severity == "error"] == []


def test_what_hurts_is_told_by_one_rule_and_what_does_not_is_no_error() -> None:
    wrong, used, right = {}, set(), 0
    for whole, label, what, found in damages(looked_at(), with_base=True):
        severities = [severity for _, severity in found]
        if what in ("harmless", "other output", "no effect"):
            good = what == "no effect" or "error" not in severities
        else:
            good = len(found) == 1 and (what != "raises" or severities == ["error"])
        place = next(
            (i for i, (n, d, _) in enumerate(NOT_TOLD) if re.fullmatch(n, whole.name) and re.fullmatch(d, label)), None
        )
        if not good and place is None:
            wrong[whole.name, label] = what, sorted(found)
        elif not good:
            used.add(place)
        right += good
    assert wrong == {}
    assert used == set(range(len(NOT_TOLD)))
    assert right > 900
