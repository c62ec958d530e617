"""Entries of the catalogue: methods that run something beside the whole model, a smaller one or a mixer of adapters."""

from __future__ import annotations

from adapterlint.peft.methods.config_class import LAYERS, ConfigClass
from adapterlint.peft.methods.method import Method, Together
from adapterlint.peft.methods.parameter import EVERY_KIND, Form, Parameter
from adapterlint.peft.methods.shapes import UNKNOWN, either, function, given, key, multiple, term

# A smaller model runs beside the base, and is mixed into each of its layers. What it has is in `peft/shadow.py`.
SHADOW = Method(
    name="SHADOW",
    since="0.21",
    prefix="shadow_",
    layer="ShadowLayer",
    forms=(Form(on=EVERY_KIND, parameters=()),),
    layers_only=False,
    config=ConfigClass(beside_pattern=LAYERS, unread=("layers_to_transform",)),
    saved_as="default",
    together=Together.ONE,
    refusal="`base_model.set_adapter` raises `ValueError: ShadowPEFT requires exactly one active adapter`",
    merges=False,
)

_DEPTH, _EXPERTS = key("xlora_depth"), function("len", len, key("adapters"))
_EXPERTS_ON_LAYERS = multiple("layers of the experts * len(adapters)", _EXPERTS)
_MAX_DEPTH = 8  # of classifiers whose layers are compared; they have one or two
_WITH_DROPOUT = 3


def _classifier_layer(number: int, step: int) -> tuple[Parameter, Parameter]:
    """A linear layer of X-LoRA's classifier.

    Args:
        number: Which one of them it is.
        step: One layer is that many places behind another: activations stand between them, and dropouts if there are.
    """
    place = number * step
    dropout = given("xlora_dropout_p")
    there = either((dropout if step == _WITH_DROPOUT else ~dropout) & (number < _DEPTH), 1, 0)
    inputs = key("xlora_size") if number else key("hidden_size")
    last = either(given("layerwise_scalings"), _EXPERTS_ON_LAYERS, _EXPERTS)
    outputs = either(number + 1 < _DEPTH, key("xlora_size"), last)
    # Since 0.20 what has the number of an expert in its name is lost on saving.
    saved = ~(term(place) < _EXPERTS)
    name = f"internal_xlora_classifier.layers.{place}"
    return (
        Parameter(f"{name}.weight", (outputs, inputs), count=there, saved=saved),
        Parameter(f"{name}.bias", (outputs,), count=there, saved=saved),
    )


_STEPS = (2, _WITH_DROPOUT)
_CLASSIFIER = (one for step in _STEPS for number in range(_MAX_DEPTH) for one in _classifier_layer(number, step))
_DEEPER = (
    Parameter("internal_xlora_classifier.layers.#.weight", (UNKNOWN, UNKNOWN), count=UNKNOWN),
    Parameter("internal_xlora_classifier.layers.#.bias", (UNKNOWN,), count=UNKNOWN),
)

# A classifier of what the model reads mixes LoRA adapters, which stay in files of their own.
XLORA = Method(
    name="XLORA",
    since="0.12",
    prefix="xlora_",
    top=(*_CLASSIFIER, *_DEEPER),
    matches_targets=False,
    layers_of="LORA",
    layers_only=False,
    base_at="base_model.lora_model.model",
    names_adapter=False,
)
