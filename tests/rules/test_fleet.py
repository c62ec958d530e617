"""Rules about several adapters: against recorded truths, and what their examples cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from recorded import adapters_of, bases, recorded

from adapterlint.base import Base
from adapterlint.lint.engine import Engine, Found
from adapterlint.lint.example import DROP, GOOD_CONFIG, Patch, Shape, as_patch, base_of, with_tokens
from adapterlint.lint.fleet import Fleet, Member
from adapterlint.lint.loader import load_rules
from adapterlint.peft.footprint import footprint_of
from adapterlint.severity import Severity
from strange import VALUES

RULES = tuple(r for r in load_rules() if r.family == "FLT")
AUXILIARY = {"FLT101", "FLT102", "FLT103"}
Patches = Mapping[str, Patch | Mapping[str, Any]]


def member(name: str, patch: Patch | Mapping[str, Any]) -> Member:
    adapter = as_patch(patch).adapter(f"adapters/{name}")
    touched = footprint_of(adapter)
    assert adapter.config is not None
    assert touched is not None
    return Member(name, adapter, adapter.config, touched)


def judge(fleet: Fleet, *, peft: str = "0.21.2", base: Base | None = None) -> list[Found]:
    engine = Engine(RULES, (peft,))
    found = engine.check_fleet(fleet, base)
    assert not engine.crashes
    return found


def check(
    patches: Patches, *, activate: tuple[tuple[str, ...], ...] = (), ordered: bool = False, peft: str = "0.21.2"
) -> list[Found]:
    members = tuple(member(name, patch) for name, patch in patches.items())
    return judge(Fleet("demo" if activate or ordered else None, "acme/x", members, activate, (), ordered), peft=peft)


def codes(found: list[Found]) -> set[str]:
    return {one.rule.code for one in found}


def errors(found: list[Found]) -> set[str]:
    return {one.rule.code for one in found if (one.finding.severity or one.rule.severity) is Severity.ERROR}


EMBEDDING = "base_model.model.model.embed_tokens"
HEAD = Patch(config={"modules_to_save": ["lm_head"]}, tensors={"base_model.model.lm_head.weight": ("F32", (64, 16))})
SCORE = {"base_model.model.score.weight": ("F32", (2, 16))}
CLASSIFIER = Patch(config={"task_type": "SEQ_CLS"}, tensors=SCORE)


# ---------------------------------------------------------------------------------------------------- recorded fleets


def said(error: dict[str, str] | None) -> str | None:
    return error and f"{error['type']}: {error['text']}"


def order_said(entry: dict[str, Any]) -> str | None:
    """What loading in an order gave: nothing, the refusal, or the error of a forward pass afterwards."""
    raised = [each for each in entry.get("faithful", {}).values() if isinstance(each, dict)]
    return said(entry["error"] or next(iter(raised), None))


FLEETS = [pytest.param(fleet, id=f"{fleet['id']}-{fleet['base']}") for fleet in recorded()]
BASES = pytest.mark.parametrize("with_base", [True, False], ids=["base", "no-base"])
REFUSALS = ("ValueError: Only one adapter can be set at a time", "ValueError: Token indices of adapter")


def works(alone: dict[str, Any]) -> bool:
    return bool(alone["loads"]) and not alone["forward"]


def members_of(fleet: dict[str, Any]) -> dict[str, Member]:
    members = {}
    for name, adapter in adapters_of(fleet).items():
        touched = footprint_of(adapter)
        if adapter.config and touched:
            members[name] = Member(name, adapter, adapter.config, touched)
    return members


@BASES
@pytest.mark.parametrize("release", ["0.21.2", "0.18.1"])
@pytest.mark.parametrize("fleet", FLEETS)
def test_auxiliary_refusals_of_an_activation_are_told_and_nothing_else_is(
    fleet: dict[str, Any], release: str, with_base: bool
) -> None:
    """Without the base nothing false is said; with it nothing is missed."""
    members, base = members_of(fleet), bases()[fleet["base"]] if with_base else None
    for order, sets in fleet["truth"][release]["active"].items():
        loaded = tuple(members[name] for name in order.split(">"))
        for chosen, result in sets.items():
            outcome = said(result["error"] or result["forward"])
            declared = Fleet("demo", None, loaded, (tuple(chosen.split("+")),), (), True)
            refused = outcome is not None and outcome.startswith(REFUSALS)
            findings = judge(declared, peft=release, base=base)
            found = bool(codes(findings) & AUXILIARY)
            assert refused or not found, (order, chosen, outcome)
            if order_said(fleet["truth"][release]["orders"][order]) is not None:
                found = bool(errors(findings))  # the order does not work at all
            assert found or not refused or not with_base, (order, chosen, outcome)


@BASES
@pytest.mark.parametrize("release", ["0.21.2", "0.18.1", "0.17.1"])
@pytest.mark.parametrize("fleet", FLEETS)
def test_orders_that_peft_refuses_are_errors_and_those_that_work_are_not(
    fleet: dict[str, Any], release: str, with_base: bool
) -> None:
    members, truth = members_of(fleet), fleet["truth"][release]
    base = bases()[fleet["base"]] if with_base else None
    for order, entry in truth["orders"].items():
        names, outcome = order.split(">"), order_said(entry)
        if not members.keys() >= set(names) or not all(map(works, truth["alone"].values())):
            continue  # an adapter that fails alone is told by other rules
        declared = Fleet("demo", None, tuple(members[n] for n in names), (), (), True)
        found = errors(judge(declared, peft=release, base=base))
        assert outcome or not found, (order, found)
        assert found or not outcome or not with_base, (order, outcome)


@pytest.mark.parametrize(
    ("release", "activations", "orders"),
    [("0.18.1", 1, 0.93), ("0.21.2", 1, 0.89)],
)
def test_without_the_base_all_refused_sets_and_most_refused_orders_are_told(
    release: str, activations: float, orders: float
) -> None:
    """What stays unsaid are mostly rows of tied modules, and sizes of targets, which a base would tell."""
    counts = {"activation": [0, 0], "order": [0, 0]}
    for fleet in recorded():
        members, truth = members_of(fleet), fleet["truth"][release]
        if not all(map(works, truth["alone"].values())):
            continue
        for order, entry in truth["orders"].items():
            loaded = tuple(members[name] for name in order.split(">"))
            if order_said(entry):
                found = errors(judge(Fleet("demo", None, loaded, (), (), True), peft=release))
                count(counts["order"], bool(found))
            for chosen, result in truth["active"].get(order, {}).items():
                if (said(result["error"] or result["forward"]) or "").startswith(REFUSALS):
                    declared = Fleet("demo", None, loaded, (tuple(chosen.split("+")),), (), True)
                    count(counts["activation"], bool(codes(judge(declared, peft=release)) & AUXILIARY))
    shares = {name: told / all_of_them for name, (told, all_of_them) in counts.items()}
    assert shares["activation"] >= activations, counts
    assert shares["order"] >= orders, counts


def count(counter: list[int], told: bool) -> None:
    counter[0] += told
    counter[1] += 1


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_declared_set_is_an_error_where_peft_refuses_it(fleet: dict[str, Any]) -> None:
    members, truth = members_of(fleet), fleet["truth"]["0.21.2"]
    for order, sets in truth["active"].items():
        if order_said(truth["orders"][order]) is None:
            for chosen, result in sets.items():
                outcome = said(result["error"] or result["forward"])
                loaded = tuple(members[name] for name in order.split(">"))
                declared = Fleet("demo", None, loaded, (tuple(chosen.split("+")),), (), True)
                found = errors(judge(declared, base=bases()[fleet["base"]]))
                assert outcome or not found, (order, chosen, found)
                assert found or not outcome, (order, chosen, outcome)


# -------------------------------------------------------------------------------------------------- one finding a cause


def test_all_owners_of_a_module_are_one_finding() -> None:
    (found,) = check(dict.fromkeys(("de", "fr", "it", "es"), HEAD))
    assert found.finding.adapters == ("adapters/de", "adapters/fr", "adapters/it", "adapters/es")
    assert "`de`, `fr`, `it` and `es` all bring `lm_head` whole" in found.finding.message


def test_modules_with_the_same_owners_are_one_finding() -> None:
    names = [f"model.layers.{i}.input_layernorm" for i in range(2)]
    norms = Patch(
        config={"modules_to_save": ["input_layernorm"]},
        tensors={f"base_model.model.{name}.weight": ("F32", (16,)) for name in names},
    )
    (found,) = check({"a": norms, "b": norms})
    assert all(f"`{name}`" in found.finding.message for name in names)


def test_a_token_overlap_names_the_tokens_and_everybody_who_is_refused() -> None:
    (found,) = check({"a": with_tokens(1, 2), "b": with_tokens(2, 3), "c": with_tokens(40)})
    assert found.rule.code == "FLT102"
    assert "`2` in `a` and `b`" in found.finding.message
    assert len(found.finding.adapters) == 3


def test_adapters_of_one_type_only_are_compared() -> None:
    other = Patch(
        config={"peft_type": "LOHA", "modules_to_save": ["lm_head"], "target_modules": ["q_proj"]},
        tensors={"*": DROP, "base_model.model.lm_head.weight": ("F32", (64, 16))},
    )
    assert codes(check({"lora": HEAD, "loha": other})) == {"FLT106"}


def test_of_many_types_the_most_frequent_are_named_and_the_others_counted() -> None:
    kinds = ("LOHA", "LOKR", "OFT", "BOFT", "IA3", "VERA", "SHIRA")
    others = {kind.lower(): Patch(config={"peft_type": kind}, tensors={"*": DROP}) for kind in kinds}
    (found,) = [one for one in check({"lora": Patch(), **others}) if one.rule.code == "FLT106"]
    assert "of 8 PEFT types (LORA `lora`; " in found.finding.message
    assert "; 3 more types), of which" in found.finding.message


def test_what_cannot_be_in_one_model_is_not_judged_for_activation() -> None:
    wide = Patch(config=CLASSIFIER.config, tensors={"base_model.model.score.weight": ("F32", (5, 16))})
    found = check({"sentiment": CLASSIFIER, "irony": CLASSIFIER, "topic": wide})
    (overlap,) = [one for one in found if one.rule.code == "FLT101"]
    assert overlap.finding.adapters == ("adapters/sentiment", "adapters/irony")
    assert codes(found) == {"FLT101", "FLT120"}


# ----------------------------------------------------------------------------------------------------- places, releases


def test_a_finding_points_to_the_entry_that_brings_the_module() -> None:
    many = Patch(config={"modules_to_save": ["score", "head"]}, tensors=HEAD.tensors)
    (found,) = check({"a": many, "b": HEAD})
    assert found.finding.at.pointer == "/modules_to_save/1"
    assert found.finding.at.located() is not None


def test_a_head_that_peft_adds_by_itself_stands_in_the_task_type() -> None:
    (found,) = check({"a": CLASSIFIER, "b": CLASSIFIER})
    assert found.finding.at.pointer == "/task_type"


@pytest.mark.parametrize(("peft", "text"), [("0.18", "raises `ValueError"), ("0.17", "silently leaves the copy")])
def test_each_release_gets_the_consequence_that_it_has(peft: str, text: str) -> None:
    (found,) = check({"a": HEAD, "b": HEAD}, activate=(("a", "b"),), peft=peft)
    assert text in found.finding.message
    assert errors([found]) == ({"FLT101"} if peft == "0.18" else set())


def test_before_0_18_a_single_adapter_with_bias_has_to_be_the_first() -> None:
    bias = Patch(config={"bias": "lora_only"})
    assert errors(check({"plain": {}, "bias": bias}, ordered=True, peft="0.17")) == {"FLT107"}
    assert check({"bias": bias, "plain": {}}, ordered=True, peft="0.17") == []
    assert check({"plain": {}, "bias": bias}, ordered=True) == []


# ------------------------------------------------------------------------------------------------- what is declared


def test_a_declared_set_is_judged_alone() -> None:
    fleet: Patches = {"de": HEAD, "fr": HEAD, "it": HEAD, "plain": {}}
    assert check(fleet, activate=(("de", "plain"),)) == []
    (found,) = check(fleet, activate=(("de", "plain"), ("fr", "it")))
    assert found.finding.adapters == ("adapters/fr", "adapters/it")
    assert errors([found]) == {"FLT101"}


def test_the_order_that_works_is_told() -> None:
    both = Patch(
        config={"trainable_token_indices": {"embed_tokens": [1], "lm_head": [1]}},
        tensors={
            f"{EMBEDDING}.token_adapter.trainable_tokens_delta": ("F32", (1, 16)),
            "base_model.model.lm_head.token_adapter.trainable_tokens_delta": ("F32", (1, 16)),
        },
    )
    found = [one for one in check({"both": both, "one": with_tokens(2), "plain": {}}) if one.rule.code == "FLT112"]
    assert [one.finding.help for one in found] == [
        "Load `one` and `both` last, in this order. To save, name these in `selected_adapters`: the others cannot be "
        "saved from a model with token rows."
    ]
    assert "FLT112" not in codes(check({"plain": {}, "one": with_tokens(2), "both": both}, ordered=True))
    assert "FLT112" in errors(check({"plain": {}, "both": both, "one": with_tokens(2)}, ordered=True))


def test_adapters_with_rows_of_the_same_modules_can_follow_each_other() -> None:
    assert codes(check({"a": with_tokens(1), "b": with_tokens(2)})) == {"FLT103"}


def test_a_whole_module_around_a_tuned_one_is_wrong_first_and_refused_second() -> None:
    mlp = "base_model.model.model.layers.{}.mlp."
    shapes = {"gate_proj": (32, 16), "up_proj": (32, 16), "down_proj": (16, 32)}
    whole = Patch(
        config={"modules_to_save": ["mlp"]},
        tensors={f"{mlp.format(i)}{n}.weight": ("F32", s) for i in range(2) for n, s in shapes.items()},
    )
    factors: dict[str, Shape] = {
        f"{mlp.format(i)}down_proj.lora_{factor}.weight": ("F32", shape)
        for i in range(2)
        for factor, shape in (("A", (8, 32)), ("B", (16, 8)))
    }
    inside = Patch(config={"target_modules": ["q_proj", "v_proj", "down_proj"]}, tensors=factors)
    members, base = {"whole": member("whole", whole), "inside": member("inside", inside)}, base_of(Patch(base={}))

    def found(*order: str) -> list[Found]:
        return judge(Fleet("demo", None, tuple(members[name] for name in order), (), (), True), base=base)

    assert codes(found("whole", "inside")) == {"FLT111"}
    assert errors(found("whole", "inside")) == set()
    assert errors(found("inside", "whole")) == {"FLT111"}


def test_a_classifier_and_an_adapter_for_generating_do_not_go_together_in_any_order() -> None:
    members = tuple(member(name, patch) for name, patch in {"labels": CLASSIFIER, "chat": Patch()}.items())
    assert errors(judge(Fleet("demo", None, members))) == {"FLT113"}


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("meta-llama/Llama-3.1-8B", "mistralai/Mistral-7B-v0.1", True),
        ("meta-llama/Llama-3.1-8B", "unsloth/Llama-3.1-8B-bnb-4bit", False),
        ("meta-llama/Llama-3.1-8B", "/data/llama", False),
        ("meta-llama/Llama-3.1-8B", "models/mistral", False),
        ("meta-llama/Llama-3.1-8B", "/c/hub/models--meta-llama--Llama-3.1-8B/snapshots/0e9e39f", False),
        ("./base", "../other", False),
        ("gpt2", "bert-base-cased", False),
    ],
)
def test_only_names_that_surely_mean_other_models_are_told(one: str, other: str, told: bool) -> None:
    bases = {"a": {"base_model_name_or_path": one}, "b": {"base_model_name_or_path": other}}
    assert ("FLT110" in codes(check(bases, ordered=True))) is told


def test_base_weights_saved_along_with_a_tuned_embedding_are_no_change_of_the_base() -> None:
    tuned = Patch(
        config={"target_modules": ["q_proj", "v_proj", "embed_tokens"]},
        tensors={
            f"{EMBEDDING}.lora_embedding_A": ("F32", (8, 64)),
            f"{EMBEDDING}.lora_embedding_B": ("F32", (16, 8)),
            f"{EMBEDDING}.base_layer.weight": ("F32", (64, 16)),
        },
    )
    assert check({"tuned": tuned, "plain": {}}) == []


# -------------------------------------------------------------------------------------------------------- hostile input

KEYS = (
    *("base_model_name_or_path", "bias", "init_lora_weights", "layer_replication", "modules_to_save", "r", "task_type"),
    *("target_modules", "trainable_token_indices", "use_dora", "auto_mapping", "target_parameters"),
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", VALUES, ids=lambda v: repr(v)[:20])
def test_a_value_of_any_type_is_read_without_a_crash(key: str, value: Any) -> None:
    strange = Patch(config={key: value}, tensors={**HEAD.tensors, **with_tokens(1).tensors})
    fleet = {"strange": strange, "again": strange, "head": HEAD, "tokens": with_tokens(1, 2), "labels": CLASSIFIER}
    check(fleet)
    check(fleet, activate=(("strange", "head", "tokens"),), ordered=True)


@pytest.mark.parametrize("value", VALUES, ids=lambda v: repr(v)[:20])
@pytest.mark.parametrize("peft_type", ["VERA", "LN_TUNING", "TRAINABLE_TOKENS", "ROAD", "PROMPT_TUNING", "ADALORA"])
def test_other_types_too(peft_type: str, value: Any) -> None:
    keys = ("projection_prng_key", "save_projection", "token_indices", "variant", "num_virtual_tokens", "r")
    strange = Patch(config={**GOOD_CONFIG, "peft_type": peft_type, **dict.fromkeys(keys, value)})
    check({"strange": strange, "other": {**GOOD_CONFIG, "peft_type": peft_type, "token_indices": [1]}})
    check({"strange": strange, "other": {"peft_type": peft_type}}, activate=(("strange", "other"),))


def test_names_from_files_are_escaped_in_messages() -> None:
    name = "lm_\x1bhead`"  # no `[`: PEFT takes the entries for regular expressions
    evil = Patch(config={"modules_to_save": [name]}, tensors={f"base_model.model.{name}.weight": ("F32", (2,))})
    (found,) = check({"a": evil, "b": evil})
    assert "\x1b" not in found.finding.message
    assert "`lm_\\x1bhead'`" in found.finding.message
