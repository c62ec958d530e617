"""ShadowPEFT: a smaller copy of the base runs beside it, and is written into each of its layers.

Follows `ShadowModel` and `ShadowLayer` (`peft/tuners/shadow/model.py`, `layers.py`), 0.21.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from adapterlint.base import table
from adapterlint.base.evidence import Evidence
from adapterlint.base.load import Base
from adapterlint.base.tree import Kind, ModuleTree
from adapterlint.base.widths import WIDTH
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Module, Param, build, copy_param, find, walk
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.refused import UNDECIDED, Refused, Undecided
from adapterlint.peft.weights_files import HUB_ID
from adapterlint.peft.wrappers import Tuned, Tuner

if TYPE_CHECKING:
    from adapterlint.peft.tuner_layers import Site

_LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
# What the copy may have of its own: field of the config -> names in the config of the base, the first that is there.
_SIZES: Mapping[str, tuple[str, ...]] = {
    "shadow_num_hidden_layers": _LAYERS,
    "shadow_hidden_size": WIDTH,
    "shadow_intermediate_size": ("intermediate_size", "ffn_dim", "n_inner"),
    "shadow_num_attention_heads": ("num_attention_heads", "n_head", "num_heads"),
}
_STACKS = ("layers", "h")
_FIXED = frozenset({"falcon_mamba", "jamba", "mamba", "mamba2"})  # which derive the kinds of layers from other values
PROBLEM_KEY = "forward_error"
WIDTH_KEY = "base_hidden_size"  # what PEFT asks the base for when it makes a layer


def prepare_shadow(model: Model, _: str, config: OpenedConfig) -> None:
    """`_check_new_adapter_config` and `_prepare_adapter_config`: all layers are targets, unless the config has some.

    Raises:
        Refused: PEFT raises.
        Undecided: Not enough is known of the base.
    """
    if model.tree.partial or not model.tree.config:
        raise Undecided
    if len(model.configs) > 1 and any(c.task_type == "SEQ_CLS" for c in model.configs.values()):
        text = "ShadowPEFT does not support multiple adapters when any adapter uses sequence classification"
        raise Refused("ValueError", text, cause="one-of-a-kind")
    if config.get("target_modules") is None:
        path = _backbone(model)
        attribute = _stack(find(model.root, path))
        if attribute is None:
            text = "Unable to automatically find a `nn.ModuleList` of decoder layers"
            raise Refused("AttributeError", text, cause="base-unsupported")
        above = f"{path}.{attribute}" if path else attribute
        layers = find(model.root, above)
        config["target_modules"] = [f"{above}.{name}" for name in (layers.children if layers is not None else ())]


def make_shadow(model: Model, adapter: str, _: str, config: OpenedConfig) -> None:
    """`_init_shadow_backbone`: what an adapter has beside its layers.

    Raises:
        Refused: PEFT raises.
        Undecided: The copy cannot be drawn up.
    """
    if adapter in model.beside:
        return
    width = config[WIDTH_KEY] = _said(model.tree, WIDTH)
    if not isinstance(width, int):
        raise Undecided
    if config.get("shadow_model") != "mirror":
        path = str(config.get("shadow_model"))
        if HUB_ID.fullmatch(path):
            raise Undecided
        raise Refused("OSError", f"There was a specific connection error when trying to load {path}", cause="config")
    if model.tree.model_type in _FIXED:
        text = f"property 'layer_types' of the config of {model.tree.model_type} has no setter"
        raise Refused("AttributeError", text, cause="base-unsupported")
    mirrored = _mirror(model, config)
    own = config.get("shadow_hidden_size") or width
    shared = config.get("share_embeddings") and own == width and not model.refuses("inputs_embeds")
    # What a copy with a projection of its own gives is as wide as the base already.
    config[PROBLEM_KEY] = "RuntimeError" if own != width and "project_out" in mirrored.children else None
    if shared:
        mirrored.children.pop("embed_tokens", None)
    draw = ("random", model.random())
    found = {f"shadow_backbone.{adapter}.{name}": Param(p.shape, draw) for name, p in _state(mirrored).items()}
    if own != width:
        found[f"shadow_projection.{adapter}.weight"] = Param((width, own), draw)
    if config.task_type == "SEQ_CLS":
        names = (name for name in ("score", "classifier") if name in model.root.children)
        head = next((model.root.children[name] for name in names), None)
        found |= {f"shadow_head.{adapter}.{n}": copy_param(p, {}) for n, p in _state(head).items()} if head else {}
    model.beside[adapter] = {f"base_model.{name}": param for name, param in found.items()}


def bound_shadow(model: Model) -> None:
    """Where the shadow is let in and out, which the first adapter decides."""
    if len(model.configs) == 1:
        wrapped = [path for path, module in walk(model.root) if isinstance(module, Tuner)]
        model.bounds = wrapped[0], wrapped[-1]


def check_active(names: Sequence[str]) -> None:
    """`ShadowModel.set_adapter`.

    Raises:
        Refused: There is not one name.
    """
    if len(names) != 1:
        text = f"ShadowPEFT requires exactly one active adapter, but got {len(names)} adapters."
        raise Refused("ValueError", text, cause="one-active-only")


class Shade:
    """The shadow in one forward pass: let in by the first layer that the first adapter has, and out by the last one.

    In between every layer that is wrapped must have the adapter that is active.

    Args:
        model: The model.
        paths: Its layers in their order.
    """

    def __init__(self, model: Model, paths: Sequence[str]) -> None:
        self._first, self._last = model.bounds
        self._beside = model.beside
        self._paths = paths
        # Whether the copy takes what the base takes, and hands it on through one stack of layers.
        self._text = not model.tree.config.get("is_encoder_decoder") and not model.refuses("input_ids")
        self._inside = False

    def at(self, layer: Tuner, path: str, fail: Callable[[str, str], None]) -> Hashable:
        """What a layer adds to the output, or `None`.

        Args:
            fail: Told the class of an error, and where it is raised.
        """
        name = layer.active[0] if layer.active else ""
        tuned = layer.adapters.get(name)
        if path == self._first:
            self._inside = tuned is not None
            if self._inside and (error := self._error(layer)) is not None:
                fail(error, path)
        if not self._inside:
            return None
        self._inside = path != self._last
        if tuned is None:
            fail("KeyError", path)
            return None
        if tuned.problem is not None:
            fail(tuned.problem, path)
        if tuned.idle:
            return None
        values = tuple(param.value for param in (*tuned.params.values(), *self._beside.get(name, {}).values()))
        return layer.method, tuned.traits, values

    def _error(self, layer: Tuner) -> str | None:
        """What it meets between the first layer and the last: no more than layers of one list."""
        weight = layer.base.params.get("weight")
        width = next((p.shape[1] for t in layer.adapters.values() for p in t.params.values() if p.shape), None)
        if weight is not None and weight.shape and set(weight.shape) != {width}:
            return "RuntimeError"
        if self._last not in self._paths:
            return UNDECIDED
        paths = self._paths[self._paths.index(self._first) : self._paths.index(self._last) + 1]
        above = {path.rpartition(".")[0] for path in paths}
        numbers = [int(end) if (end := path.rpartition(".")[2]).isdigit() else -1 for path in paths]
        one = len(above) == 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] >= 0
        return None if self._text and (one or len(paths) == 1) else UNDECIDED


def shadow(site: Site) -> Tuned:
    """The parameters of an adapter on one layer of the base."""
    width = site.config[WIDTH_KEY]
    r = site.config.get("r")
    if not isinstance(r, int):
        raise Undecided
    if r <= 0:
        raise Refused("ValueError", f"`r` should be a positive integer value but the value passed is {r}")
    inner = site.config.get("update_hidden_size") or r
    params = {("shadow_down", ".weight"): site.random(r, width), ("shadow_up", ".weight"): site.random(width, r)}
    if site.config.get("init_weights"):
        params["shadow_up", ".weight"] = site.constant(width, r)
    for attribute in ("shadow_update_transform", "shadow_update_gate"):
        params[attribute, ".0.weight"] = site.random(inner, width)
        params[attribute, ".0.bias"] = site.random(inner)
        params[attribute, ".2.weight"] = site.random(width, inner)
        params[attribute, ".2.bias"] = site.random(width)
    tuned = Tuned(params, frozenset({("shadow_up", ".weight")}), site.config.get("shadow_alpha"))
    tuned.problem = site.config[PROBLEM_KEY]
    return tuned


def _backbone(model: Model) -> str:
    """`_get_backbone`: the path of the model below the head, or of its decoder."""
    children = model.root.children
    # `base_model` is the model itself if it has none.
    entry = table.entry(model.tree.model_type, model.tree.architecture or "", _release(model))
    prefix = entry.data.get("p") if entry is not None else None
    found = next((str(name) for name in ("model", "transformer", prefix) if name in children), "")
    inner = find(model.root, found)
    nested = inner.children.get("decoder") if inner is not None else None
    if nested is not None and _stack(nested) is not None:
        return f"{found}.decoder" if found else "decoder"
    return found


def _stack(module: Module | None) -> str | None:
    """The attribute that holds the layers of a model."""
    children = module.children if module is not None else {}
    return next((name for name in _STACKS if name in children and children[name].kind is Kind.LIST), None)


def _said(tree: ModuleTree, names: tuple[str, ...]) -> Any:
    key = _key(tree, names)
    return tree.config[key] if key is not None else None


def _key(tree: ModuleTree, names: tuple[str, ...]) -> str | None:
    """The first of several names that the config of a base has, under that name or another one for it."""
    entry = table.entry(tree.model_type, tree.architecture or "", table.RELEASES[0])
    others = entry.data.get("a", {}) if entry is not None else {}
    return next((key for name in names for key in (name, others.get(name)) if key in tree.config), None)


def _mirror(model: Model, config: OpenedConfig) -> Module:
    """`_build_shadow_backbone`: another model of the class of the backbone, in other sizes."""
    tree = model.tree
    changed = dict(tree.config)
    for field, names in _SIZES.items():
        value = config.get(field)
        if value is None and names is _LAYERS:
            value = 1
        if value is None:
            continue
        key = _key(tree, names)
        if key is None:
            text = f"Unable to update the model config: none of the expected attributes {names} are defined."
            raise Refused("AttributeError", text, cause="base-unsupported")
        changed[key] = value
    layers = _key(tree, _LAYERS)
    if layers is not None and isinstance(changed.get("layer_types"), list):
        types = changed["layer_types"]
        changed["layer_types"] = (types + types[-1:] * changed[layers])[: changed[layers]]
    path = _backbone(model)
    node = tree.nodes.get(path)
    release = f"{'.'.join(map(str, model.versions.transformers))}.0"
    name = node.type if node is not None else None
    if name and table.entry(tree.model_type, name, _release(model)) is not None:
        path = ""
    else:
        name = tree.architecture
    if name is None:
        raise Undecided
    grown = Base(tree.name, Evidence(changed, None)).tree(release, architecture=name)
    found = find(build(grown, model.versions.transformers), path)
    if found is None or not grown.complete:
        raise Undecided
    return found


def _release(model: Model) -> str:
    return table.release_of(".".join(map(str, model.versions.transformers)))


def _state(module: Module) -> dict[str, Param]:
    """Its state dict."""
    return {
        f"{path}.{name}" if path else name: param
        for path, part in walk(module, duplicates=True)
        for name, param in part.state()
    }
