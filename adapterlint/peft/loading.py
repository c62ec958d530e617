"""Loading adapters one after the other: `PeftModel.from_pretrained` for the first, `load_adapter` for the others.

Follows `peft/peft_model.py`, 0.15 to 0.21.2. What PEFT does not undo when it raises, stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapterlint.adapter import Adapter
from adapterlint.base.renames import renamed_once
from adapterlint.base.tree import Shape
from adapterlint.base.widths import HEADS, WIDTH, said, text_of
from adapterlint.peft.adaption import add_adaption_prompt, in_the_model
from adapterlint.peft.additional_modules import add_auxiliaries, tie_token_layers
from adapterlint.peft.auxiliary import Wrapping
from adapterlint.peft.constructors import refusals
from adapterlint.peft.early import check_prompt
from adapterlint.peft.experts import mix_experts
from adapterlint.peft.injection import Injection
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.expected import made_on
from adapterlint.peft.methods.shapes import Ground
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Param
from adapterlint.peft.opened import OpenedConfig, open_config
from adapterlint.peft.particular import particular
from adapterlint.peft.projections import make_top
from adapterlint.peft.refused import Refused, Undecided, check_name
from adapterlint.peft.tasks import IMPLICIT_HEADS
from adapterlint.peft.weights import Loaded, load_tensors
from adapterlint.peft.weights_files import parameters_in, tensors_in

# Words of a base's config for the same thing, in the order in which `_prepare_prompt_learning_config` asks for them.
_LAYERS = ("num_hidden_layers", "num_layers", "n_layer")


def load(model: Model, adapter: Adapter, name: str) -> Loaded:
    """Load an adapter under a name.

    Raises:
        Refused: PEFT raises.
        Undecided: The evidence does not say what happens.
    """
    model.warnings = []
    model.loads += 1
    first = model.peft_type is None
    if name in model.configs:  # PEFT does not read the config again
        return load_tensors(model, name, model.configs[name], tensors_in(adapter))
    config = open_config(adapter, model.release)
    if config.ignored:
        model.warnings.append(
            f"Unexpected keyword arguments {config.ignored} for class {config.peft_type}, these are ignored."
        )
    model.experts = adapter.experts
    model.in_file = parameters_in(adapter, config)
    if first:
        create(model, name, config)
    else:
        _warn_about_inits(model, config)
        _add(model, name, config)
    tensors = tensors_in(adapter)
    if first and model.versions.peft >= (0, 16) and not config.prompt_learning:
        tensors = _mapped(model.tree.renames, tensors)
    with in_the_model(model, name):
        loaded = load_tensors(model, name, config, tensors)
    if first and loaded.missing:
        model.warnings.append(f"Found missing adapter keys while loading the checkpoint: {list(loaded.missing)}.")
    return loaded


def _mapped(renames: tuple[Any, ...], tensors: Mapping[str, Shape]) -> Mapping[str, Shape]:
    """`load_peft_weights` with the base's `_checkpoint_conversion_mapping`, which `from_pretrained` gives to it.

    Raises:
        Refused: A name does not begin like those that PEFT saves.
    """
    if not any(rename[0] == "s" for rename in renames):
        return tensors
    found = {}
    for name, shape in tensors.items():
        prefix = next((prefix for prefix in ("base_model.model.", "base_model.") if name.startswith(prefix)), None)
        if prefix is None:
            text = "An error occurred while trying to load a PEFT state_dict with key_mapping. This should not happen. "
            raise Refused("ValueError", f"{text}Please open an issue and report the error.", cause="key-mapping")
        found[prefix + renamed_once(name[len(prefix) :], renames)] = shape
    return found


def create(model: Model, name: str, config: OpenedConfig) -> None:
    """Build the `PeftModel` around the first adapter, as its config says: nothing is read of its file.

    Raises:
        Refused: PEFT raises.
        Undecided: The evidence does not say what happens.
    """
    model.peft_type, model.task = config.peft_type, config.task_type
    model.active, model.current = [name], name
    early = model.task == "SEQ_CLS" and model.versions.peft >= (0, 16)
    try:
        if early:
            _add_head(model, config)
        _put(model, name, config)
        if model.versions.peft < (0, 16):
            add_auxiliaries(model, name, config, outside=True)
        if model.task in IMPLICIT_HEADS:
            _finish_head(model, name, config, early)
        if model.task in ("CAUSAL_LM", "SEQ_2_SEQ_LM") and not model.generates:
            text = f"'{model.tree.architecture}' object has no attribute 'prepare_inputs_for_generation'"
            raise Refused("AttributeError", text, cause="task-type")
    except Refused:
        # The object is never made; what was put into the base stays there.
        model.peft_type = model.task = None
        model.configs.pop(name, None)
        raise


def _put(model: Model, name: str, config: OpenedConfig) -> None:
    """Put what an adapter consists of into the model; PeftModel itself takes prompts of no task."""
    model.configs[name] = config
    if config.prompt_learning:
        _set_up_prompt(model, name, config)
    elif config.peft_type == "ADAPTION_PROMPT":
        add_adaption_prompt(model, name, config)
    elif config.peft_type == "XLORA":
        mix_experts(model, name, config, _inject)
    else:
        _inject(model, name, config)


def _add_head(model: Model, config: OpenedConfig) -> None:
    """A model for a task adds its head to `modules_to_save` of every adapter."""
    if "modules_to_save" not in config:
        return
    saved, heads = config["modules_to_save"], IMPLICIT_HEADS[str(model.task)]
    if saved is None:
        config["modules_to_save"] = list(heads)
    elif isinstance(saved, str):
        raise Refused("AttributeError", "'str' object has no attribute 'extend'", cause="config")
    else:
        config["modules_to_save"] = [*saved, *heads]


def _finish_head(model: Model, name: str, config: OpenedConfig, early: bool) -> None:
    if not early:
        _add_head(model, config)
    field = "modules_to_save" in config
    if not field and model.task != "SEQ_CLS" and model.versions.peft >= (0, 16):
        raise Refused("TypeError", "'NoneType' object is not iterable", cause="task-type")
    if field and config["modules_to_save"]:
        _check_beside(model, name, config["modules_to_save"])
        wrapping = Wrapping(model.root, model.prefix, name, activate=True, versions=model.versions)
        wrapping.whole(config["modules_to_save"])
        model.broken = model.broken or wrapping.broken
        if model.versions.peft < (0, 16):
            model.saved.update(IMPLICIT_HEADS[str(model.task)])


def _check_beside(model: Model, name: str, entries: Sequence[str]) -> None:
    """PEFT looks for modules to save outside of the base too, and no file has what it saves of those."""
    for key in model.beside.get(name, {}):
        if key.rpartition(".")[0].endswith(tuple(entries)):
            raise Refused("KeyError", repr(key), cause="auxiliary-not-in-file")


def _add(model: Model, name: str, config: OpenedConfig) -> None:
    """`add_adapter`: a config that is refused is taken out again, layers that are in the model stay."""
    if model.task in IMPLICIT_HEADS:
        if model.versions.peft < (0, 16):
            model.saved.update(IMPLICIT_HEADS[str(model.task)])
        _add_head(model, config)
    prefix = METHODS[config.peft_type].prefix
    if prefix and name in prefix:
        model.warnings.append(f"Adapter name '{name}' should not be contained in the prefix '{prefix}'.")
    if config.peft_type != model.peft_type:
        text = (
            f"Cannot combine adapters with different peft types. Found PeftType.{model.peft_type} and "
            f"PeftType.{config.peft_type}."
        )
        raise Refused("ValueError", text, cause="mixed-peft-types")
    try:
        _put(model, name, config)
    except (Refused, Undecided):
        model.configs.pop(name, None)
        raise
    if model.versions.peft < (0, 16):
        add_auxiliaries(model, name, config, outside=True)


def _inject(model: Model, name: str, config: OpenedConfig) -> None:
    particular(config.peft_type).prepare(model, name, config)
    make_top(model, name, config)
    late = None
    for refusal in refusals(config.peft_type, config, release=model.release):
        error = Refused(refusal.error, refusal.text, cause="config")
        if refusal.where == "factors":
            late = late or error
        elif refusal.pointer == "/bias":
            continue  # which biases are trained is looked at when the layers are made (`check_bias`)
        elif refusal.where == "injection" or (refusal.where == "layer" and model.tree.partial):
            raise error
    Injection(model, name, config, late).run()
    if METHODS[config.peft_type].token_rows:
        tie_token_layers(model, name)


def _set_up_prompt(model: Model, name: str, config: OpenedConfig) -> None:
    """`_prepare_prompt_learning_config` and the prompt encoder."""
    check_prompt(config, model.versions.peft)
    base = text_of(model.tree.config)
    method = METHODS[config.peft_type]
    for key, words in (("num_layers", _LAYERS), ("token_dim", WIDTH), ("num_attention_heads", HEADS)):
        if config.get(key) is None:
            value = said(base, words)
            if value is None and not model.tree.config:
                raise Undecided
            if value is None:
                raise Refused("ValueError", f"Please specify `{key}` in `peft_config`", cause="config")
            config[key] = value
    submodules = config.get("num_transformer_submodules")
    if submodules is None:
        submodules = config["num_transformer_submodules"] = 2 if config.task_type == "SEQ_2_SEQ_LM" else 1
    if "cpt_token_ids" in config:
        config["num_virtual_tokens"] = len(config["cpt_token_ids"] or ())
    if config.get("num_virtual_tokens") is None:
        raise Refused("TypeError", "unsupported operand type(s) for *: 'NoneType' and 'int'", cause="config")
    if method.keys_and_values:
        _fit_heads(config, base, heads_are_told=model.versions.peft >= (0, 18))
    check_name(name)
    made = made_on(method.top, Ground(config), model.release)
    model.prompts[name] = {one.name: Param(one.sizes, ("random", model.random())) for one in made}
    if model.versions.peft >= (0, 16):
        add_auxiliaries(model, name, config)


def _fit_heads(config: OpenedConfig, base: Mapping[str, Any], *, heads_are_told: bool) -> None:
    """A prefix has the width of keys and values, of which grouped attention has fewer than heads.

    Args:
        heads_are_told: Whether PEFT takes the size of a head from the base's config, as it does since 0.18.
    """
    kv = base.get("num_key_value_heads")
    if kv is None:
        return
    dim = (base.get("head_dim") if heads_are_told else None) or config["token_dim"] // config["num_attention_heads"]
    config["token_dim"], config["num_attention_heads"] = dim * kv, kv


def _warn_about_inits(model: Model, config: OpenedConfig) -> None:
    inits = [c.get("init_lora_weights") for c in (config, *model.configs.values())]
    for init, shown in (("pissa", "PiSSA"), ("corda", "CorDA"), ("olora", "OLoRA")):
        if init in inits:
            model.warnings.append(
                f"{shown} changes the base weights of the model and should thus not be used with other adapters."
            )
            return
