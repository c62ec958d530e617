"""What holds of every fleet, because it holds of PEFT: seen in the recorded fleets, then asked of the simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest
from recorded import RELEASES, adapters_of, bases, is_simulated, recorded

from adapterlint.adapter import Adapter
from adapterlint.lint.example import Patch, base_of
from adapterlint.peft.loading import load
from adapterlint.peft.model import Model
from adapterlint.peft.modules import find
from adapterlint.peft.refused import Refused
from adapterlint.peft.versions import Versions
from adapterlint.peft.wrappers import Tuner, Whole
from adapterlint.simulation import Simulation, simulate

SAMPLE = [fleet for name in ("fleets", "second") for fleet in recorded(name) if is_simulated(fleet)][::6]
SINCE_SETS_ARE_CHECKED = [r for r in RELEASES if r >= "0.18"]  # huggingface/peft#2758


def run(fleet: Mapping[str, Any], release: str, names: Mapping[str, str], order: list[str]) -> Simulation:
    """Simulate a fleet with other names, and activate every pair."""
    adapters = adapters_of(fleet)
    new = [names[name] for name in order]
    return simulate(
        [adapters[name] for name in order],
        names=new,
        base=bases()[fleet["base"]],
        peft=release,
        transformers=fleet["truth"][release]["transformers"],
        activate=[[a, b] for i, a in enumerate(new) for b in new[i + 1 :]],
    )


def verdicts(simulation: Simulation) -> list[Any]:
    """What is said, without names."""
    steps = [(step.do, step.verdict, step.error and step.error.type, step.forward) for step in simulation.steps]
    adapters = [(one.loads, one.forward, one.faithful) for one in simulation.adapters.values()]
    return [steps, adapters, simulation.base_unchanged]


@pytest.mark.parametrize("release", ["0.17.1", "0.21.2"])
def test_other_names_change_no_verdict(release: str) -> None:
    plain = [f"adapter_{letter}" for letter in "xyz"]
    seen = Counter[str]()
    for fleet in SAMPLE:
        order = list(fleet["adapters"])
        first = dict(zip(order, plain, strict=False))
        second = dict(zip(order, reversed(plain), strict=False))
        one, other = run(fleet, release, first, order), run(fleet, release, second, order)
        assert verdicts(one) == verdicts(other), fleet["id"]
        seen.update(f"{step.do} {step.verdict}" for step in one.steps)
    # What was compared has all that PEFT may say.
    assert min(seen[f"{do} {what}"] for do in ("load", "activate") for what in ("ok", "raises")) > 4


@pytest.mark.parametrize("release", RELEASES)
def test_peft_activates_a_part_of_every_set_that_it_activates(release: str) -> None:
    """Of the recorded truths: what the next test asks for is what PEFT does."""
    seen = 0
    for fleet in (fleet for name in ("fleets", "second", "rare") for fleet in recorded(name)):
        for sets in fleet["truth"][release]["active"].values():
            fine = {frozenset(names.split("+")) for names, result in sets.items() if not result["error"]}
            parts = [part for whole in fine for part in map(frozenset, _parts(whole)) if len(part) > 1]
            assert fine.issuperset(parts), fleet["id"]
            seen += len(parts)
    assert seen > 9


@pytest.mark.parametrize("release", SINCE_SETS_ARE_CHECKED)
def test_any_member_of_a_set_that_can_be_active_can_be_left_out(release: str) -> None:
    every = (fleet for name in ("fleets", "second") for fleet in recorded(name) if is_simulated(fleet))
    seen = 0
    for fleet in (f for f in every if len(f["adapters"]) == 3 and _has_active_set(f["truth"][release])):
        adapters, names = adapters_of(fleet), list(fleet["adapters"])
        sets = [names, *map(list, _parts(frozenset(names)))]
        result = simulate(
            adapters.values(),
            names=names,
            base=bases()[fleet["base"]],
            peft=release,
            transformers=fleet["truth"][release]["transformers"],
            activate=sets,
        )
        if any(step.verdict not in ("ok", "warns") for step in result.steps if step.do == "load"):
            continue
        whole, *parts = [step for step in result.steps if step.do == "activate"]
        assert whole.verdict != "ok" or all(part.verdict == "ok" for part in parts), fleet["id"]
        seen += whole.verdict == "ok"
    assert seen > 2


def _has_active_set(truth: Mapping[str, Any]) -> bool:
    """Whether PEFT activates all adapters of a fleet, loaded in the order of the fleet, at once."""
    order = ">".join(truth["alone"])
    return (
        "error" in (result := truth["active"].get(order, {}).get(order.replace(">", "+"), {})) and not result["error"]
    )


def _parts(names: frozenset[str]) -> list[tuple[str, ...]]:
    return [tuple(n for n in sorted(names) if n != left) for left in sorted(names)]


def test_the_same_fleet_gives_the_same_simulation_again() -> None:
    for fleet in SAMPLE:
        for order in list(permutations(fleet["adapters"]))[:2]:
            names = {name: name for name in order}
            found = run(fleet, "0.21.2", names, list(order))
            assert found.steps
            assert found == run(fleet, "0.21.2", names, list(order))


# ------------------------------------------------------------------------------------------------ what is rolled back

_HEAD = "base_model.model.lm_head"
WHOLE = Patch(config={"modules_to_save": ["lm_head"]}, tensors={f"{_HEAD}.weight": ("F32", (64, 16))})
TUNED = Patch(
    config={"target_modules": ["q_proj", "v_proj", "lm_head"]},
    tensors={f"{_HEAD}.lora_A.weight": ("F32", (8, 16)), f"{_HEAD}.lora_B.weight": ("F32", (64, 8))},
)
MISSHAPEN = Patch(
    tensors={"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": ("F32", (4, 16))},
)


def model(release: str = "0.21.2") -> Model:
    base = base_of(Patch(base={}))
    assert base is not None
    return Model(base.tree(), Versions.of(release))


def adapter(patch: Patch, name: str) -> Adapter:
    return patch.adapter(f"adapters/{name}")


def test_a_config_that_is_refused_while_layers_are_made_is_forgotten_but_its_layers_stay() -> None:
    """`add_adapter` deletes the config on any exception; what was injected before it is not undone."""
    peft = model()
    load(peft, adapter(WHOLE, "head"), "head")
    with pytest.raises(Refused) as refused:
        load(peft, adapter(TUNED, "tuned"), "tuned")
    assert refused.value.type == "ValueError"
    assert list(peft.configs) == ["head"]
    layer = find(peft.root, "model.layers.0.self_attn.q_proj")
    assert isinstance(layer, Tuner)
    assert list(layer.adapters) == ["head", "tuned"]


def test_weights_that_are_refused_leave_the_adapter_half_loaded() -> None:
    """The config stays, what has the right shape is loaded: `set_adapter` to it works."""
    peft = model()
    load(peft, adapter(Patch(), "plain"), "plain")
    with pytest.raises(Refused) as refused:
        load(peft, adapter(MISSHAPEN, "narrow"), "narrow")
    assert refused.value.type == "RuntimeError"
    assert list(peft.configs) == ["plain", "narrow"]
    layer = find(peft.root, "model.layers.1.self_attn.q_proj")
    assert isinstance(layer, Tuner)
    b = layer.adapters["narrow"].params["lora_B", ".weight"]
    assert b.value == ("file", "narrow", ("base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight",))


def test_a_module_that_was_wrapped_for_a_refused_adapter_stays_wrapped() -> None:
    """A missing tensor of a whole module is noticed after the wrapping, which is not undone."""
    peft = model()
    load(peft, adapter(Patch(), "plain"), "plain")
    with pytest.raises(Refused) as refused:
        load(peft, adapter(Patch(config={"modules_to_save": ["lm_head"]}), "headless"), "headless")
    assert (refused.value.type, refused.value.text) == ("KeyError", "'base_model.model.lm_head.weight'")
    assert isinstance(find(peft.root, "lm_head"), Whole)
    assert "headless" in peft.configs
