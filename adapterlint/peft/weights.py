"""Loading an adapter's tensors into a symbolic model.

Follows `set_peft_model_state_dict` and `get_peft_model_state_dict` (`peft/utils/save_and_load.py`), the
`_remap_adapter_state_dict_for_load` of the tuners (0.21) and torch's `load_state_dict(strict=False)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapterlint.base.tree import Shape
from adapterlint.peft.auxiliary import auxiliaries
from adapterlint.peft.keys import PREFIX
from adapterlint.peft.methods import METHODS
from adapterlint.peft.methods.expected import Made
from adapterlint.peft.methods.method import Searches
from adapterlint.peft.methods.misshapen import contradicted
from adapterlint.peft.methods.parameter import InLayers
from adapterlint.peft.methods.shapes import Ground
from adapterlint.peft.model import Model, shared_key
from adapterlint.peft.modules import Module, Param, find, fits, walk
from adapterlint.peft.moe import convert_tensors
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.tasks import TASKS
from adapterlint.peft.tensor_names import in_model, loose_key, saved_name, with_name
from adapterlint.peft.wrappers import Adapted, Auxiliary, TokenLayer, TokenWrapper, Tuned, Tuner, Whole

MAGNITUDE = "lora_magnitude_vector"

_DECOMPOSITIONS = ("base_model.frod_V.", "base_model.frod_s_indices.", "base_model.frod_s_size.")

_Tensors = dict[str, tuple[Shape, tuple[str, ...]]]  # name -> shape, and the names in the file that it is made of


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the tensors of an adapter's file.

    Args:
        unexpected: Names, as in a file, of those that reached no parameter.
        missing: Names, as in a file, of parameters of the adapter that no tensor fills.
        overwritten: Parameters of the base that were overwritten.
        redrawn: Of those that are unexpected, the ones that nothing is lost with: PEFT has drawn the same numbers from
            the seed in the config.
    """

    unexpected: tuple[str, ...]
    missing: tuple[str, ...]
    overwritten: tuple[str, ...]
    redrawn: frozenset[str] = frozenset()


def load_tensors(model: Model, adapter: str, config: OpenedConfig, tensors: Mapping[str, Shape]) -> Loaded:
    """Load the tensors of an adapter.

    Raises:
        Refused: One is missing without which PEFT does not go on, or shapes differ; what fits is loaded then.
    """
    found = convert_tensors(model, adapter, config, tensors)
    _rename_auxiliary(model, adapter, found)
    if model.broken:
        raise Refused("KeyError", f"'{model.prefix}'", cause="auxiliary-not-in-file")
    _check_family(config, found, model)
    method = METHODS[config.peft_type]
    if method.searches is Searches.BEFORE:
        _check_all(model)
    own = tuner_keys(model, adapter)
    if config.get("save_only_topk_weights"):
        _expand_top_k(found, config.get("num_vectors"))
    found = _renamed(model, adapter, config, found, own)
    if method.masks_ranks and isinstance(config.get("rank_pattern"), dict):
        _resize(model, adapter, config)
    result = _load(model, adapter, config, found, own)
    if method.searches is Searches.AFTER:
        _check_all(model)
    if config.prompt_learning:
        _load_prompt(model, adapter, found)
    for tuned, loose in _loose(model, adapter, config):
        shapes = {one.name: found[key][0] for key, one in loose.items() if key in found}
        wrong = {one.name for one in contradicted(loose.values(), shapes)}
        tuned.problem = next((one.parameter.loose for one in loose.values() if one.name in wrong), tuned.problem)
    return result


def _check_all(model: Model) -> None:
    """Ask every module for an attribute."""
    for _, wrapper in auxiliaries(model.root):
        if isinstance(wrapper, Whole):
            wrapper.check_attributes()


def _rename_auxiliary(model: Model, adapter: str, found: _Tensors) -> None:
    """Every auxiliary module names the tensors that it must have; PEFT looks them up without asking."""
    if model.versions.peft < (0, 15):
        _rename_early(model.saved, adapter, found)
        return
    for inner, wrapper in auxiliaries(model.root):
        path = f"{model.prefix}.{inner}"
        for name, target in _load_map(wrapper, adapter):
            key = f"{path}.{name}"
            if key not in found:
                cause = "tokens-block-later-adapter" if isinstance(wrapper, TokenWrapper) else "module-not-in-file"
                raise Refused("KeyError", repr(key), module=inner, cause=cause)
            found[f"{path}.{target}"] = found.pop(key)


def _rename_early(saved: Iterable[str], adapter: str, found: _Tensors) -> None:
    """Up to 0.14 what stands in the name of a tensor is taken for a module, and no tensor must be there."""
    names = sorted(saved)
    for key in [key for key in found if any(name in key for name in names)]:
        name = next(name for name in names if name in key)
        found[key.replace(name, f"{name}.modules_to_save.{adapter}")] = found.pop(key)


def _load_map(wrapper: Auxiliary, adapter: str) -> Iterator[tuple[str, str]]:
    if isinstance(wrapper, TokenWrapper):
        if wrapper.layer.tied is None:
            yield "token_adapter.trainable_tokens_delta", f"token_adapter.trainable_tokens_delta.{adapter}"
    elif isinstance(wrapper, Whole) and adapter in wrapper.adapters and adapter in wrapper.copies:
        for name in state_names(wrapper.copies[adapter]):
            yield name, f"modules_to_save.{adapter}.{name}"


def state_names(module: Module) -> list[str]:
    """The names of a module's state dict, in its order: what PEFT's layers add stands behind what they wrap."""
    own = [name for name, _ in module.state()]
    below = [f"{path}.{name}" for path, child in module.children.items() for name in state_names(child)]
    return [*below, *own] if isinstance(module, Tuner | TokenLayer) else [*own, *below]


def _check_family(config: OpenedConfig, found: _Tensors, model: Model) -> None:
    # Since 0.21 the check looks for `.oft_r.`, which no file has: names end there.
    if config.peft_type == "OFT" and model.versions.peft >= (0, 16) and any(_is_old_rotation(k, model) for k in found):
        text = (
            "Trying to load old OFT checkpoint, which is no longer supported. Please install PEFT <= v0.15.2 to load it"
        )
        raise Refused("ValueError", text, cause="old-format")
    decomposed = config.peft_type == "FROD" and config.get("save_projection")
    if decomposed and not any(key.startswith(_DECOMPOSITIONS) for key in found):
        text = "Specified to load FRoD projection tensors from state dictionary however they were not present."
        raise Refused("ValueError", text, cause="shared-projections")
    if config.peft_type in ("VERA", "PVERA") and config.get("save_projection"):
        name = f"base_model.{config.peft_type.lower()}_A"
        if name not in found and (model.versions.peft < (0, 21) or f"{PREFIX}{name}" not in found):
            text = (
                f"Specified to load {name[11:]} and {name[11:-1]}B from state dictionary however they were not present!"
            )
            raise Refused("ValueError", text, cause="shared-projections")


def _is_old_rotation(key: str, model: Model) -> bool:
    return ".oft_r." in (key if model.versions.peft >= (0, 21) else f"{key}.")


def _expand_top_k(found: _Tensors, vectors: Any) -> None:
    """VB-LoRA: logits, of which a file may have the largest alone: where they stand, and all but the last of them."""
    for key in [key for key in found if "_topk_indices" in key]:
        other = key.replace("_topk_indices", "_topk_weights")
        if other not in found:
            raise Refused("KeyError", repr(other), cause="size-mismatch")
        (places, origin), (weights, _) = found.pop(key), found.pop(other)
        logits = (*weights[:-1], weights[-1] + 1) if weights else ()
        if len(places) != len(logits) or any(a > b for a, b in zip(places, logits, strict=True)):
            raise Refused("RuntimeError", f"Expected index {list(places)} to be smaller than src {list(logits)}")
        found[key.replace("_topk_indices", "")] = (*logits[:-1], vectors), origin


def _renamed(model: Model, adapter: str, config: OpenedConfig, found: _Tensors, own: Mapping[str, Param]) -> _Tensors:
    """The names that tensors have in memory, where the adapter's name is in them."""
    method = METHODS[config.peft_type]
    if not method.names_adapter:
        return found
    prefix = method.prefix or ""
    if model.versions.peft < (0, 21):
        shared = {f"{key}.{adapter}": found.pop(key) for key in list(found) if key.startswith(_DECOMPOSITIONS)}
        renamed = {with_name(key, prefix, adapter, model): value for key, value in found.items()} | shared
        for attribute, inner in in_model(method.name):
            end = f".{attribute}.{adapter}"
            renamed = {f"{k}{inner}" if k.endswith(end) else k: v for k, v in renamed.items()}
        return renamed
    for attribute, inner in in_model(method.name):
        found = {f"{k}{inner}" if k.endswith(f".{attribute}") else k: v for k, v in found.items()}
    names = {saved_name(key, adapter, config): key for key in own}
    # What stands at the top is also found as a model without PEFT around it has it.
    names |= {f"{PREFIX}{saved}": key for saved, key in names.items() if not key.startswith(PREFIX)}
    return {names.get(key, key): value for key, value in found.items()}


def tuner_keys(model: Model, adapter: str) -> dict[str, Param]:
    """The parameters that tuner layers have for an adapter; since 0.21 without those inside of auxiliary modules."""
    found: dict[str, Param] = {}
    below: tuple[str, ...] = ()
    rows = model.peft_type is not None and METHODS[model.peft_type].token_rows
    for path, module in walk(model.root, model.prefix, duplicates=True):
        if isinstance(module, Auxiliary) and model.versions.peft >= (0, 21):
            below = (*below, f"{path}.")
        if below and path.startswith(below):
            continue
        if isinstance(module, Tuner) and adapter in module.adapters:
            params = module.adapters[adapter].params
            found |= {f"{path}.{attribute}.{adapter}{rest}": param for (attribute, rest), param in params.items()}
        elif isinstance(module, Adapted):
            found |= {f"{path}.{name}": param for name, param in module.params.items()}
        elif isinstance(module, TokenLayer) and rows and adapter in module.deltas:
            found[f"{path}.trainable_tokens_delta.{adapter}"] = module.deltas[adapter]
    found |= model.beside.get(adapter, {})
    for attribute, of in model.shared.items():
        if adapter in of:
            found[shared_key(attribute, adapter)] = of[adapter]
    return found


def saved_keys(
    model: Model, adapter: str, config: OpenedConfig, own: Iterable[str], names: Mapping[str, Param]
) -> set[str]:
    """What PEFT would save of an adapter: names as in a file.

    Args:
        own: The names of its own parameters in memory, as `tuner_keys` gives them.
        names: The state dict of the model.
    """
    if config.prompt_learning:
        return {"prompt_embeddings"}
    ground = Ground(config)
    method = METHODS[config.peft_type]
    known = method.parameters()
    others = {one.attribute for one in known if one.remade or not one.saved.of(ground)} | {MAGNITUDE}
    unsaved = tuple(f".{attribute}.{adapter}" for attribute in others)  # what no key of a file has to fill
    keys = [k for k in own if not any(part in k for part in unsaved)]
    shared = {shared_key(name, adapter) for name in model.shared}
    found = {saved_name(key, adapter, config) for key in keys if key not in shared}
    if config.peft_type == "XLORA" and model.versions.peft >= (0, 20):
        found -= {key for key in found if any(f".{name}." in key for name in model.configs if name != adapter)}
    if once := tuple(f".{one.name}" for one in method.top if one.in_layers is InLayers.HELD):
        found = {key for key in found if not key.endswith(once)}
    saved = {one.attribute for one in method.top if one.saved.of(ground)}
    found |= {f"base_model.{name}" for name in model.shared if name.partition(".")[0] in saved}
    for path, wrapper in auxiliaries(model.root):
        found |= {f"{model.prefix}.{path}.{name}" for name, _ in _load_map(wrapper, adapter)}
    bias = config.get("bias", "none")
    if bias == "all":
        found |= {k for k in names if k.endswith(".bias") or (model.versions.peft < (0, 21) and "bias" in k)}
    elif isinstance(bias, str) and bias.endswith("_only") and model.versions.peft >= (0, 21):
        layers = (path for path, module in walk(model.root, model.prefix) if isinstance(module, Tuner | TokenLayer))
        found |= {f"{path}.base_layer.bias" for path in layers if f"{path}.base_layer.bias" in names}
    return found


def _resize(model: Model, adapter: str, config: OpenedConfig) -> None:
    """AdaLoRA: the ranks that are left after pruning."""
    for name, kept in config["rank_pattern"].items():
        rank = sum(kept) if isinstance(kept, list) and all(isinstance(k, bool | int) for k in kept) else None
        parts = name.split(".")
        layer = find(model.root, ".".join(parts[:-2] if adapter in name else parts[:-1]))
        tuned = layer.adapters.get(adapter) if isinstance(layer, Tuner) else None
        if rank is not None and not isinstance(layer, Tuner) and not model.tree.partial:
            raise Refused("AttributeError", f"{name} is of no target", cause="config")
        if tuned is None or rank is None:
            raise Undecided
        have = next((p.shape[0] for (attribute, _), p in tuned.params.items() if attribute == "lora_E" and p.shape), 0)
        known = have and not model.tree.partial  # there the ranks are those of the file, which are left already
        if known and have != len(kept) and all(isinstance(k, bool) for k in kept):
            text = f"The shape of the mask [{len(kept)}] at index 0 does not match the shape of the indexed tensor"
            raise Refused("IndexError", f"{text} [{have}, 1] at index 0", cause="config")
        for (attribute, _), param in tuned.params.items():
            if attribute in ("lora_A", "lora_E") and param.shape:
                param.shape = (rank, *param.shape[1:])
            elif attribute == "lora_B" and param.shape:
                param.shape = (param.shape[0], rank)


def _load(model: Model, adapter: str, config: OpenedConfig, found: _Tensors, own: Mapping[str, Param]) -> Loaded:
    state = model.state()
    loose = {key for _, keys in _loose(model, adapter, config) for key in keys}
    mismatched: dict[str, str] = {}
    overwritten: list[str] = []
    for key, param in state.items():
        if key not in found:
            continue
        shape, origin = found[key]
        if key in loose:
            param.shape = shape
        if not fits(shape, param.shape):
            mismatched[key] = _mismatch(key, shape, param)
            continue
        if key not in own and f".{adapter}." not in key and not key.endswith(f".{adapter}"):
            overwritten.append(key)
        if not _is_projection(param, shape):
            param.value = None if _is_frozen(key, own) else ("file", adapter, origin)
    if mismatched:
        task = TASKS.get(model.task or "")
        text = f"Error(s) in loading state_dict for PeftModel{task.ending if task is not None else ''}:\n\t"
        text += "\n\t".join(mismatched.values())
        module = next(iter(mismatched)).removeprefix(f"{model.prefix}.").rpartition(".")[0]
        raise Refused("RuntimeError", text, module=_COPY.sub("", module), cause="size-mismatch")
    over = {loose_key(key, adapter): found[key][0] for key in found.keys() - state.keys()}
    saved = saved_keys(model, adapter, config, own, state)
    unfilled = state.keys() - found.keys()
    if METHODS[config.peft_type].saved_as:
        missing = sorted({saved_name(k, adapter, config) for k in unfilled} & saved)
    else:
        missing = sorted({loose_key(k, adapter) for k in unfilled} & saved)
    redrawn = frozenset(name for name, shape in over.items() if _is_redrawn(model, adapter, name, shape))
    return Loaded(tuple(sorted(over)), tuple(missing), tuple(overwritten), redrawn)


def _loose(model: Model, adapter: str, config: OpenedConfig) -> Iterator[tuple[Tuned, dict[str, Made]]]:
    """The parameters that are loaded whatever their shape, under their names in memory."""
    if not any(one.loose for one in METHODS[config.peft_type].parameters()):
        return
    for path, module in walk(model.root, model.prefix):
        tuned = module.adapters.get(adapter) if isinstance(module, Tuner) else None
        if tuned is not None and tuned.loose:
            yield tuned, {f"{path}.{one.place[0]}.{adapter}{one.place[1]}": one for one in tuned.loose}


def _is_projection(param: Param, shape: Shape) -> bool:
    """Projections come from a seed: those in a file are the same as those in memory, if they have the same shape."""
    value = param.value
    return isinstance(value, tuple) and value[:1] == ("projection",) and param.shape == shape


def _is_redrawn(model: Model, adapter: str, name: str, shape: Shape) -> bool:
    """Whether a tensor that is passed over is a projection that PEFT makes itself, with the same numbers.

    Up to 0.20 PEFT never finds projections of VeRA and PVeRA in a file: their names do not get the adapter's in them.
    """
    param = model.shared.get(name.removeprefix("base_model."), {}).get(adapter)
    return param is not None and _is_projection(param, shape)


def _is_frozen(key: str, own: Iterable[str]) -> bool:
    """What was saved along, but never trained: the weight below an adapter's own layer, biases of wrapped modules."""
    if ".original_module." in key:
        return True
    layer, found, _ = key.rpartition(".base_layer.weight")
    return bool(found) and any(name.startswith(f"{layer}.") for name in own)


def _mismatch(key: str, shape: Shape, param: Param) -> str:
    wanted = param.shape or ()
    has = [n if n >= 0 or i >= len(shape) else shape[i] for i, n in enumerate(wanted)]
    return (
        f"size mismatch for {key}: copying a param with shape torch.Size({list(shape)}) from checkpoint, the shape in "
        f"current model is torch.Size({has})."
    )


# What PEFT puts around a module that an adapter brings whole.
_COPY = re.compile(r"\.modules_to_save\.[^.]+(?=\.|$)")


def _load_prompt(model: Model, adapter: str, found: _Tensors) -> None:
    if "prompt_embeddings" not in found:
        raise Refused("KeyError", "'prompt_embeddings'", cause="prompt-missing")
    rows, tokens = found["prompt_embeddings"][0], model.configs[adapter].get("num_virtual_tokens")
    if METHODS[model.configs[adapter].peft_type].counts_rows and (len(rows) != 2 or rows[0] != tokens):
        text = f"Invalid `prompt_embeddings` shape. Expected ({tokens}, hidden), got {rows}."
        raise Refused("ValueError", text, cause="size-mismatch")
    for name, param in model.prompts[adapter].items():
        if name not in found:
            continue
        shape, origin = found[name]
        if not fits(shape, param.shape):
            text = f"Error(s) in loading state_dict for the prompt:\n\t{_mismatch(name, shape, param)}"
            raise Refused("RuntimeError", text, cause="size-mismatch")
        param.value = ("file", adapter, origin)
