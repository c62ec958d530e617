"""What parameters hold before they are trained, and where a file lacks them: as PEFT begins them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from recorded_methods import Begun, adapters, bases, beginnings, loaded, transformers_of

from adapterlint.base.tree import Kind
from adapterlint.peft.loading import create
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.expected import form_on, ground_on, made_on
from adapterlint.peft.methods.parameter import Begins
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Value, walk
from adapterlint.peft.opened import open_config
from adapterlint.peft.releases import line_of, numbers
from adapterlint.peft.tensor_names import saved_name
from adapterlint.peft.versions import Versions
from adapterlint.peft.weights import tuner_keys
from adapterlint.peft.wrappers import Tuner

ME = "default"
DECOMPOSED = {"lora-olora", "lora-pissa", "lora-pissa-niter"}
ROUNDABOUT = DECOMPOSED | {"lora-kasa", "lora-replication"}
"""New adapters that change the base: some undo that, in others the change is what is seen."""
DERIVED = {"lora-olora", "lora-pissa", "lora-mica", "lora-mica-embedding", "oft-conv", "oft-conv@0.17.1"}
"""Adapters of which some parameters are said to be random that come from the weight, or change the base as zeros."""
UNUSED = {"lora-velora-random"}
"""Its projection is random, and no more than a backward pass uses it."""


@cache
def created(name: str) -> Model:
    """A recorded adapter's base with a new adapter of its config."""
    one = adapters()[name]
    beside = transformers_of(one.made_with)
    model = Model(bases()[one.base].tree(beside), Versions(numbers(line_of(one.made_with)), numbers(beside)))
    create(model, ME, open_config(loaded(name), model.release))
    return model


def in_layers() -> Iterator[tuple[str, Begun, dict[str, Value], frozenset[str]]]:
    """Adapters of methods with layers: the name, how PEFT begins, what parameters are said to hold, the idle ones."""
    for name, begun in beginnings().items():
        if METHODS[adapters()[name].peft_type].prompt_learning:
            continue  # a file that lacks its prompt is not loaded
        model = created(name)
        config = model.configs[ME]
        values = {saved_name(key, ME, config): param.value for key, param in tuner_keys(model, ME).items()}
        method = METHODS[config.peft_type]
        idle = {one.attribute for one in method.parameters() if one.begins is Begins.IDLE}
        yield name, begun, values, frozenset(k for k in values if not idle.isdisjoint(k.split(".")))


def test_every_adapter_that_can_be_made_anew_was() -> None:
    left_out = {adapters()[name].peft_type for name in adapters().keys() - beginnings().keys()}
    assert left_out == {"LORA", "SHADOW", "XLORA"}
    lora = {name for name in adapters().keys() - beginnings().keys() if adapters()[name].peft_type == "LORA"}
    assert lora == {"lora-arrow", "lora-corda", "lora-corda-ipm"}


def test_what_is_said_to_be_the_same_each_time_is_not_random() -> None:
    """But for parameters that are random and leave the adapter without effect all the same."""
    wrong, compared = {}, 0
    for name, begun, values, idle in in_layers():
        same = {key for key, value in values.items() if value == ("initial",)} - idle
        compared += len(same & (begun.random | begun.same))
        if found := same & begun.random:
            wrong[name] = sorted(found)
    assert set(wrong) == UNUSED
    assert compared > 100


def test_what_is_said_to_be_random_is_another_one_each_time() -> None:
    wrong = {}
    for name, begun, values, _ in in_layers():
        random = {key for key, value in values.items() if value[0] == "random"}
        if found := {key for key in random & begun.same if not _kin(key) & {k for r in begun.random for k in _kin(r)}}:
            wrong[name] = sorted(found)
    assert set(wrong) == DERIVED


def _kin(key: str) -> frozenset[str]:
    """What is equal in the names of parameters of one kind."""
    parts = key.split(".")
    return frozenset({parts[-1] if not parts[-1].isdigit() and parts[-1] != "weight" else parts[-2]})


@pytest.mark.parametrize(("release", "begins"), [("0.20.0", Begins.IDLE), ("0.21.2", Begins.NOISE)])
def test_osf_asks_how_to_begin_since_0_21(release: str, begins: Begins) -> None:
    """Up to then a new adapter is what the weight is made of, whatever `init_weights` says."""
    form = form_on("OSF", Kind.LINEAR, release)
    assert form is not None
    ground = ground_on({"init_weights": False, "effective_rank": 2}, Kind.LINEAR, (8, 8), True, frozenset())
    made = list(made_on(form.parameters, ground, release))
    assert [(one.name, one.shape) for one in made] == [
        ("osf_svd_params.U_low", (8, 6)),
        ("osf_svd_params.S_low", (6,)),
        ("osf_svd_params.V_low", (6, 8)),
    ]
    assert {one.begins for one in made} == {begins}


def test_a_new_adapter_is_idle_where_peft_begins_it_so() -> None:
    wrong, compared = set(), 0
    for name, begun, _, _ in in_layers():
        tuned = [
            one for _, layer in walk(created(name).root) if isinstance(layer, Tuner) for one in layer.adapters.values()
        ]
        if begun.idle is None or not tuned or METHODS[adapters()[name].peft_type].counts_targets:
            continue  # what makes TinyLoRA idle stands at the top
        compared += 1
        if all(one.idle for one in tuned) != begun.idle:
            wrong.add(name)
    assert wrong == ROUNDABOUT
    assert compared > 200
