"""Simulations as stories: what every step says, short, and safe for a terminal."""

from __future__ import annotations

from typing import Any

from adapterlint.lint.example import DROP, FleetPatch, Patch, Shape, base_of, with_tokens
from adapterlint.peft.events import KINDS
from adapterlint.report.causes import SENTENCES
from adapterlint.report.layers import names, paths
from adapterlint.report.story import is_fine, story
from adapterlint.simulation import Simulation, simulate

HEAD = Patch(config={"modules_to_save": ["lm_head"]}, tensors={"base_model.model.lm_head.weight": ("F32", (64, 16))})


Sets = tuple[tuple[str, ...], ...]


def simulated(members: dict[str, Patch], activate: Sets = (), *, peft: str = "0.21.2") -> Simulation:
    fleet = FleetPatch(members, base={})
    adapters = fleet.adapters()
    return simulate(adapters.values(), names=list(adapters), base=base_of(fleet), peft=peft, activate=activate)


def told(members: dict[str, Patch], activate: Sets = ()) -> list[str]:
    return story(simulated(members, activate)).splitlines()


def test_every_kind_of_event_has_a_sentence() -> None:
    assert KINDS.keys() <= SENTENCES.keys()


def test_every_sentence_can_be_filled() -> None:
    for form in SENTENCES.values():
        assert "{" not in form.format(m="lm_head", n="de", o="fr")


def test_a_load_says_what_the_adapter_touches_with_layers_drawn_together() -> None:
    lines = told({"de": Patch()})
    assert lines[2] == "1. load de: ok"
    assert lines[3] == "     tunes model.layers.*.self_attn.q_proj (2) and model.layers.*.self_attn.v_proj (2)"


def test_loads_of_which_the_same_is_told_are_told_once() -> None:
    lines = told({"a": Patch(), "b": Patch(), "c": Patch()})
    assert lines[2] == "1-3. load a, b and c: ok"


def test_the_first_load_that_cannot_be_decided_says_that_nothing_is_known_from_there_on() -> None:
    odd = Patch(config={"target_modules": 5})
    lines = told({"a": Patch(), "odd": odd, "c": Patch()}, (("a", "c"),))
    assert "2. load odd: unknown" in lines
    said = [line for line in lines if "so what follows is not known either" in line]
    assert len(said) == 1
    assert lines.index(said[0]) < lines.index("3. load c: unknown")
    assert not any("what follows" in line for line in told({"a": Patch(), "odd": odd}))


def test_a_refusal_has_class_text_and_cause() -> None:
    text = "\n".join(told({"tokens": with_tokens(5), "plain": Patch()}))
    assert "2. load plain: raises" in text
    assert "KeyError: 'base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta'" in text
    assert (
        "tokens has token rows of model.embed_tokens; PEFT then wants some of every later adapter, and it has none"
        in text
    )
    assert "  plain: not loaded" in text


def test_only_auxiliary_modules_that_change_are_told() -> None:
    lines = told({"a": HEAD, "b": HEAD}, (("b",), ("b",)))
    assert [line.strip() for line in lines if "lm_head:" in line] == ["lm_head: a active", "lm_head: b active"]


def test_an_accepted_activation_that_gives_something_else_is_silently_wrong() -> None:
    """PEFT before 0.18 leaves `lm_head` with the adapter that was active before."""
    old = simulated({"a": HEAD, "b": HEAD}, (("a", "b"),), peft="0.17.1")
    assert "3. activate a and b: silently wrong" in story(old)
    assert not is_fine(old)
    new = simulated({"a": HEAD, "b": HEAD}, (("a", "b"),))
    assert "3. activate a and b: raises" in story(new)
    assert not is_fine(new)


def test_the_end_says_what_became_of_each_adapter_and_of_the_base() -> None:
    lines = told({"a": HEAD, "b": HEAD})
    end = lines[lines.index("after all loads, switched to one at a time:") + 1 :]
    assert end == ["  a and b: what it gives alone", "  the base: unchanged without adapters"]


def test_healthy_adapters_are_fine_and_refused_ones_are_not() -> None:
    assert is_fine(simulated({"a": Patch(), "b": Patch()}))
    assert not is_fine(simulated({"a": Patch(config={"r": 4})}))


def test_no_control_character_reaches_the_terminal() -> None:
    evil = "\x1b[31m\u202e"
    tensors: dict[str, Shape] = {f"base_model.model.{evil}.weight": ("F32", (1,))}
    patch = Patch(config={"target_modules": ["q_proj", "v_proj", evil]}, tensors=tensors)
    members = {"a" + evil: patch, "b": Patch(config={"target_modules": [evil]})}
    text = story(simulated(members, (("a" + evil,),)))
    assert all(line.isprintable() for line in text.splitlines())


def test_a_secret_in_a_name_is_not_told() -> None:
    token = "hf_" + "a1B2" * 8
    tensors: dict[str, Any] = {"*": DROP, f"base_model.model.{token}.lora_A.weight": ("F32", (8, 16))}
    text = story(simulated({"de": Patch(config={"target_modules": [token]}, tensors=tensors)}))
    assert token not in text


def test_modules_of_one_name_are_written_once_and_long_lists_are_cut() -> None:
    assert paths(f"h.{i}.q.base_layer" for i in range(32)) == "h.*.q (32)"
    assert paths(["a", "b"]) == "a and b"
    assert paths("abcdefgh") == "a, b, c, d, e and 3 more modules"
    assert names([f"a{i}" for i in range(1000)]) == "a0, a1, a2, a3, a4, a5, a6 and 993 more"
