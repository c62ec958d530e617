"""Injecting an adapter's layers into a symbolic model.

Follows `BaseTuner.inject_adapter` (`peft/tuners/tuners_utils.py`), the `_create_and_replace` of the tuners and
`set_additional_trainable_modules` (`peft/utils/other.py`; a method of `PeftModel` before 0.16), 0.15 to 0.21.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from adapterlint.base.tree import Kind
from adapterlint.peft.auxiliary import Wrapping, set_active, switch, update_rows, update_whole, weight_of
from adapterlint.peft.default_targets import default_targets
from adapterlint.peft.matching import ALL_LINEAR, Targets, component_pattern
from adapterlint.peft.model import Model, all_linear
from adapterlint.peft.modules import Module, Param, TokenLayer, TokenWrapper, Tuner, Whole, find, unwrapped, walk
from adapterlint.peft.moe import convert_config
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.tuner_layers import LAYERS, Site, parameters_at

EMBEDDING_NAMES = ("embed_tokens", "lm_head")
_MAMBA = frozenset({"falcon_h1", "mamba", "mamba2", "falcon_mamba", "nemotron_h"})


class Injection:
    """One call of `inject_adapter`.

    Args:
        model: The model; whatever was done before something is refused, stays done.
        adapter: The adapter's name.
        config: Its config, which is changed as PEFT changes it.
    """

    def __init__(self, model: Model, adapter: str, config: OpenedConfig) -> None:
        self.model = model
        self.adapter = adapter
        self.config = config
        self.versions = model.versions

    def run(self) -> None:
        """Inject.

        Raises:
            Refused: PEFT raises.
            Undecided: It cannot be said.
        """
        since = self.versions.peft
        if since >= (0, 19) and self.versions.transformers >= (5, 0):
            convert_config(self.model, self.config)
        self._check_config()
        if since >= (0, 18):
            self._check_tied()
        self.prepare_targets()
        if self.config.get("layer_replication"):
            raise Undecided
        self._all_linear()
        modules = self._match()
        parameters = self._inject_parameters() if self.config.get("target_parameters") else False
        for path in self._tied_targets:
            modules = True
            self._create(path)
        local = since >= (0, 21)
        if not (modules or parameters) and (local or not self.model.targeted) and not self._dummy:
            raise self._nothing_matched()
        self.model.targeted = True
        self._warn_about_patterns()
        self._set_tuner(self.model.active)
        self._check_bias()
        if since >= (0, 16):
            add_auxiliaries(self.model, self.adapter, self.config)

    # ------------------------------------------------------------------------------------------------- the config

    def _check_config(self) -> None:
        others = [c for c in self.model.configs.values() if c is not self.config]
        if not others:
            return
        biased = self.config.get("bias", "none") not in ("none", None)
        if self.versions.peft >= (0, 18):
            if sum(c.get("bias", "none") not in ("none", None) for c in self.model.configs.values()) > 1:
                raise self._bias_refused()
        elif biased and "bias" in self.config:
            raise self._bias_refused()
        self._check_family(others)

    def _bias_refused(self) -> Refused:
        name = {"LORA": "LoraModel", "ADALORA": "AdaLoraModel"}.get(self.config.peft_type, self.config.peft_type)
        text = f"{name} supports only 1 adapter with bias. When using multiple adapters, set bias to 'none' for all adapters."
        return Refused("ValueError", text, cause="several-biases")

    def _check_family(self, others: list[OpenedConfig]) -> None:
        config, since = self.config, self.versions.peft
        if config.peft_type == "LORA":
            kasa = [bool(c.get("kasa_config")) for c in others]
            if since >= (0, 21) and any(used is not bool(config.get("kasa_config")) for used in kasa):
                raise Refused("ValueError", "KaSA cannot be combined with adapters that don't use KaSA", cause="kasa")
            mine = config.get("target_parameters")
            if mine and since >= (0, 20):
                for other in others:
                    theirs = other.get("target_parameters")
                    if theirs and set(theirs) != set(mine):
                        text = (
                            "When using multiple adapters with `target_parameters`, all adapters must target the same set "
                            f"of parameters, but got {sorted(mine)} for the new adapter and {sorted(theirs)}."
                        )
                        raise Refused("ValueError", text, cause="target-parameters")
        if config.peft_type in ("VERA", "PVERA", "RANDLORA", "FROD"):
            for other in others:
                if other.get("projection_prng_key") != config.get("projection_prng_key"):
                    text = f"{config.peft_type} PRNG initialisation key must be the same for all adapters."
                    raise Refused("ValueError", text, cause="shared-projections")
            if len({bool(c.get("save_projection")) for c in (*others, config)}) > 1:
                text = f"{config.peft_type} projection weights must be saved for all adapters or none"
                raise Refused("ValueError", text, cause="shared-projections")

    def _check_tied(self) -> None:
        """`_check_tied_modules`: what `ensure_weight_tying` adds to the config."""
        config, since = self.config, self.versions.peft
        saved = config.get("modules_to_save") or []
        last = (lambda m: m.split(".")[-1]) if since >= (0, 19) else (lambda m: m)
        to_save = any(isinstance(m, str) and last(m) in EMBEDDING_NAMES for m in set(saved))
        targets = config.get("target_modules")
        if isinstance(targets, str):
            targeted = any(_fullmatch(targets, name) for name in EMBEDDING_NAMES)
        else:
            targeted = any(isinstance(m, str) and last(m) in EMBEDDING_NAMES for m in targets or ())
        tied = self.model.tied_modules()
        warn = self.model.warnings.append
        if config.get("ensure_weight_tying"):
            if not tied:
                warn("You have requested `ensure_weight_tying`, but no tied modules were found in the model")
            elif to_save:
                self._tie_modules_to_save(tied)
            elif targeted and since >= (0, 19):
                self._tie_targets(tied)
            else:
                warn("You have requested `ensure_weight_tying`, but no tied modules are added in `modules_to_save`")
        elif (to_save or (targeted and since >= (0, 19))) and tied:
            warn(
                "Model has `tie_word_embeddings=True` and a tied layer is part of the adapter, but `ensure_weight_tying` is "
                "not set to True."
            )

    def _embedding_name(self) -> str:
        """`find_parameter_name_by_module`: the path that the embedding has now."""
        return self.model.tree.input_embeddings or ""

    def _tie_modules_to_save(self, tied: list[str]) -> None:
        if self.config.peft_type not in ("LORA", "ADALORA"):
            return
        self.config["modules_to_tie"] = list(tied)
        saved = list(self.config.get("modules_to_save") or [])
        if self._embedding_name() not in saved:
            saved.append(self._embedding_name())
        self.config["modules_to_save"] = _without_tied(saved, tied)

    def _tie_targets(self, tied: list[str]) -> None:
        if self.config.peft_type not in ("LORA", "ADALORA"):
            return
        self.config["target_modules_to_tie"] = list(tied)
        targets, name = self.config.get("target_modules"), self._embedding_name()
        if isinstance(targets, str):
            self.config["target_modules"] = f"(?:{targets}|^{re.escape(name)}$)"
            return
        found = list(dict.fromkeys([*(targets or ()), name]))
        self.config["target_modules"] = _without_tied(found, tied)

    def prepare_targets(self) -> None:
        config = self.config
        if self.model.tree.partial:  # what the file has stands for what would be matched
            config["target_modules"] = list(self.model.in_file)
            for key in ("exclude_modules", "layers_to_transform", "target_parameters"):
                config.pop(key, None)
        model_type, release = self.model.tree.model_type, self.model.release
        if config.peft_type == "TRAINABLE_TOKENS":
            if config.get("target_modules") is None:
                config["target_modules"] = self.model.tree.input_embeddings or "embed_tokens"
            return
        if config.get("target_modules") is None:
            found = default_targets(config.peft_type, model_type, release)
            if found is not None:
                config["target_modules"] = found if isinstance(found, str) else list(found)
            elif not (config.peft_type == "LORA" and config.get("target_parameters")):
                raise Refused("ValueError", "Please specify `target_modules` in `peft_config`", cause="no-targets")
        if config.peft_type == "IA3" and config.get("feedforward_modules") is None:
            found = default_targets("IA3", model_type, release, table="FEEDFORWARD")
            if found is None:
                raise Refused("ValueError", "Please specify `feedforward_modules` in `peft_config`", cause="no-targets")
            config["feedforward_modules"] = list(found)

    def _all_linear(self) -> None:
        targets = self.config.get("target_modules")
        if isinstance(targets, str) and targets.lower() == ALL_LINEAR:
            self.config["target_modules"] = all_linear(self.model, self.config)

    # ---------------------------------------------------------------------------------------------- matching

    @property
    def _dummy(self) -> bool:
        return self.config.get("target_modules") == "dummy-target-modules"

    def _match(self) -> bool:
        """Wrap every target module; whether there was any."""
        since = self.versions.peft
        saved = self.config.get("modules_to_save") or ()
        targets = Targets(self.config, last_index=since < (0, 20), saved=tuple(saved) if since >= (0, 16) else ())
        self._excluded = self._unmatched = 0
        self._tied_targets: list[str] = []
        tie = frozenset(self.config.get("target_modules_to_tie") or ())
        undecided = self.config.get("target_modules") is None
        early = tuple(saved) if since < (0, 16) and self.config.get("modules_to_save") is not None else ()
        found = False
        for path in self._candidates():
            if early and path.endswith(early):
                self._wrap_early(path)
                continue
            verdict = False if undecided else targets.verdict(path)
            if tie and path in tie:
                self._tied_targets.append(path)
            elif verdict is None:
                self._excluded += 1
            elif not verdict:
                self._unmatched += 1
            else:
                found = True
                self._create(path)
        return found

    def _candidates(self) -> Iterator[str]:
        """The names that may be targets, as they are before the first is wrapped."""
        if self._dummy:
            return
        below: tuple[str, ...] = ()
        inner = self.versions.peft < (0, 16)
        for path, module in walk(self.model.root):
            if not path or (below and path.startswith(below)):
                continue
            yield path
            if isinstance(module, Tuner | TokenLayer):
                if not inner:
                    below = (*below[-1:], f"{path}.") if below and path.startswith(below[-1]) else (f"{path}.",)
                else:
                    yield from (f"{path}.{name}" for name, _ in module.inner_names())

    def _wrap_early(self, path: str) -> None:
        """0.15 wraps `modules_to_save` among the targets."""
        parent, target, name = self._submodules(path)
        if isinstance(target, Whole):
            update_whole(target, self.adapter, None)
            return
        wrapping = Wrapping(self.model.root, "", self.adapter, activate=True, versions=self.versions)
        wrapping.one(parent, target, name, path)

    def _submodules(self, path: str) -> tuple[Module, Module, str]:
        above, _, name = path.rpartition(".")
        parent, target = find(self.model.root, above), find(self.model.root, path)
        if parent is None or target is None:
            raise Undecided
        return parent, target, name

    def _create(self, path: str, parameter: str = "", wrapped: Tuner | None = None) -> None:
        """`_create_and_replace`."""
        parent, target, name = self._submodules(path)
        self._check_mamba(name)
        if self.config.peft_type == "TRAINABLE_TOKENS":
            self._create_tokens(parent, target, name, path)
            return
        self._check_parameters()
        if wrapped is not None:
            target = wrapped
        if isinstance(target, Whole):
            target.check_attributes()
        key = f"{_stripped(path)}.{parameter}" if parameter else path
        same = isinstance(target, Tuner) and target.method == self.config.peft_type
        if parameter and isinstance(target, Tuner) and self.adapter in target.adapters:
            same = False  # a second parameter of one module: a wrapper around the wrapper
        layer = target if same and isinstance(target, Tuner) else self._new_layer(target, key, parameter)
        found = self.model.in_file.get(_stripped(path), {})
        partial = self.model.tree.partial
        site = Site(unwrapped(target), key, self.config, self.model.random(), layer, self.versions, found, partial)
        if self.config.peft_type == "VERA" and self.model.shared:
            self._share_projections(site)
        tuned = parameters_at(site)
        if path in self._tied_targets:
            self._tie_parameters(tuned)
        layer.adapters[self.adapter] = tuned
        if layer is not target:
            parent.children[name] = layer

    def _check_parameters(self) -> None:
        """Before 0.20 one adapter of a model may target parameters."""
        mine = self.config.get("target_parameters")
        others = [c for c in self.model.configs.values() if c is not self.config]
        if mine and self.versions.peft < (0, 20) and any(c.get("target_parameters") for c in others):
            text = (
                f"Adding a LoRA config with `target_parameters={mine}` but there are already other LoRA adapters on this "
                "model that use `target_parameters`."
            )
            raise Refused("ValueError", text, cause="target-parameters")

    def _new_layer(self, target: Module, key: str, parameter: str) -> Tuner:
        kind = unwrapped(target).kind
        name = {Kind.EMBEDDING: "Embedding", Kind.CONV2D: "Conv2d", Kind.CONV1D: "Conv1d", Kind.CONV3D: "Conv3d"}
        type = "ParamWrapper" if parameter else name.get(kind, "Linear")
        if self.config.peft_type == "ADALORA":
            type = "SVDLinear"
        elif self.config.peft_type == "LN_TUNING":
            type = "LNTuningLayer"
        layer = Tuner(target, type, self.config.peft_type, self.adapter)
        known = LAYERS.get(self.config.peft_type)
        layer.attributes = known.attributes if known is not None else ()
        layer.parameter = parameter
        layer.feedforward = self.config.peft_type == "IA3" and self._is_feedforward(key)
        return layer

    def _is_feedforward(self, key: str) -> bool:
        modules = self.config.get("feedforward_modules") or ()
        return _fullmatch(modules, key) if isinstance(modules, str) else key.endswith(tuple(modules))

    def _tie_parameters(self, tuned: Any) -> None:
        """The transposed LoRA of the embedding for a head that is tied to it."""
        embedding = self.model.embedding
        of = embedding.adapters.get(self.adapter) if isinstance(embedding, Tuner) else None
        if of is None:
            raise Refused("AttributeError", "'Embedding' object has no attribute 'lora_embedding_A'", cause="tied")
        pairs = {("lora_A", ".weight"): ("lora_embedding_B", ""), ("lora_B", ".weight"): ("lora_embedding_A", "")}
        for mine, theirs in pairs.items():
            if mine in tuned.params and theirs in of.params:
                # `.t()` is a view: what is loaded into one is in the other.
                tuned.params[mine] = Transposed(of.params[theirs])

    def _share_projections(self, site: Site) -> None:
        """VeRA's projections: the first adapter makes them, later ones take its own."""
        first_a, first_b = self.model.shared["vera_A"], self.model.shared["vera_B"]
        if self.adapter in first_a:
            return
        a, b = next(iter(first_a.values())), next(iter(first_b.values()))
        inputs, outputs = site.features
        r = self.config.get("r")
        if a.shape is None or b.shape is None or inputs is None or outputs is None:
            raise Undecided
        for name, has, needs in (
            ("vera_A", a.shape[1], inputs),
            ("vera_B", b.shape[0], outputs),
            ("vera_A", a.shape[0], r),
            ("vera_B", b.shape[1], r),
        ):
            if has < needs:
                text = (
                    f"{name} has a size of {has} but {needs} or greater is required; this probably happened because ..."
                )
                raise Refused("ValueError", text, module=site.key, cause="shared-projections")
        first_a[self.adapter], first_b[self.adapter] = a, b

    def _create_tokens(self, parent: Module, target: Module, name: str, path: str) -> None:
        indices = self.config.get("token_indices")
        if isinstance(target, TokenLayer):
            update_rows(target, self.adapter, indices, tied=False, path=path, versions=self.versions)
            return
        layer = TokenLayer(target, self.adapter)
        update_rows(layer, self.adapter, indices, tied=False, path=path, versions=self.versions)
        parent.children[name] = layer

    def _check_mamba(self, name: str) -> None:
        types = _MAMBA if self.versions.peft >= (0, 20) else _MAMBA - {"nemotron_h"}
        methods = ("LORA", "ADALORA", "XLORA", "RANDLORA")
        if self.versions.peft < (0, 16) or self.config.peft_type not in methods:
            return
        if name in ("out_proj", "conv1d") and self.model.tree.model_type in types:
            text = (
                f"[PEFT:{self.config.peft_type}] Module '{name}' is incompatible with Mamba-based models "
                f"(model_type='{self.model.tree.model_type}'). Incompatible modules: out_proj, conv1d. "
            )
            raise Refused("ValueError", text, cause="target-unsupported")

    def _inject_parameters(self) -> bool:
        """`_inject_parameters`: LoRA of single parameters."""
        if isinstance(self.config.get("target_parameters"), str):
            raise Refused("TypeError", "`target_parameters` must be a list of strings or None.", cause="config")
        wanted = tuple(sorted(set(self.config["target_parameters"])))
        tails = tuple(f".{name}" for name in wanted)
        found = False
        for path, module in walk(self.model.root):
            plain = _stripped(path)
            for parameter in list(module.params):
                key = f"{plain}.{parameter}"
                if key not in wanted and not key.endswith(tails):
                    continue
                if not path:
                    raise Refused("ValueError", "Targeting an nn.Parameter on the top-level module is not supported")
                outer = find(self.model.root, plain)
                if isinstance(outer, Tuner) and outer.type != "ParamWrapper":
                    text = f"Trying to wrap an `nn.Parameter` of layer '{plain}' of type {module.type}, which is not a valid target."
                    raise Refused("ValueError", text, module=plain, cause="target-parameters")
                existing = outer
                while isinstance(existing, Tuner) and existing.parameter != parameter:
                    inside = existing.base
                    existing = inside if isinstance(inside, Tuner) else None
                wrapped = existing if isinstance(existing, Tuner) else None
                self._create(plain, parameter, wrapped)
                found = True
        return found

    def _nothing_matched(self) -> Refused:
        type = "NoMatchingPeftModuleError" if self.versions.peft >= (0, 21) else "ValueError"
        targets = self.config.get("target_modules")
        if self._excluded and not self._unmatched:
            text = "All modules were excluded. This is likely unintended. Check your `target_modules`, `exclude_modules` and "
            return Refused(type, text + "`modules_to_save` configuration.", cause="no-targets")
        if not self._excluded and not targets and self.versions.peft >= (0, 17):
            text = "No `target_modules` passed but also no `target_parameters` found. Please check the values for these arguments."
            return Refused(type, text, cause="no-targets")
        if not self._excluded:
            shown = targets if isinstance(targets, str) else set(targets or ())
            text = f"Target modules {shown} not found in the base model. Please check the target modules and try again."
            return Refused(type, text, cause="no-targets")
        text = "No modules were targeted for adaptation. This might be caused by a combination of mismatched target modules "
        return Refused(type, text + "and excluded modules.", cause="no-targets")

    def _warn_about_patterns(self) -> None:
        if self.config.get("exclude_modules") and not self._excluded:
            shown = self.config.get("exclude_modules")
            self.model.warnings.append(f"You have passed exclude_modules={shown} but no modules were excluded.")

    # -------------------------------------------------------------------------------------------- activation

    def _set_tuner(self, names: Iterable[str]) -> None:
        """`self.set_adapter(self.active_adapters)`."""
        if self.versions.peft >= (0, 18):
            switch(self.model.root, list(names), self.versions)
        set_tuners(self.model.root, list(names), self.config.peft_type)

    def _check_bias(self) -> None:
        """`_mark_only_adapters_as_trainable` knows three kinds of bias."""
        for name in self.model.active:
            config = self.model.configs.get(name)
            bias = config.get("bias", "none") if config is not None else "none"
            own = f"{(config.peft_type if config else '').lower()}_only"
            known = bias in ("none", "all", None, own, "lora_only")
            if not known and not (self.versions.peft >= (0, 18) and isinstance(bias, str) and bias.endswith("_only")):
                raise Refused("NotImplementedError", f"Requested bias: {bias}, is not implemented.", cause="config")


class Transposed(Param):
    """A transposed view of another parameter."""

    __slots__ = ("of",)

    def __init__(self, of: Param) -> None:
        self.of = of

    @property
    def shape(self) -> Any:  # type: ignore[override]
        """The shape of the other, turned."""
        return self.of.shape[::-1] if self.of.shape is not None else None

    @property
    def value(self) -> Any:  # type: ignore[override]
        """Where the data of the other comes from."""
        return self.of.value

    @value.setter
    def value(self, value: Any) -> None:
        self.of.value = value


def set_tuners(root: Module, names: list[str], method: str) -> None:
    """Make adapters active in the tuner layers of a method."""
    for _, module in walk(root):
        if (isinstance(module, Tuner) and module.method == method) or (
            isinstance(module, TokenLayer) and method == "TRAINABLE_TOKENS"
        ):
            module.active = list(names)


def add_auxiliaries(model: Model, adapter: str, config: OpenedConfig, *, outside: bool = False) -> None:
    """`set_additional_trainable_modules`: whole modules first, then what is tied to them, then token rows.

    Args:
        outside: Whether PEFT looks at the whole `PeftModel`, as 0.15 does.
    """
    versions = model.versions
    prompts = config.prompt_learning
    prefix = model.prefix if outside else ""
    wrapping = Wrapping(model.root, prefix, adapter, activate=prompts or adapter in model.active, versions=versions)
    saved = config.get("modules_to_save")
    if saved is not None:
        model.saved.update(saved)
        wrapping.whole(saved)
    if config.get("modules_to_tie") is not None:
        embedding = model.embedding
        copy = embedding.copies.get(adapter) if isinstance(embedding, Whole) else None
        if copy is None:
            raise Refused("AttributeError", f"'ModuleDict' object has no attribute '{adapter}'", cause="tied")
        wrapping.whole(config["modules_to_tie"], tied=copy)
    if config.get("trainable_token_indices") is not None:
        _add_tokens(model, adapter, config, wrapping)
    model.broken = model.broken or wrapping.broken


def _add_tokens(model: Model, adapter: str, config: OpenedConfig, wrapping: Wrapping) -> None:
    given = config["trainable_token_indices"]
    embedding = model.tree.input_embeddings
    layers = given if isinstance(given, dict) else {embedding or "embed_tokens": given}
    saved = model.saved if model.versions.peft < (0, 16) else set(config.get("modules_to_save") or ())
    for name in layers:
        if name in saved:
            text = f'The embedding layer is already marked to be trained fully, either specify `modules_to_save=[..., "{name}"'
            raise Refused("ValueError", text, module=name, cause="tokens-and-whole")
    skipped, mismatch = _tied_layers(model, config, layers)
    for name, indices in layers.items():
        if name not in skipped:
            wrapping.tokens([name], indices)
    module = model.embedding
    if not (model.tied and isinstance(module, TokenWrapper)) or mismatch:
        return
    names = model.tied_modules()
    if not names:
        return
    # Tied partners become active at once: `activate_adapter` is not handed on (utils/other.py).
    partner = Wrapping(model.root, wrapping.prefix, adapter, activate=True, versions=model.versions)
    if adapter not in module.layer.indices:
        raise Refused("KeyError", repr(adapter), cause="tied")
    partner.tokens(names, module.layer.indices[adapter], tied=module.layer)
    model.broken = model.broken or partner.broken


def _tied_layers(model: Model, config: OpenedConfig, layers: dict[str, Any]) -> tuple[set[str], bool]:
    """Which of several layers follow another one, and whether tied ones have different indices (since 0.19)."""
    if model.versions.peft < (0, 19) or len(layers) < 2 or not model.tied:
        return set(), False
    tied = set(model.tied_modules())
    embedding = model.tree.input_embeddings or ""
    keys = [
        name
        for name in layers
        if embedding.endswith(name) or any(m.endswith(name) or name in m.split(".") for m in tied)
    ]
    if len(keys) < 2:
        return set(), False
    mismatch = any(layers[key] != layers[keys[0]] for key in keys[1:])
    ensured = bool(config.get("ensure_weight_tying"))
    if mismatch and ensured:
        text = "Cannot ensure weight tying when different token indices are specified for tied layers."
        raise Refused("ValueError", text, cause="tied")
    return (set() if mismatch else set(keys) & tied), mismatch


def tie_token_layers(model: Model, adapter: str, config: OpenedConfig) -> None:
    """What `TrainableTokensModel.inject_adapter` does for a tied model."""
    module = model.embedding
    if not (model.tied and isinstance(module, TokenLayer)):
        return
    tied = model.tied_modules()
    for path, _ in walk(model.root, duplicates=True):
        if not path.endswith(tuple(tied)) or not tied:
            continue
        parent = find(model.root, path.rpartition(".")[0])
        target = find(model.root, path)
        if parent is None or target is None:
            raise Undecided
        if isinstance(target, TokenLayer):
            if model.versions.peft >= (0, 19):
                parent.children[path.rpartition(".")[2]] = TokenLayer(target.base, adapter, module)
            continue
        parent.children[path.rpartition(".")[2]] = TokenLayer(target, adapter, module)


def _without_tied(entries: list[str], tied: list[str]) -> list[str]:
    left = list(entries)
    for name in tied:
        match = next((e for e in left if re.match(component_pattern(e), name)), None)
        if match is not None:
            left.remove(match)
    return left


def _stripped(path: str) -> str:
    return path.replace(".base_layer", "")


def _fullmatch(pattern: str, text: str) -> bool:
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error:
        return False


__all__ = ["Injection", "add_auxiliaries", "set_active", "set_tuners", "tie_token_layers", "weight_of"]
