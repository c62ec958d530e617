"""Injecting an adapter's layers into a symbolic model.

Follows `BaseTuner.inject_adapter` (`peft/tuners/tuners_utils.py`), the `_create_and_replace` of the tuners and
`set_additional_trainable_modules` (`peft/utils/other.py`; a method of `PeftModel` before 0.16), 0.15 to 0.21.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adapterlint.base.tree import Kind
from adapterlint.peft.activation import set_adapters
from adapterlint.peft.additional_modules import add_auxiliaries
from adapterlint.peft.attention import tune_along
from adapterlint.peft.auxiliary import Wrapping, update_rows
from adapterlint.peft.early import check_injected, misses_attribute
from adapterlint.peft.methods import METHODS
from adapterlint.peft.model import Model
from adapterlint.peft.modules import Module, Part, Transposed, find, walk
from adapterlint.peft.moe import convert_config
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.particular import particular
from adapterlint.peft.patterns import pattern
from adapterlint.peft.preparation import (
    check_bias,
    check_config,
    check_mamba,
    check_tied,
    expand_targets,
    prepare_targets,
    targets_of,
)
from adapterlint.peft.projections import registered_projections, share_projections
from adapterlint.peft.refused import Refused, Undecided, check_name
from adapterlint.peft.replication import replicate_layers
from adapterlint.peft.tuner_layers import Site, has_factors, parameters_at, recipes_of, unsupported
from adapterlint.peft.wrappers import Auxiliary, TokenLayer, Tuned, Tuner, Whole, attributes_of, unwrapped


class Injection:
    """One call of `inject_adapter`.

    Args:
        model: The model; whatever was done before something is refused, stays done.
        adapter: The adapter's name.
        config: Its config, which is changed as PEFT changes it.
        late: What is raised at the first layer that has the two factors of LoRA.
    """

    def __init__(self, model: Model, adapter: str, config: OpenedConfig, late: Refused | None = None) -> None:
        self.model = model
        self.adapter = adapter
        self.config = config
        self.versions = model.versions
        self._late = late
        self._draw = model.random()
        self._method = METHODS[config.peft_type]
        self._attributes = self._method.attributes
        self._particular = particular(config.peft_type)

    def run(self) -> None:
        """Inject.

        Raises:
            Refused: PEFT raises.
            Undecided: It cannot be said.
        """
        since = self.versions.peft
        if since >= (0, 19) and self.versions.transformers >= (5, 0):
            convert_config(self.model, self.config)
        check_config(self.model, self.config)
        if since >= (0, 18):
            check_tied(self.model, self.config)
        prepare_targets(self.model, self.config)
        if self.config.get("layer_replication"):
            replicate_layers(self.model, self.config["layer_replication"])
        expand_targets(self.model, self.config)
        self._recipes = recipes_of(self.config, self.versions)
        modules = self._match()
        check_injected(self.model, self.adapter, self.config)
        parameters = self._inject_parameters() if self.config.get("target_parameters") else False
        for path in self._tied_targets:
            modules = True
            self._create(path)
        local = since >= (0, 21)
        if not (modules or parameters) and (local or not self.model.targeted) and not self._dummy:
            error = self._nothing_matched()
            raise (None if self._all_excluded else misses_attribute(self.config, since)) or error
        self.model.targeted = True
        self._particular.injected(self.model)
        self._warn_about_patterns()
        set_adapters(self.model, self.model.active)
        check_bias(self.model)
        if since >= (0, 16):
            add_auxiliaries(self.model, self.adapter, self.config)

    @property
    def _all_excluded(self) -> bool:
        return bool(self._excluded and not self._unmatched)

    @property
    def _dummy(self) -> bool:
        return bool(self.config.get("target_modules") == "dummy-target-modules")

    def _match(self) -> bool:
        """Wrap every target module; whether there was any."""
        since = self.versions.peft
        saved = self.config.get("modules_to_save") or ()
        targets = targets_of(self.model, self.config)
        self._excluded = self._unmatched = 0
        self._tied_targets: list[str] = []
        tie = frozenset(self.config.get("target_modules_to_tie") or ())
        undecided = self.config.get("target_modules") is None
        early = tuple(saved) if since < (0, 16) else ()
        found = False
        for path, inner in list(self._candidates()):  # the names that there are before the first is wrapped
            if early and path.endswith(early):
                self._wrap_early(path, inner)
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
                if inner is not None:
                    self._refuse_inner(path, inner)
                self._create(path)
        return found

    def _candidates(self) -> Iterator[tuple[str, _Inner | None]]:
        """The names that may be targets; of a module inside of one of PEFT's layers, what it is there."""
        if self._dummy:
            return
        below = ""
        inner = self.versions.peft < (0, 16)
        waiting: list[tuple[str, Module]] = []  # what a layer wraps stands before what is in it
        for path, module in walk(self.model.root):
            if not path or (below and path.startswith(below)):
                continue
            while waiting and not path.startswith(f"{waiting[-1][0]}."):
                yield from _inner(*waiting.pop())
            yield path, None
            if isinstance(module, Tuner | TokenLayer):
                if not inner:
                    below = f"{path}."
                else:
                    waiting.append((path, module))
        while waiting:
            yield from _inner(*waiting.pop())

    def _wrap_early(self, path: str, inner: _Inner | None) -> None:
        """0.15 wraps `modules_to_save` among the targets."""
        wrapping = Wrapping(self.model.root, "", self.adapter, activate=True, versions=self.versions)
        if inner is not None:
            wrapping.wrap_inner(inner.layer, inner.name, inner.type)
            self.model.broken = self.model.broken or wrapping.broken
            return
        parent, target, name = self._submodules(path)
        wrapping.one(parent, target, name, path)

    def _refuse_inner(self, path: str, inner: _Inner) -> None:
        """No method takes what is inside of a layer but for what holds parameters, which is not followed."""
        check_name(self.adapter)
        error = unsupported(self._method, f"{inner.type}()", path, self.model.release)
        raise error if error is not None and inner.type else Undecided()

    def _submodules(self, path: str) -> tuple[Module, Module, str]:
        above, _, name = path.rpartition(".")
        parent, target = find(self.model.root, above), find(self.model.root, path)
        if parent is None or target is None:
            raise Undecided
        return parent, target, name

    def _create(self, path: str, parameter: str = "", wrapped: Tuner | None = None) -> None:
        """`_create_and_replace`."""
        check_name(self.adapter)
        parent, target, name = self._submodules(path)
        check_mamba(self.model, self.config, name)
        if parameter and not self._method.takes_parameters:
            text = f"{self._method.tuner}._create_and_replace() got an unexpected keyword argument 'parameter_name'"
            raise Refused("TypeError", text, cause="target-parameters")
        if self._method.token_rows:
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
            if target.parameter == parameter:
                raise Refused("ValueError", "Trying to target the same nn.Parameter twice", cause="target-parameters")
            same = False  # a second parameter of one module: a wrapper around the wrapper
        layer = target if same and isinstance(target, Tuner) else self._new_layer(target, key, parameter)
        found = self.model.in_file.get(_stripped(path), {})
        partial = self.model.tree.partial
        module = unwrapped(target)
        if layer is target:  # `update_layer` asks nothing of what it wraps
            while isinstance(module, Auxiliary):
                module = unwrapped(attributes_of(module, tokens=True))
        shared = self._particular.at_target(self.model, self.adapter, path, self.config)
        new = layer is not target
        site = Site(
            module, key, self.config, self._draw, layer, new, self.versions, found, partial, self._recipes, shared
        )
        if self.model.shared:
            share_projections(self.model, self.adapter, site)
        if self._late is not None and has_factors(site):
            raise self._late
        tuned = parameters_at(site)
        if tuned is None:
            return
        tuned.params |= registered_projections(self.model, self.adapter, self.config)
        if path in self._tied_targets:
            self._tie_parameters(tuned)
        if module.kind is Kind.ATTENTION and not (parameter or partial):
            tune_along(self.model, self.adapter, site, tuned)
        layer.adapters[self.adapter] = tuned
        if self._method.copies:
            self._hold_copy(layer, module, tuned)
        if layer is not target:
            self.model.root.put(parent, name, layer)

    def _hold_copy(self, layer: Tuner, module: Module, tuned: Tuned) -> None:
        """LN tuning copies a module with the wrappers in it, which are switched like all others."""
        if not any(isinstance(inner, Auxiliary) for _, inner in walk(module)):
            return
        copy, held = module.copy({}), layer.children.setdefault(self._attributes[0][0], Part("ModuleDict"))
        held.children[self.adapter] = copy
        for path, inner in walk(copy, duplicates=True):
            for name in inner.params:
                inner.params[name] = tuned.params[self._attributes[0][0], f".{path}.{name}"]

    def _check_parameters(self) -> None:
        """Before 0.20 one adapter of a model may target parameters."""
        mine = self.config.get("target_parameters")
        others = [c for c in self.model.configs.values() if c is not self.config]
        if mine and self.versions.peft < (0, 20) and any(c.get("target_parameters") for c in others):
            text = (
                f"Adding a LoRA config with `target_parameters={mine}` but there are already other LoRA adapters on "
                "this model that use `target_parameters`."
            )
            raise Refused("ValueError", text, cause="target-parameters")

    def _new_layer(self, target: Module, key: str, parameter: str) -> Tuner:
        kind = unwrapped(target).kind
        name = {Kind.EMBEDDING: "Embedding", Kind.CONV2D: "Conv2d", Kind.CONV1D: "Conv1d", Kind.CONV3D: "Conv3d"}
        type = "ParamWrapper" if parameter else self._method.layer or name.get(kind, "Linear")
        layer = Tuner(target, type, self.config.peft_type, self.adapter)
        layer.attributes = self._attributes
        layer.parameter = parameter
        layer.feedforward = "feedforward_modules" in self._method.lists and self._is_feedforward(key)
        return layer

    def _is_feedforward(self, key: str) -> bool:
        modules = self.config.get("feedforward_modules") or ()
        return pattern(modules).matches(key) is True if isinstance(modules, str) else key.endswith(tuple(modules))

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

    def _create_tokens(self, parent: Module, target: Module, name: str, path: str) -> None:
        indices = self.config.get("token_indices")
        if isinstance(target, TokenLayer):
            update_rows(target, self.adapter, indices, tied=False, path=path, versions=self.versions)
            return
        layer = TokenLayer(target, self.adapter)
        update_rows(layer, self.adapter, indices, tied=False, path=path, versions=self.versions)
        self.model.root.put(parent, name, layer)

    def _inject_parameters(self) -> bool:
        """`_inject_parameters`: LoRA of single parameters."""
        if isinstance(self.config.get("target_parameters"), str):
            raise Refused("TypeError", "`target_parameters` must be a list of strings or None.", cause="config")
        wanted = tuple(sorted(set(self.config["target_parameters"])))
        tails = tuple(f".{name}" for name in wanted)

        def targeted(key: str) -> bool:
            return key in wanted or key.endswith(tails)

        found = False
        inside = ""  # a layer of PEFT whose own parameters, which stand behind what it wraps, are targeted
        for path, module in walk(self.model.root):
            if inside and not path.startswith(inside):
                break
            plain = _stripped(path)
            own = isinstance(module, Tuner | TokenLayer)
            if own and not inside and any(targeted(f"{plain}.{name}") for name, _ in module.state()):
                inside = f"{path}."
            for parameter in list(module.params):
                if targeted(f"{plain}.{parameter}"):
                    self._create(path, parameter, self._parameter_wrapper(path, module, parameter))
                    found = True
        if inside:
            self._check_parameters()
            raise Undecided
        return found

    def _parameter_wrapper(self, path: str, module: Module, parameter: str) -> Tuner | None:
        """The wrapper that a parameter has already; PEFT asks for it under a path without wrappers.

        Raises:
            Refused: The parameter cannot be wrapped.
        """
        since = self.versions.peft
        if not path and since >= (0, 20):
            raise Refused("ValueError", "Targeting an nn.Parameter on the top-level module is not supported")
        plain = _stripped(path)
        outer = find(self.model.root, plain)
        if not path or outer is None:
            raise Undecided
        if isinstance(outer, Tuner | TokenLayer) and outer.type != "ParamWrapper":
            text = f"Trying to wrap an `nn.Parameter` of layer '{plain}' of type {module.type}, "
            text += "which is not a valid target."
            raise Refused("ValueError", text, module=plain, cause="target-parameters")
        while since >= (0, 20) and isinstance(outer, Tuner) and outer.type == "ParamWrapper":
            if outer.parameter == parameter:
                return outer
            outer = outer.base
        return None

    def _nothing_matched(self) -> Refused:
        type = "NoMatchingPeftModuleError" if self.versions.peft >= (0, 21) else "ValueError"
        targets = self.config.get("target_modules")
        if self._all_excluded:
            text = (
                "All modules were excluded. This is likely unintended. Check your `target_modules`, `exclude_modules` "
                "and `modules_to_save` configuration."
            )
            return Refused(type, text, cause="no-targets")
        if not self._excluded and not targets and self.versions.peft >= (0, 17):
            text = "No `target_modules` passed but also no `target_parameters` found."
            return Refused(type, f"{text} Please check the values for these arguments.", cause="no-targets")
        if not self._excluded:
            shown = targets if isinstance(targets, str) else set(targets or ())
            text = f"Target modules {shown} not found in the base model. Please check the target modules and try again."
            return Refused(type, text, cause="no-targets")
        text = (
            "No modules were targeted for adaptation. This might be caused by a combination of mismatched target "
            "modules and excluded modules."
        )
        return Refused(type, text, cause="no-targets")

    def _warn_about_patterns(self) -> None:
        if self.config.get("exclude_modules") and not self._excluded:
            shown = self.config.get("exclude_modules")
            self.model.warnings.append(f"You have passed exclude_modules={shown} but no modules were excluded.")


@dataclass(frozen=True, slots=True)
class _Inner:
    """A module inside of one of PEFT's layers: the layer's path, its name there, and its class."""

    layer: str
    name: str
    type: str


def _inner(path: str, module: Module) -> Iterator[tuple[str, _Inner]]:
    for name, type in module.inner_names():
        yield f"{path}.{name}", _Inner(path, name, type)


def _stripped(path: str) -> str:
    return path.replace(".base_layer", "")
