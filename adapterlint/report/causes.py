"""The kinds of events as sentences: what happened, to whom."""

from __future__ import annotations

from collections.abc import Mapping

# {m} modules, {n} who was loaded or activated, {o} who was there before.
SENTENCES: Mapping[str, str] = {
    "config": "the config of {n} is refused, whatever the base",
    "weights": "the weights of {n} are missing or cannot be read",
    "mixed-peft-types": "{n} is of another PEFT type than {o}, and one model takes one type",
    "several-biases": "{n} trains biases as {o} does, and one adapter of a model may",
    "no-targets": "no module of this base is a target of {n}",
    "base-unsupported": "the method of {n} does not work with this kind of base",
    "keeps-cache": "the base keeps keys and values, which the method of {n} does not take",
    "target-unsupported": "{n} targets {m}, a kind of module that its method does not take",
    "target-parameters": "the `target_parameters` of {n} cannot be had here",
    "auxiliary-on-tuner": "{n} brings {m} whole, where {o} has put a tuner layer",
    "auxiliary-on-container": "{n} names {m} in `modules_to_save`, which is a list of modules",
    "auxiliary-not-in-file": "{n} wraps a module whose tensors no file can have",
    "module-not-in-file": "{m} is wrapped, and the file of {n} lacks a tensor of it",
    "tokens-block-later-adapter": (
        "{o} has token rows of {m}; PEFT then wants some of every later adapter, and {n} has none"
    ),
    "tokens-match-nothing": "{n} replaces token rows of a module that this base does not have",
    "token-out-of-range": "{n} has a token index beyond the rows of {m}",
    "tokens-and-whole": "{n} wants both token rows and a whole copy of {m}",
    "module-against-tokens": "{n} replaces token rows of {m}, of which {o} has a whole copy",
    "auxiliary-overlap": "{m} is brought by {n}, and only one copy can be active",
    "one-active-only": "this method has one active adapter at a time",
    "shared-projections": "the projections that {n} shares with {o} do not fit",
    "size-mismatch": "a tensor of {n} has another shape than {m} in this base",
    "unfit-sizes": "what the config of {n} asks for does not fit the sizes of {m}",
    "too-few-layers": "{n} is for more layers than this base has",
    "bd-lora": "the settings of BD-LoRA in {n} do not fit {m}",
    "prompt-missing": "the file of {n} has no prompt",
    "task-type": "{n} is of a method that cannot be used for this task",
    "tied": "{n} wants tied embeddings that cannot be tied here",
    "kasa": "{n} uses KaSA, and {o} does not, or the other way round",
    "one-of-a-kind": "a model has one adapter of the method of {n}",
    "expert": "an expert of {n} is not where its config says, or cannot be one",
    "name": "torch takes no module with the name of {n}",
    "old-format": "{n} is in a format that this release no longer reads",
    "key-mapping": "the names of tensors in {n} do not begin as PEFT needs it to map them to those of the base",
    "base-weights-overwritten": "weights of the base are overwritten in {m}, for every adapter",
    "base-biases-overwritten": "biases of the base are overwritten in {m}, for every adapter",
    "base-decomposed": "the weights of the base are decomposed anew: the base and all adapters on it change",
    "layers-replicated": "{n} replicates layers of the base, which the base and all adapters on it run through then",
    "tensors-unexpected": "some of its tensors reach no parameter and are dropped",
    "parameters-missing": "some of its parameters are not in the file and keep their initial values",
    "auxiliary-active-early": "its {m} is active at once, though the adapter is not; `set_adapter` after the last load",
    "tuner-inside-module-to-save": "its tuner layers end up inside of {m}, which {o} brings whole",
    "tied-embeddings-split": "{m} is one end of tied embeddings, and goes its own way",
    "auxiliary-stale": "{m} does not follow: it stays with an adapter that is not active, or is off",
    # when adapters are merged, weighted, mixed in a batch or swapped
    "no-merging": "this method cannot be merged",
    "merged-with-whole": "this method merges several adapters only if none of them has `modules_to_save`",
    "merged-beside-whole": "{m} is brought whole, and merging stumbles over it where it is off or not a plain layer",
    "merged-without-rows": "PEFT looks for token rows of {m} in every adapter that is named, and {n} has not all",
    "merged-without-bias": "there is a trained bias for {m}, and the base has none there",
    "token-rows-overlap": "{n} replaces the same token rows of {m}",
    "no-weighting": "this method has no `add_weighted_adapter`",
    "weighted-parameters": "adapters with `target_parameters` cannot be weighted",
    "weighted-whole": "{m} is brought by {n}, and copies cannot be weighted",
    "weighted-ranks": "ranks differ, or are too many for the new adapter",
    "weighted-targets": "`target_modules` is a list in one config and a pattern in another",
    "weighted-nothing": "the new adapter would also tune {m}, where none of its sources has anything",
    "mixed-batch-stranger": "{n} has no layer that takes a row",
    "mixed-batch-layer": "the layer at {m} takes no mixed batches (DoRA, `target_parameters`, AdaLoRA)",
    "mixed-batch-module": "{m} is an auxiliary module of a kind that takes no mixed batches",
    "mixed-batch-owner": "{m} is an auxiliary module of one of them, and every adapter of the batch has to have it",
    "no-hot-swap": "this method cannot be hot-swapped",
    "swap-config": "the configs differ in what a swap leaves as it is",
    "swap-unexpected": "{n} has layers that {o} has not, as {m}",
    "swap-key": "{n} has tensors that are not of LoRA layers, as for {m}",
    "merged-otherwise": "{m} gives something else than active",
    "merged-into-tied": "what is merged into {m} changes another module too, which shares its weight",
    "weighted-approximately": "the result only comes near to the sum in {m}",
    "weighted-scale": "another scaling applies in {m}",
    "weighted-magnitude": "the magnitudes of DoRA are lost in {m}",
    "weighted-bias": "the bias of {m} is lost",
    "mixed-batch-ignored": "all rows get the active adapter",
    "layer-not-as-active": "{m} silently gives something else than it should",
    "auxiliary-not-as-active": "silently left out, and left as before: {m}",
    # of plans
    "forward": "a forward pass raises",
    "unfaithful": "{n} silently gives something else than alone",
}
"""Kind of event -> a sentence without a full stop."""


def sentence(kind: str, *, modules: str, new: str, old: str) -> str:
    """What happened; nothing for a refusal of no kind."""
    form = SENTENCES.get(kind, "")
    return form.format(m=modules or "a module", n=new, o=old or "an adapter before it")
