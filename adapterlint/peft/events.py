"""What happens without a word while adapters are loaded and activated: events that rules and stories put into words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapterlint.peft.auxiliary import auxiliaries
from adapterlint.peft.inits import changes_base_on_loading
from adapterlint.peft.model import Model
from adapterlint.peft.modules import walk
from adapterlint.peft.refused import Refused
from adapterlint.peft.weights import Loaded
from adapterlint.peft.wrappers import Auxiliary, TokenWrapper, Tuner, Whole

KINDS = {
    # what PEFT refuses
    "config": "the config itself is refused",
    "weights": "the weights cannot be read",
    "mixed-peft-types": "adapters of two PEFT types",
    "several-biases": "more than one adapter with biases",
    "no-targets": "no module of the base is targeted",
    "base-unsupported": "a method that does not know this kind of base",
    "keeps-cache": "a base that keeps keys and values, which the method does not take",
    "target-unsupported": "a target of a kind that the method does not take",
    "target-parameters": "`target_parameters` that cannot be had here",
    "auxiliary-on-tuner": "an auxiliary module where a tuner layer is",
    "auxiliary-on-container": "an auxiliary module on a list of modules",
    "auxiliary-not-in-file": "a module is wrapped whose tensors no file has",
    "module-not-in-file": "the file lacks a tensor of a whole module",
    "tokens-block-later-adapter": "the file lacks token rows that the model insists on",
    "tokens-match-nothing": "token rows for a module that is not there",
    "token-out-of-range": "a token index outside of the vocabulary",
    "tokens-and-whole": "token rows and a whole module in one place",
    "module-against-tokens": "token rows on a module that another adapter brought",
    "auxiliary-overlap": "two active adapters own one auxiliary module",
    "one-active-only": "a method of which one adapter can be active",
    "shared-projections": "projections that adapters share do not fit",
    "size-mismatch": "a tensor of another shape",
    "unfit-sizes": "sizes of a module that the config does not fit, as those that its blocks do not divide",
    "too-few-layers": "an adapter of more layers than the model has",
    "bd-lora": "block-diagonal factors that a target cannot have",
    "prompt-missing": "the prompt is not in the file",
    "task-type": "a method that cannot be used for the task",
    "tied": "tied embeddings that cannot be tied here",
    "kasa": "KaSA beside adapters without it",
    "one-of-a-kind": "a method of which a model has one adapter",
    "expert": "an expert that cannot be loaded",
    "name": "a name that torch does not take",
    "old-format": "a format that is no longer read",
    # what PEFT refuses when loaded adapters are merged, weighted, mixed in a batch or swapped
    "no-merging": "a method that cannot be merged",
    "merged-with-whole": "a method that merges several adapters only if none has modules of its own",
    "merged-beside-whole": "a whole module that stands in the way of merging",
    "merged-without-rows": "token rows that the named adapter does not have",
    "merged-without-bias": "a trained bias that the layer of the base lacks",
    "token-rows-overlap": "two adapters replace the same token rows",
    "no-weighting": "a method without `add_weighted_adapter`",
    "weighted-parameters": "`target_parameters`, which cannot be weighted",
    "weighted-whole": "two adapters bring the same module whole",
    "weighted-ranks": "ranks that differ",
    "weighted-targets": "`target_modules` of different types",
    "weighted-nothing": "a layer of the new adapter that no source has",
    "mixed-batch-stranger": "an adapter without a layer in the model",
    "mixed-batch-layer": "a layer that takes no mixed batches",
    "mixed-batch-module": "an auxiliary module that takes no mixed batches",
    "mixed-batch-owner": "an auxiliary module that one of the adapters does not have",
    "no-hot-swap": "a method that cannot be hot-swapped",
    "swap-config": "configs that differ in what a swap leaves as it is",
    "swap-unexpected": "tensors of layers that the loaded adapter does not have",
    "swap-key": "tensors that are not of LoRA layers",
    "key-mapping": "names of tensors that cannot be mapped to those of the base",
    # what nobody says
    "merged-otherwise": "a layer is merged otherwise than it is run",
    "merged-into-tied": "what is merged into a weight changes another module with the same weight",
    "weighted-approximately": "the new adapter comes near to the sum of its sources",
    "weighted-scale": "the scaling of the new adapter is another one",
    "weighted-magnitude": "the magnitudes of DoRA are not taken over",
    "weighted-bias": "the bias of LoRA layers is not taken over",
    "mixed-batch-ignored": "all rows of a mixed batch get the active adapter",
    "layer-not-as-active": "tuned layers give something else than the adapters when they are active",
    "auxiliary-not-as-active": "an auxiliary module gives something else than the adapters when they are active",
    "base-weights-overwritten": "weights of the base are overwritten",
    "base-biases-overwritten": "biases of the base are overwritten",
    "base-decomposed": "the base is decomposed anew",
    "layers-replicated": "layers of the base are replicated",
    "tensors-unexpected": "tensors reach no parameter",
    "parameters-missing": "parameters keep their initial values",
    "auxiliary-active-early": "an auxiliary module of an inactive adapter is active",
    "tuner-inside-module-to-save": "tuner layers end up inside of another adapter's module",
    "tied-embeddings-split": "one end of tied embeddings goes its own way",
    "auxiliary-stale": "an auxiliary module stays with an adapter that is not active",
}
"""Kind of event -> what it is about."""
PASSES = {
    "base-weights-overwritten": "overwritten",
    "base-biases-overwritten": "overwritten",
    "auxiliary-overlap": "activation",
    "auxiliary-stale": "activation",
}
"""Kind of event -> the pass over all modules in which it is found; others have one of their own."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a step.

    Args:
        kind: One of `KINDS`.
        module: Path of the module in the base; empty if it is about none.
        adapters: The adapters concerned.
    """

    kind: str
    module: str = ""
    adapters: tuple[str, ...] = ()


def after_refusal(model: Model, error: Refused, *names: str) -> Iterator[Event]:
    """The event of a refusal, with the adapters that are in the way."""
    if not error.cause:
        return
    others: list[str] = []
    for path, module in walk(model.root):
        if path == error.module and isinstance(module, Auxiliary):
            others = sorted(module.adapters)
        elif path == error.module and isinstance(module, Tuner):
            others = list(module.adapters)
    yield Event(error.cause, error.module, tuple(dict.fromkeys([*(o for o in others if o not in names), *names])))


def after_load(model: Model, name: str, loaded: Loaded) -> Iterator[Event]:
    """What a load has done silently."""
    config = model.configs[name]
    for key in loaded.overwritten:
        path, _, parameter = key.removeprefix(f"{model.prefix}.").rpartition(".")
        kind = "base-biases-overwritten" if parameter == "bias" else "base-weights-overwritten"
        yield Event(kind, path, (name,))
    if changes_base_on_loading(config.get("init_lora_weights")):
        yield Event("base-decomposed", "", (name,))
    if config.get("layer_replication"):
        yield Event("layers-replicated", "", (name,))
    if loaded.unexpected:
        yield Event("tensors-unexpected", "", (name,))
    if loaded.missing:
        yield Event("parameters-missing", "", (name,))
    yield from _active_early(model, name)
    yield from _inside_whole(model, name)
    yield from _tied_split(model, name)


def _active_early(model: Model, name: str) -> Iterator[Event]:
    if name == model.current:
        return
    for path, wrapper in auxiliaries(model.root):
        if name in wrapper.active and not wrapper.disabled:
            yield Event("auxiliary-active-early", path, (name, model.current))


def _inside_whole(model: Model, name: str) -> Iterator[Event]:
    outer: tuple[str, Whole] | None = None
    told: set[str] = set()
    for path, module in walk(model.root):
        if isinstance(module, Whole):
            outer = (path, module)
        elif isinstance(module, Tuner) and name in module.adapters and outer and path.startswith(f"{outer[0]}."):
            new = outer[0] not in told
            told.add(outer[0])
            if new:
                yield Event("tuner-inside-module-to-save", outer[0], (*sorted(outer[1].adapters), name))


def _tied_split(model: Model, name: str) -> Iterator[Event]:
    if not model.tied:
        return
    owned = {path for path, wrapper in auxiliaries(model.root) if name in wrapper.adapters}
    for group in model.tree.tied:
        ends = {parameter.rpartition(".")[0] for parameter in group} | {model.tree.input_embeddings or ""}
        if owned & ends and not owned >= {end for end in ends if not end.endswith("shared")}:
            yield Event("tied-embeddings-split", sorted(owned & ends)[0], (name,))


def after_activation(model: Model, names: tuple[str, ...]) -> Iterator[Event]:
    """What is wrong with auxiliary modules after a set was activated."""
    for path, wrapper in auxiliaries(model.root):
        owners = [name for name in names if name in wrapper.adapters]
        if len(owners) > 1:
            yield Event("auxiliary-overlap", path, tuple(owners))
        elif (wrapper.active if not wrapper.disabled else []) != owners:
            if isinstance(wrapper, TokenWrapper) and wrapper.layer.tied is not None and not wrapper.active:
                continue
            yield Event("auxiliary-stale", path, tuple(dict.fromkeys([*wrapper.active, *owners])))
