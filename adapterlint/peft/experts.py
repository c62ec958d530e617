"""X-LoRA: LoRA adapters of other folders, mixed by a classifier, which is all that the adapter's own file has.

Follows `peft/tuners/xlora/model.py` and `classifier.py`, 0.15 to 0.21.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from adapterlint.base.tree import Shape
from adapterlint.base.widths import width_of
from adapterlint.peft.activation import set_tuners
from adapterlint.peft.auxiliary import switch
from adapterlint.peft.fields import fields_of
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Param, walk
from adapterlint.peft.opened import OpenedConfig, open_config
from adapterlint.peft.refused import UNDECIDED, Refused, Undecided
from adapterlint.peft.weights import load_tensors
from adapterlint.peft.weights_files import HUB_ID, parameters_in, tensors_in
from adapterlint.peft.wrappers import Tuner

Inject = Callable[[Model, str, OpenedConfig], None]

_MIXED = ("Linear", "Embedding", "Conv2d")  # layers of LoRA that are mixed
DEFAULT_WIDTH = 4096  # of hidden states (`XLoraConfig.__post_init__`)
CLASSIFIER = "base_model.internal_xlora_classifier.layers"


def mix_experts(model: Model, adapter: str, config: OpenedConfig, inject: Inject) -> None:
    """`XLoraModel.__init__`.

    Args:
        inject: Puts the layers of a LoRA adapter into the model.

    Raises:
        Refused: PEFT raises.
        Undecided: An expert may be on the Hub, or not enough is known of the base.
    """
    if model.tree.partial or not model.tree.config:
        raise Undecided
    if len(model.configs) > 1:
        text = "'XLoraConfig' object has no attribute 'target_modules'"
        raise Refused("AttributeError", text, cause="one-of-a-kind")
    base = model.tree.config
    if "use_cache" not in base and "transformers_version" not in base:
        raise Undecided  # transformers writes it where a model has it, and most have it
    if base.get("use_cache"):
        raise Refused("ValueError", "`use_cache` must be False", cause="keeps-cache")
    adapters = config.get("adapters") or {}
    for number, path in enumerate(adapters.values()):
        _load_expert(model, str(number), path, inject)
    names = list(adapters)
    if model.versions.peft >= (0, 18):
        switch(model.root, names, model.versions)
    set_tuners(model.root, names, model.layers_of)
    model.active = model.mixed = names
    classes = len(names)
    layers = sum(isinstance(module, Tuner) and module.type in _MIXED for _, module in walk(model.root))
    draw = ("random", model.random())
    model.beside[adapter] = {
        f"{CLASSIFIER}.{name}": Param(shape, draw) for name, shape in _classifier(config, classes, layers)
    }


def _classifier(config: Mapping[str, Any], classes: int, layers: int) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of `XLoraClassifier.layers`: linear ones, with an activation and a dropout between them."""
    hidden, size, depth = (config.get(key) for key in ("hidden_size", "xlora_size", "xlora_depth"))
    outputs = classes * layers if config.get("layerwise_scalings") else classes
    if depth is None:
        raise Refused("TypeError", "'<=' not supported between instances of 'NoneType' and 'int'", cause="config")
    if depth <= 0:
        raise Refused("ValueError", "X-LoRA depth must be strictly positive.", cause="config")
    widths: list[Any] = [DEFAULT_WIDTH if hidden is None else hidden, *[size] * (depth - 1), outputs]
    step = 3 if (config.get("xlora_dropout_p") or 0) > 0 else 2
    for number, (inputs, width) in enumerate(pairwise(widths)):
        yield f"{number * step}.weight", (width, inputs)
        yield f"{number * step}.bias", (width,)


def mixing_error(model: Model) -> str | None:
    """The error of a forward pass of X-LoRA, which runs the base first and takes its last hidden states."""
    if model.peft_type != "XLORA":
        return None
    config = next(config for config in model.configs.values() if config.peft_type == "XLORA")
    base = model.tree.config
    if any(name not in model.configs for name in model.mixed):  # names that the config gives, and PEFT does not
        return "KeyError"
    if model.refuses("input_ids") or base.get("is_encoder_decoder"):
        return "AttributeError"
    width, taken, experts = width_of(base), config.get("hidden_size") or DEFAULT_WIDTH, config.get("adapters")
    if width is None or not experts:
        return UNDECIDED
    return "RuntimeError" if width != taken or (config.get("top_k_lora") or 0) > len(experts) else None


def _load_expert(model: Model, name: str, path: Any, inject: Inject) -> None:
    """`_load_adapter_into_lora_model`: the expert is called by its number."""
    expert = model.experts.get(path) if model.experts is not None and isinstance(path, str) else None
    if expert is None:
        if model.experts is None or not isinstance(path, str) or HUB_ID.fullmatch(path):
            raise Undecided
        raise Refused("ValueError", f"Can't find 'adapter_config.json' at '{path}'", cause="expert")
    if name in model.configs:  # the X-LoRA adapter itself is called like this expert, and has no layers
        if tensors_in(expert):
            raise _unexpected()
        return
    config = open_config(expert, model.release)
    if config.peft_type != "LORA":
        if "bias" in fields_of(config.peft_type):
            raise Undecided
        text = f"'{config.peft_type}' config object has no attribute 'bias'"
        raise Refused("AttributeError", text, cause="expert")
    model.in_file = parameters_in(expert, config)
    model.configs[name] = config
    inject(model, name, config)
    tensors = {_in_lora_model(key): shape for key, shape in tensors_in(expert).items()}
    model.inner = "model"
    try:
        loaded = load_tensors(model, name, config, tensors)
    finally:
        model.inner = ""
    if loaded.unexpected:
        raise _unexpected()


def _unexpected() -> Refused:
    return Refused("ValueError", "Got unexpected keys! Please raise an issue and tag @EricLBuehler.", cause="expert")


def _in_lora_model(key: str) -> str:
    """What PEFT makes of a name: all that stands before the last `model.` of its beginning becomes one `model.`."""
    while not key.startswith("model.") or key.startswith("model.model."):
        _, dot, key = key.partition(".")
        if not dot:
            raise Undecided  # PEFT never ends
    return f"model.{key}"
