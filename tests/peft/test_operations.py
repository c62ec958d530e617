"""Merging, weighting, mixed batches and hot-swapping: what real PEFT made of them (`tests/fleets/operate.py`)."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from operated import OPERATIONS, simulated, told
from recorded import RELEASES, adapters_of, bases, recorded

from adapterlint.lint.example import DROP, Patch, base_of
from adapterlint.peft.model import Model
from adapterlint.peft.modules import walk
from adapterlint.peft.operations import loaded, merge, mix, swap, weigh
from adapterlint.peft.outputs import Output
from adapterlint.peft.simulate import alone
from adapterlint.peft.versions import Versions
from adapterlint.peft.wrappers import Auxiliary, TokenLayer, Tuner
from adapterlint.simulation import simulate, tree_of

HEAD = Patch(config={"modules_to_save": ["lm_head"]}, tensors={"base_model.model.lm_head.weight": ("F32", (64, 16))})
NEWEST = Versions.of("0.21.2", "5.23.0")


@cache
def compared() -> tuple[tuple[str, str, str, str, str | None], ...]:
    """Operation, fleet with release, adapters, what PEFT did, what is said."""
    found = []
    for fleet in recorded("operations"):
        for release in RELEASES:
            truth = fleet["truth"][release]
            said = {(operation, names): word for operation, names, word in simulated(fleet, truth)}
            place = f"{fleet['id']} {release}"
            found += [(op, place, names, word, said[op, names]) for op, names, word in told(truth)]
    return tuple(found)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_come_to_what_peft_made_of_them(operation: str) -> None:
    facts = [fact for fact in compared() if fact[0] == operation]
    decided = [fact for fact in facts if fact[4] is not None]
    assert len(facts) > 300
    assert len({fact[3] for fact in facts}) > 3  # it works, it is silently wrong, it is refused in several ways
    assert [fact for fact in decided if fact[3] != fact[4]] == []
    assert len(decided) > 0.95 * len(facts)


def test_the_recorded_operations_are_of_many_methods_and_of_sets_of_several() -> None:
    methods: Counter[str] = Counter()
    for fleet in recorded("operations"):
        methods.update({adapter["config"]["peft_type"] for adapter in fleet["adapters"].values()})
    assert methods["LORA"] > 30
    assert {"IA3", "ROAD", "OFT", "VERA", "OSF", "LN_TUNING"} <= set(methods)
    assert any(names.count("+") == 2 for _, _, names, _, _ in compared())


def model_of(*patches: Patch, versions: Versions = NEWEST) -> Model:
    base = base_of(Patch(base={}))
    assert base is not None
    adapters = {f"n{i}": patch.adapter(f"adapters/n{i}") for i, patch in enumerate(patches)}
    found = loaded(adapters, base.tree("5.23.0"), versions)
    assert found is not None
    return found


def state(model: Model) -> list[object]:
    """Everything that an operation might leave otherwise than it was."""
    wrappers = [(p, m) for p, m in walk(model.root) if isinstance(m, Tuner | Auxiliary | TokenLayer)]
    active = [(path, list(module.active), module.disabled) for path, module in wrappers]
    return [active, model.active, model.current, sorted(model.configs), Output(model).expression]


def test_every_operation_leaves_the_model_as_it_was() -> None:
    model = model_of(Patch(), HEAD, Patch(config={"use_rslora": True}))
    before = state(model)
    names = ["n0", "n1", "n2"]
    merge(model, names)
    merge(model, names, named=True)
    merge(model, names, how="merge_adapter")
    for kind in ("cat", "linear", "svd"):
        weigh(model, names, kind)
    mix(model, names)
    assert state(model) == before


def test_hot_swapping_is_undone_too() -> None:
    model = model_of(Patch())
    before = state(model)
    other = Patch(config={"lora_alpha": 64}).adapter("adapters/other")
    lone = alone(other, "other", model.tree, NEWEST)
    assert swap(model, "n0", "other", other, lone).verdict == "ok"
    assert state(model) == before


def test_a_whole_module_is_not_taken_into_a_weighted_adapter_and_the_event_says_which() -> None:
    outcome = weigh(model_of(Patch(), HEAD), ["n0", "n1"], "cat")
    assert outcome.verdict == "silent"
    assert [(event.kind, event.module) for event in outcome.events] == [("auxiliary-not-as-active", "lm_head")]


def test_a_mixed_batch_needs_every_auxiliary_module_of_every_adapter() -> None:
    model = model_of(Patch(), Patch(), HEAD)
    assert mix(model, ["n0", "n1"], by_themselves=True).verdict == "ok"
    outcome = mix(model, ["n0", "n1"])
    assert outcome.error is not None
    assert (outcome.error.type, outcome.error.module, outcome.error.cause) == (
        "KeyError",
        "lm_head",
        "mixed-batch-owner",
    )


def test_whether_a_head_is_tied_is_not_known_without_a_base() -> None:
    """Merging into a tied head changes the embedding too."""
    on_head = {
        "*": DROP,
        "base_model.model.lm_head.lora_A.weight": ("F32", (8, 16)),
        "base_model.model.lm_head.lora_B.weight": ("F32", (64, 8)),
    }
    adapter = Patch(config={"target_modules": ["lm_head"]}, tensors=on_head).adapter("adapters/head")
    for base, verdict in ((None, "unknown"), (base_of(Patch(base={"tie_word_embeddings": True})), "silent")):
        tree, _ = tree_of(base, [adapter], "5.23.0")
        model = loaded({"head": adapter}, tree, NEWEST)
        assert model is not None
        assert merge(model, ["head"]).verdict == verdict


def test_a_layer_that_never_runs_has_an_effect_once_it_is_merged() -> None:
    """As WavLM's attention hands its weights to torch."""
    fleet = next(fleet for fleet in recorded("fifth") if fleet["id"] == "fifth-0034")
    adapter, tree = adapters_of(fleet)["green"], bases()[fleet["base"]].tree("5.23.0")
    assert simulate([adapter], names=["green"], base=tree).adapters["green"].forward == "no effect"
    model = loaded({"green": adapter}, tree, NEWEST)
    assert model is not None
    assert {(event.kind, event.module) for event in merge(model, ["green"]).events} == {
        ("merged-otherwise", f"wavlm.encoder.layers.{layer}.attention.v_proj") for layer in (0, 1)
    }


@pytest.mark.parametrize(("peft", "error"), [("0.18.1", "TypeError"), ("0.20.0", "TypeError"), ("0.21.2", None)])
def test_merging_beside_a_whole_module_of_another_adapter_is_refused_before_0_21(peft: str, error: str | None) -> None:
    model = model_of(Patch(), HEAD, versions=Versions.of(peft, "4.56.2"))
    found = merge(model, ["n0"]).error
    assert (found.type if found is not None else None) == error
