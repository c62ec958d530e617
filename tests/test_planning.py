"""Plans: an order that loads, the largest sets, why pairs do not work; as PEFT 0.17.1 and 0.21.2 do it."""

from __future__ import annotations

from typing import Any

import pytest

from adapterlint.lint.example import DROP, FleetPatch, Patch, base_of, with_tokens
from adapterlint.peft.versions import Versions
from adapterlint.planning import Operation, Plan, plan
from adapterlint.planning.orders import greedy
from adapterlint.planning.pairs import Pair, Pairs
from adapterlint.planning.sets import largest_sets

HEAD = Patch(config={"modules_to_save": ["lm_head"]}, tensors={"base_model.model.lm_head.weight": ("F32", (64, 16))})
PLAIN = Patch()
ON_HEAD = Patch(  # a tuner layer where `HEAD` has a copy
    config={"target_modules": ["lm_head"]},
    tensors={
        "*": DROP,
        "base_model.model.lm_head.lora_A.weight": ("F32", (8, 16)),
        "base_model.model.lm_head.lora_B.weight": ("F32", (64, 8)),
    },
)
BROKEN = Patch(config={"r": 4})  # its tensors are of rank 8


def planned(peft: str = "0.21.2", **members: Patch) -> Plan:
    fleet = FleetPatch(members, base={})
    base = base_of(fleet)
    assert base is not None
    return plan(fleet.adapters(), base.tree("4.56.2"), Versions.of(peft, "4.56.2"))


def slots(found: Plan) -> list[tuple[tuple[str, ...], ...]]:
    return [one.slots for one in found.together]


def test_adapters_that_get_on_keep_their_order_and_are_one_set() -> None:
    found = planned(a=PLAIN, b=PLAIN, c=PLAIN)
    assert found.order == ("a", "b", "c")
    assert slots(found) == [(("a",), ("b",), ("c",))]
    assert found.left == {}


def test_token_rows_come_last_because_peft_wants_them_of_every_later_adapter() -> None:
    found = planned(tokens=with_tokens(5), plain=PLAIN)
    assert found.order == ("plain", "tokens")
    assert found.pairs.between("tokens", "plain").load == "refused"
    reason = found.pairs.between("tokens", "plain").reasons[0]
    assert (reason.kind, reason.error, reason.modules) == (
        "tokens-block-later-adapter",
        "KeyError",
        ("model.embed_tokens",),
    )


def test_a_whole_module_and_a_tuner_layer_in_one_place_go_in_no_order() -> None:
    found = planned(tuner=ON_HEAD, head=HEAD)
    assert found.pairs.between("tuner", "head").reasons[0].error == "TypeError"
    assert found.pairs.between("head", "tuner").reasons[0].error == "ValueError"
    assert found.everything
    assert len(found.order) == len(found.left) == 1


def test_two_heads_load_but_only_one_of_them_can_be_active() -> None:
    found = planned(de=HEAD, fr=HEAD, plain=PLAIN)
    assert set(found.order) == {"de", "fr", "plain"}
    assert slots(found) == [(("de", "fr"), ("plain",))]
    assert found.pairs.between("de", "fr").together == "refused"


def test_before_0_18_two_heads_are_accepted_and_silently_wrong() -> None:
    found = planned("0.17.1", de=HEAD, fr=HEAD)
    assert slots(found) == []
    assert [one.slots for one in found.accepted] == [(("de",), ("fr",))]


def test_what_does_not_load_alone_is_left_out_with_its_error() -> None:
    found = planned(good=PLAIN, broken=BROKEN)
    assert found.order == ("good",)
    assert found.left["broken"].alone
    assert found.left["broken"].error is not None
    assert found.left["broken"].error.type == "RuntimeError"


def test_nothing_that_loads_is_an_empty_plan() -> None:
    found = planned(broken=BROKEN)
    assert found.order == ()
    assert slots(found) == []


def test_of_two_that_no_order_can_load_one_is_left_out_with_what_is_in_its_way() -> None:
    ia3 = Patch(
        config={"peft_type": "IA3", "target_modules": ["q_proj"], "feedforward_modules": []},
        tensors={
            "*": DROP,
            **{f"base_model.model.model.layers.{i}.self_attn.q_proj.ia3_l": ("F32", (16, 1)) for i in range(2)},
        },
    )
    found = planned(a=PLAIN, b=PLAIN, other=ia3)
    assert found.order == ("a", "b")
    assert not found.left["other"].alone
    assert found.left["other"].blocker == "a"


def test_a_fleet_of_one_signature_costs_one_pair_however_large_it_is() -> None:
    members: dict[str, Any] = {f"a{i}": HEAD for i in range(40)}
    found = planned(**members)
    assert len(found.order) == 40
    assert found.pairs.found.keys() == {(0, 0)}
    assert slots(found) == []


def test_a_plan_made_twice_is_the_same() -> None:
    members: dict[str, Any] = {"de": HEAD, "tokens": with_tokens(5), "plain": PLAIN}
    first, second = planned(**members), planned(**members)
    assert (first.order, first.together, first.tries) == (second.order, second.together, second.tries)


@pytest.mark.parametrize("size", [2, 5, 30])
def test_the_greedy_order_respects_every_pair_if_some_order_does(size: int) -> None:
    """Every adapter is refused after the one before it in the alphabet, so they load backwards."""
    names = [f"{i:02}" for i in range(size)]
    refused = {(i, j): Pair("refused", "refused") for i in range(size) for j in range(i + 1, size)}
    assert greedy(names, Pairs(tuple((name,) for name in names), refused)) == tuple(reversed(names))


def test_the_search_for_sets_is_bounded_and_says_so() -> None:
    """Thirty adapters of which each gets on with all but one: 2^15 largest sets."""
    names = [f"{i:02}" for i in range(30)]
    apart = {(i, i + 1): Pair("ok", "refused") for i in range(0, 30, 2)}
    found, complete = largest_sets(names, Pairs(tuple((name,) for name in names), apart), ("ok", "untried"))
    assert not complete
    assert all(len(one.slots) == 15 for one in found)


def test_the_error_of_an_adapter_that_fits_no_layer_names_all_layers() -> None:
    """Layers that are alike are planned as one, and told as they are."""
    base = base_of(Patch(base={"num_hidden_layers": 4}))
    assert base is not None
    tensors: dict[str, Any] = {"*": DROP}
    for layer in range(4):
        prefix = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        tensors |= {f"{prefix}.lora_A.weight": ("F32", (8, 16)), f"{prefix}.lora_B.weight": ("F32", (16, 8))}
    broken = Patch(config={"r": 4, "target_modules": ["q_proj"]}, tensors=tensors)
    found = plan(FleetPatch({"a": broken}, base={}).adapters(), base.tree("4.56.2"), Versions.of("0.21.2", "4.56.2"))
    error = found.left["a"].error
    assert error is not None
    assert [error.text.count(f"layers.{layer}.self_attn.q_proj.lora_A") for layer in range(4)] == [1, 1, 1, 1]


def test_one_line_that_lists_what_layers_lack_lists_it_of_all() -> None:
    """The warning of an adapter whose file has no `lora_B` in any layer."""
    base = base_of(Patch(base={"num_hidden_layers": 4}))
    assert base is not None
    tensors: dict[str, Any] = {"*": DROP}
    for layer in range(4):
        tensors[f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_A.weight"] = ("F32", (8, 16))
    half = Patch(config={"target_modules": ["q_proj"]}, tensors=tensors)
    found = plan(FleetPatch({"a": half}, base={}).adapters(), base.tree("4.56.2"), Versions.of("0.21.2", "4.56.2"))
    for warnings in (found.alone["a"].warnings, found.simulated.steps[0].warnings):
        assert len(warnings) == 1
        assert [f"layers.{layer}.self_attn.q_proj.lora_B" in warnings[0] for layer in range(4)] == [True] * 4


def test_a_pair_that_is_refused_in_a_layer_says_so_of_all_and_as_peft_does() -> None:
    """PEFT stumbles over the first layer; the modules are those of all."""
    base = base_of(Patch(base={"num_hidden_layers": 4}))
    assert base is not None
    factors: dict[str, Any] = {"A": (8, 16), "B": (16, 8)}
    modules = [f"base_model.model.model.layers.{n}.self_attn.q_proj" for n in range(4)]
    tuned = {
        f"{module}.lora_{factor}.weight": ("F32", shape) for module in modules for factor, shape in factors.items()
    }
    saved = {f"{module}.weight": ("F32", (16, 16)) for module in modules}
    both = {
        "tuned": Patch(config={"target_modules": ["q_proj"]}, tensors={"*": DROP, **tuned}),
        "saved": Patch(
            config={"target_modules": ["v_proj"], "modules_to_save": ["q_proj"]}, tensors={"*": DROP, **saved}
        ),
    }
    fleet = FleetPatch(both, base={}).adapters()
    found = plan(fleet, base.tree("4.56.2"), Versions.of("0.21.2", "4.56.2"))
    reason = found.pairs.between("tuned", "saved").reasons[0]
    assert reason.error == "TypeError"
    assert reason.modules == tuple(f"model.layers.{layer}.self_attn.q_proj" for layer in range(4))


def operation(found: Plan, name: str) -> Operation:
    return next(one for one in found.operations if one.name == name)


def sets(found: Plan, name: str) -> list[tuple[tuple[str, ...], ...]]:
    return [one.slots for one in operation(found, name).sets]


def test_a_whole_module_can_be_merged_but_not_weighted_nor_mixed_with_adapters_that_lack_it() -> None:
    found = planned(a=PLAIN, b=Patch(config={"lora_alpha": 64}), head=HEAD)
    assert sets(found, "merge") == [(("a",), ("b",), ("head",))]
    assert sets(found, "weigh") == [(("a",), ("b",))]
    assert sets(found, "mix") == [(("a",), ("b",))]
    assert operation(found, "mix").others == {"all": ("refused",)}  # while the head is loaded too
    reason = operation(found, "weigh").pairs[0, 2].reasons[0]
    assert (reason.do, reason.kind, reason.modules) == ("weigh", "auxiliary-not-as-active", ("lm_head",))


def test_ranks_that_differ_can_be_concatenated_but_not_combined_linearly() -> None:
    other = {"r": 4}
    tensors = {
        f"base_model.model.model.layers.{layer}.self_attn.{name}.lora_{factor}.weight": ("F32", shape)
        for layer in (0, 1)
        for name in ("q_proj", "v_proj")
        for factor, shape in (("A", (4, 16)), ("B", (16, 4)))
    }
    found = planned(a=PLAIN, b=Patch(config=other, tensors=tensors))
    assert found.order == ("a", "b")
    assert sets(found, "weigh") == [(("a",), ("b",))]
    assert operation(found, "weigh").others == {"linear": ("refused",), "svd": ("approximate",)}


def test_hot_swapping_is_told_in_both_directions() -> None:
    found = planned(plain=PLAIN, head=HEAD)
    assert sets(found, "swap") == []
    pairs = operation(found, "swap").pairs
    assert {key: (pair.together, pair.reasons[0].kind) for key, pair in pairs.items()} == {
        (0, 1): ("refused", "swap-key"),
        (1, 0): ("silent", "auxiliary-not-as-active"),
    }


def test_adapters_that_differ_in_what_swapping_leaves_as_it_is_do_not_stand_for_each_other() -> None:
    found = planned(a=PLAIN, b=Patch(config={"use_rslora": True}), c=PLAIN)
    assert sets(found, "swap") == [(("a", "c"), ("a", "c"))]
    assert {pair.reasons[0].kind for pair in operation(found, "swap").pairs.values()} == {"swap-config"}


def test_one_adapter_has_no_operations_on_several() -> None:
    assert planned(a=PLAIN).operations == ()
