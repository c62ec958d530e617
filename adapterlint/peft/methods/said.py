"""What a config and a base say of each module that an adapter tunes: ranks of its own, kinds, sizes of its weight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapterlint.adapter import Config
from adapterlint.base.tree import Kind, ModuleTree
from adapterlint.base.tree import Shape as Numbers
from adapterlint.peft.default_targets import every_default
from adapterlint.peft.footprint import Footprint
from adapterlint.peft.matching import Targets
from adapterlint.peft.methods.catalogue import METHODS
from adapterlint.peft.methods.expected import INNER, form_on, lists_part
from adapterlint.peft.methods.method import Method
from adapterlint.peft.methods.parameter import CONV1D, CONV2D, CONV3D, EMBEDDING, GPT2, LINEAR, PARAMETER
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.pattern_keys import overrides
from adapterlint.peft.patterns import are_few, pattern
from adapterlint.peft.ranks import mask_of

_BY_DIMENSIONS = {2: (LINEAR, GPT2, EMBEDDING), 3: (CONV1D,), 4: (CONV2D,), 5: (CONV3D,)}
"""Dimensions of a weight -> what the module may be."""


@dataclass(frozen=True, slots=True)
class Where:
    """What a config and a base say of a module.

    Args:
        overrides: The values that patterns give to it.
        lists: The settings that list it by its name.
        weight: The shape of its weight, if the base tells.
        bias: Whether it has a bias, if the base tells.
        kinds: The kinds of modules that it may be.
        by_default: Whether what the config leaves out would list it in some base.
        text: The same for modules of which the same is said.
    """

    overrides: Mapping[str, Any]
    lists: frozenset[str]
    weight: Numbers | None
    bias: bool | None
    kinds: tuple[Kind | str, ...]
    by_default: bool
    text: str


class Said:
    """What a config and a base say of the modules of one adapter.

    Args:
        config: The config.
        values: Its values as a release reads them.
        touched: What the adapter touches.
        tree: Its base, if there is one at hand.
        release: The release.
    """

    def __init__(
        self, config: Config, values: OpenedConfig, touched: Footprint, tree: ModuleTree | None, release: str
    ) -> None:
        self.config = config
        self.values = values
        self.touched = touched
        self.tree = tree
        self.release = release
        self.method: Method = METHODS[config.peft_type]
        self.targets = Targets(config)
        kinds = dict.fromkeys(kind for form in self.method.forms for kind in form.on if kind != PARAMETER)
        along = {kind: _along(self.method, kind, release) for kind in kinds}
        self.along = {
            kind: name for kind, name in along.items() if not name or any(m.endswith(name) for m in touched.tuned)
        }
        self.patterns = {
            key: patterned
            for key, patterned in self.method.patterns_in(release).items()
            if patterned.for_first and isinstance(given := values.get(patterned.key), dict) and given and are_few(given)
        }
        self.left_out = [key for key in self.method.lists if "." not in key and values.get(key) is None]
        self.listing = tuple(name for name in self.method.lists if values.get(name.partition(".")[0]))
        # Most configs say the same of all of hundreds of modules, which is found out once then.
        by_module = self.patterns or self.listing or self.left_out or any(self.along.values())
        by_module = by_module or config.get("target_parameters") or config.get("rank_pattern")
        self.uniform = tree is None and not by_module

    def grouped(self, modules: Sequence[str], inner: bool) -> Iterable[tuple[Where, Sequence[str]]]:
        """What is said of modules, and those of which it is.

        Args:
            inner: Whether it is about parameters of another layer around the modules.
        """
        if self.uniform and not inner:
            return [(self._one(modules[0], inner), modules)] if modules else []
        found: dict[str, tuple[Where, list[str]]] = {}
        for module in modules:
            where = self._one(module, inner)
            found.setdefault(where.text, (where, []))[1].append(module)
        return found.values()

    def _one(self, module: str, inner: bool) -> Where:
        overrides, lists = self._overrides(module), self._listing(module)
        weight, bias, kinds = self._seen(module)
        owned = (
            None if inner else self.targets.owns_parameter(module) if self.config.get("target_parameters") else False
        )
        if owned is not False:
            weight, kinds = None, ((PARAMETER,) if owned else (PARAMETER, *kinds))
        by_default = bool(self.left_out) and self._may_be_listed(module)
        text = repr((overrides, sorted(lists), weight, bias, kinds, by_default))
        return Where(overrides, lists, weight, bias, kinds, by_default, text)

    def _seen(self, module: str) -> tuple[Numbers | None, bool | None, tuple[Kind | str, ...]]:
        """The shape of a module's weight, whether it has a bias, if the base tells, and of which kinds it may be."""
        node = self.tree.nodes.get(module) if self.tree is not None else None
        weight = node.parameters.get("weight") if node is not None else None
        modules = tuple(kind for kind, along in self.along.items() if not along or self._goes_along(module, along))
        if node is None or weight is None:
            return None, None, modules
        may_be = (node.kind,) if node.certain else _BY_DIMENSIONS.get(len(weight), ())
        return weight, "bias" in node.parameters, tuple(kind for kind in modules if kind in may_be)

    def _goes_along(self, module: str, along: str) -> bool:
        return any(f"{module}.{inner}{along}" in self.touched.tuned for inner in ("", INNER))

    def _overrides(self, module: str) -> dict[str, Any]:
        """The values that patterns give to a module."""
        outer = self.touched.outer(module)
        names = (module,) if outer == module else (outer, module)
        found = overrides(self.patterns, self.values, names, self.release, first=True)
        ranks = self.config.get("rank_pattern")
        if self.method.masks_ranks and isinstance(ranks, dict) and ranks:
            mask = mask_of(module, ranks)
            found["init_r"] = sum(one is True for one in mask) if mask is not None else None
        return found

    def _listing(self, module: str) -> frozenset[str]:
        return frozenset(name for name in self.listing if self._lists(name, module))

    def _may_be_listed(self, module: str) -> bool:
        """Whether what a config leaves out would list a module in some base: PEFT fills it in by the base's type."""
        return any(module.endswith(tuple(names)) for names in every_default(self.method.name, "FEEDFORWARD"))

    def _lists(self, name: str, module: str) -> bool:
        if "." in name:
            return lists_part(self.values, name, module)
        value = self.values.get(name)
        if isinstance(value, str):
            return pattern(value).matches(module) is True
        return isinstance(value, list) and module.endswith(tuple(v for v in value if isinstance(v, str)))


def _along(method: Method, kind: Kind | str, release: str) -> str:
    """What is tuned along with a module of a kind."""
    form = form_on(method.name, kind, release)
    return form.along if form is not None else ""
