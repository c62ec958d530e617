"""The catalogue tells the tensors of a file, each with its shape, by config and base alone: as PEFT saved them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from recorded import adapters_of, recorded
from recorded import bases as bases_of_fleets
from recorded_methods import adapters, bases, loaded, transformers_of

from adapterlint.adapter import Adapter
from adapterlint.base.tree import ModuleTree
from adapterlint.peft.loading import create
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.expected import form_on, ground_on, made_on
from adapterlint.peft.model import Model
from adapterlint.peft.modules import shape_in, walk
from adapterlint.peft.opened import OpenedConfig, open_config
from adapterlint.peft.releases import line_of, numbers
from adapterlint.peft.tensor_names import saved_name
from adapterlint.peft.versions import Versions
from adapterlint.peft.weights import MAGNITUDE, saved_keys, tuner_keys
from adapterlint.peft.wrappers import Tuner, unwrapped

Shape = tuple[int, ...] | None  # `None`: not even the number of dimensions; a negative size: any multiple of it
ME = "default"


def told(adapter: Adapter, tree: ModuleTree, peft: str, transformers: str) -> dict[str, Shape]:
    """The tensors of its method that the file of an adapter has to have."""
    model = Model(tree, Versions(numbers(line_of(peft)), numbers(transformers)))
    config = open_config(adapter, model.release)
    model.experts = adapter.experts
    create(model, ME, config)
    if config.prompt_learning:
        return {name: param.shape for name, param in model.prompts[ME].items()}
    own, state = tuner_keys(model, ME), model.state()
    wanted = saved_keys(model, ME, config, own, state) | {_in_file(k, config) for k in own if _is_remade(k, config)}
    shapes = {_in_file(key, config): param.shape for key, param in own.items()}
    return {name: shape for name, shape in shapes.items() if name in wanted} | dict(_in_files_alone(model, config))


def _in_file(key: str, config: OpenedConfig) -> str:
    return saved_name(key, ME, config).replace(f"{MAGNITUDE}.weight", MAGNITUDE)


def _is_remade(key: str, config: OpenedConfig) -> bool:
    """Whether a file has it, though PEFT goes on without it."""
    entries = [one for one in METHODS[config.peft_type].parameters() if f".{one.attribute}." in key]
    return any(one.remade or one.attribute == MAGNITUDE for one in entries)


def _in_files_alone(model: Model, config: OpenedConfig) -> Iterator[tuple[str, Shape]]:
    """What stands for something else that is in the model."""
    for path, layer in walk(model.root, model.prefix):
        if isinstance(layer, Tuner):
            module = unwrapped(layer)
            form = form_on(config.peft_type, module.kind, model.release)
            weight, bias = shape_in(module, "weight"), "bias" in module.params
            ground = ground_on(config, module.kind, weight, bias, frozenset())
            for one in made_on(form.parameters, ground, model.release) if form is not None else ():
                if one.parameter.file_only:
                    yield f"{path}.{one.name}", one.sizes


def has(adapter: Adapter) -> dict[str, Shape]:
    """The tensors of its method that a file has."""
    assert adapter.config is not None
    assert adapter.header is not None
    method = METHODS[adapter.config.peft_type]
    own = {one.attribute for one in method.parameters()} | {method.copies}

    def is_own(name: str) -> bool:
        return any(part in own or (method.prefix and part.startswith(method.prefix)) for part in name.split("."))

    return {name: tensor.shape for name, tensor in adapter.header.tensors.items() if is_own(name)}


def differences(told: Mapping[str, Shape], has: Mapping[str, Shape]) -> dict[str, tuple[object, object]]:
    """What is told and not there, there and not told, or of another shape."""
    names = sorted(told.keys() | has.keys())
    pairs = {name: (told.get(name, "nothing"), has.get(name, "nothing")) for name in names}
    return {n: (a, b) for n, (a, b) in pairs.items() if "nothing" in (a, b) or not _may_be(told[n], has[n])}


def _may_be(told: Shape, has: Shape) -> bool:
    if told is None or has is None:
        return told is None
    return len(told) == len(has) and all(a == b or (a < 0 and b % a == 0) for a, b in zip(told, has, strict=True))


def is_open(told: Mapping[str, Shape]) -> bool:
    """Whether some size is left open."""
    return any(shape is None or min(shape, default=0) < 0 for shape in told.values())


GROUPS = "input channels of a convolution: those of one group times the groups, which no checkpoint tells"
CLUSTERS = "how many rows a subspace has comes out of clustering the numbers of the weight"
OPEN = {
    **dict.fromkeys(("ia3-convolutions", "lora-layers-all"), GROUPS),
    **dict.fromkeys(("lora-layers-bias", "lora-layers-dora", "lora-layers-ranks", "lora-siglip", "lora-vit"), GROUPS),
    **dict.fromkeys(("lora-wav2vec2", "lora-whisper-convolution"), GROUPS),
    **dict.fromkeys(("oft-conv", "oft-conv@0.15.2", "oft-conv@0.17.1"), GROUPS),
    **{f"adamss-{variant}": CLUSTERS for variant in ("asa", "dynamic", "no-init", "plain", "ranks")},
}
"""Adapters of which some sizes are left open."""
ELSEWHERE = {
    "adalora-pruned": "ranks that pruning left stand in `rank_pattern`; loading cuts the parameters to them",
}
"""Adapters whose tensors are told by something else than config and base."""
NOT_MADE_ANEW = {"lora-arrow", "lora-corda", "lora-corda-ipm"}
"""Adapters whose config PEFT itself refuses in a fresh base."""


def made() -> Iterator[tuple[str, dict[str, Shape], dict[str, Shape]]]:
    """Every adapter that its own release loads again: its name, what is told of its file, and what that has."""
    for name, one in adapters().items():
        if name not in NOT_MADE_ANEW:
            adapter, transformers = loaded(name), transformers_of(one.made_with)
            yield name, told(adapter, bases()[one.base].tree(transformers), one.made_with, transformers), has(adapter)


def test_what_is_told_of_a_file_is_what_peft_saved() -> None:
    wrong = {name: found for name, told, has in made() if (found := differences(told, has))}
    assert {name: found for name, found in wrong.items() if name not in ELSEWHERE} == {}
    assert set(wrong) == set(ELSEWHERE)


def test_no_size_is_left_open_that_config_and_base_tell() -> None:
    assert {name for name, told, _ in made() if is_open(told)} - set(ELSEWHERE) == set(OPEN)


def test_configs_that_peft_refuses_in_a_fresh_base_are_not_asked_about() -> None:
    refused = {name for name, one in adapters().items() if not one.truth[one.made_with].loads}
    assert refused == NOT_MADE_ANEW


@pytest.mark.parametrize("name", ["fleets", "second", "rare", "special", "third"])
def test_what_is_told_of_the_file_of_a_member_is_what_peft_saved(name: str) -> None:
    wrong, compared = {}, 0
    for fleet in recorded(name):
        release = fleet["made_with"]
        truth = fleet["truth"][release]
        tree = bases_of_fleets(truth["transformers"][:1])[fleet["base"]].tree(truth["transformers"])
        for path, adapter in adapters_of(fleet).items():
            alone = truth["alone"][path]
            if path in fleet["mutations"] or not alone["loads"] or alone.get("missing") or alone.get("unexpected"):
                continue  # damaged, or trained on another base
            compared += 1
            found = told(adapter, tree, release, truth["transformers"])
            if release == "0.17.1":  # it takes the adapter's name out of a key wherever that begins a part of it
                found = {name.replace(f".{path}", ""): shape for name, shape in found.items()}
            if difference := differences(found, has(adapter)):
                wrong[fleet["id"], path] = difference
    assert wrong == {}
    assert compared > 60
