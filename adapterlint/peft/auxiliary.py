"""Auxiliary modules of a symbolic model: `modules_to_save` and token rows, wrapped and switched as PEFT does.

Follows `_set_trainable`, `_set_adapter`, `ModulesToSaveWrapper` and `TrainableTokensWrapper` of `peft/utils/other.py`,
and `TrainableTokensLayer` of `peft/tuners/trainable_tokens/layer.py`, 0.15 to 0.21.2.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from adapterlint.base.tree import Kind
from adapterlint.peft.modules import Module, Param, Root, find, walk
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.versions import Versions
from adapterlint.peft.wrappers import (
    Auxiliary,
    TokenLayer,
    TokenWrapper,
    Tuner,
    Whole,
    attributes_of,
    unwrapped,
    weight_of,
)

FORBIDDEN = ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict")


class Wrapping:
    """One call of `_set_trainable`: wraps every module whose path ends like one of some entries.

    Args:
        root: The model.
        prefix: What its paths begin with where PEFT looks at them from outside: `base_model.model` or nothing.
        adapter: The adapter's name.
        activate: Whether its version is active at once (always, before PEFT 0.18).
        versions: PEFT and transformers.
    """

    def __init__(self, root: Root, prefix: str, adapter: str, *, activate: bool, versions: Versions) -> None:
        self.root = root
        self.prefix = prefix
        self.adapter = adapter
        self.activate = activate or not versions.peft >= (0, 18)
        self.versions = versions
        self.broken = False  # something was wrapped whose tensors no file has: loading ends with a KeyError

    def whole(self, entries: Iterable[str], *, tied: Module | None = None) -> None:
        """Wrap modules for `modules_to_save`; a string of entries is its characters."""
        tails = tuple(entries)
        if "" in tails:
            raise Refused("TypeError", f"{Whole.label} cannot be applied to modules of type <class 'NoneType'>")
        for path, parent, grandparent, target, name in self._matching(tails, self.wrap_inner):
            around = isinstance(grandparent, Whole) and self.versions.peft >= (0, 19)
            self.one(parent, grandparent if around and grandparent else target, name, path, tied=tied)

    def one(self, parent: Module, target: Module, name: str, path: str, *, tied: Module | None = None) -> None:
        """Wrap one module that is found already, or add to what wraps it."""
        if isinstance(target, Whole):
            _update_whole(target, self.adapter, tied)
            self.root.changed()
            return
        wrapper = Whole(target, self.adapter)
        wrapper.brittle = self.versions.peft == (0, 18)
        _update_whole(wrapper, self.adapter, tied)
        _check(wrapper, target, path, self.versions.peft)
        self._place(wrapper, parent, name)

    def tokens(self, entries: Sequence[str], indices: Any, *, tied: TokenLayer | None = None) -> None:
        """Wrap modules for token rows; PEFT insists that there is one."""
        found = False
        for path, parent, grandparent, target, name in self._matching(tuple(entries), self.rows_inner):
            found = True
            wrapper = grandparent if isinstance(grandparent, TokenWrapper) and self.versions.peft >= (0, 19) else target
            if isinstance(wrapper, TokenWrapper):
                self._update_tokens(wrapper, indices, tied, path)
                continue
            if isinstance(target, Whole):
                target.check_attributes()
            wrapper = TokenWrapper(TokenLayer(target, self.adapter, tied), self.adapter)
            self._update_tokens(wrapper, indices, tied, path)
            _check(wrapper, target, path, self.versions.peft)
            self._place(wrapper, parent, name)
        if not found:
            text = f"Target modules {set(entries)} not found in the base model."
            raise Refused(
                "ValueError", f"{text} Please check the target modules and try again.", cause="tokens-match-nothing"
            )

    def _update_tokens(self, wrapper: TokenWrapper, indices: Any, tied: TokenLayer | None, path: str) -> None:
        if self.adapter not in wrapper.adapters:
            update_rows(wrapper.layer, self.adapter, indices, tied=tied is not None, path=path, versions=self.versions)
        wrapper.adapters.add(self.adapter)

    def _matching(
        self, tails: tuple[str, ...], wrap_inside: Callable[[str, str, str], None]
    ) -> Iterable[tuple[str, Module, Module | None, Module, str]]:
        """Path, parent, grandparent, module and its own name, of the modules that are there before any is wrapped.

        Args:
            wrap_inside: What to do with a module inside of a layer: path of the layer, its name and class.
        """
        outside = ("base_model", "base_model.model") if self.prefix else ()
        self.broken = self.broken or any(name.endswith(tails) for name in outside)
        for path, module in walk(self.root, self.prefix, duplicates=True):
            if path.endswith(tails) and path != self.prefix:
                inner = path[len(self.prefix) + 1 :] if self.prefix else path
                above, _, name = inner.rpartition(".")
                parent, target = find(self.root, above), find(self.root, inner)
                if parent is None or target is None:
                    raise Refused("AttributeError", f"{type(parent).__name__} has no attribute `{name}`", module=inner)
                grandparent = find(self.root, above.rpartition(".")[0])
                if isinstance(grandparent, Tuner) and self.versions.peft >= (0, 18):
                    raise _inside_tuner(self.adapter)
                yield inner, parent, grandparent, target, name
            for name, kind in module.inner_names():
                if f".{name}".endswith(tails):
                    wrap_inside(path, name, kind)

    def rows_inner(self, layer: str, name: str, kind: str) -> None:
        """Token rows of a module inside of a layer, which has no weight for them."""
        if self.versions.peft >= (0, 18) and "." in name:
            raise _inside_tuner(self.adapter)
        if not kind:
            raise Undecided
        raise Refused("AttributeError", f"'{kind}' object has no attribute 'weight'", module=f"{layer}.{name}")

    def wrap_inner(self, layer: str, name: str, kind: str) -> None:
        """The same of a whole module."""
        path, of_adapter = f"{layer}.{name}", "." in name
        inner = layer[len(self.prefix) + 1 :] if self.prefix else layer
        owner = find(self.root, inner)  # a wrapper on the way may refuse to answer
        around = find(self.root, inner.rpartition(".")[0])
        if not of_adapter and isinstance(around, Whole) and self.versions.peft >= (0, 19):
            _update_whole(around, self.adapter, None)
            self.root.changed()
            return
        if not of_adapter:
            if kind == "BufferDict" and isinstance(owner, Tuner):
                self.broken = True  # the copy asks for its buffers by the adapters' names
                return
            if kind not in FORBIDDEN:
                raise Undecided
            text = f"{Whole.label} cannot be applied to modules of type <class 'torch.nn.modules.container.{kind}'>"
            raise Refused("TypeError", text, module=path)
        if self.versions.peft >= (0, 18):
            raise _inside_tuner(self.adapter)
        self.broken = self.broken or not kind

    def _place(self, wrapper: Auxiliary, parent: Module, name: str) -> None:
        set_active(wrapper, [self.adapter] if self.activate else [])
        self.root.put(parent, name, wrapper)


def _inside_tuner(adapter: str) -> Refused:
    text = (
        "You are trying to target a module that is a child of a tuner layer. This is almost certainly not the intended "
        f"behavior. Please ensure that the adapter name, '{adapter}', does not conflict with any of the targeted "
        "modules."
    )
    return Refused("ValueError", text)


def _check(wrapper: Auxiliary, target: Module, path: str, since: tuple[int, int]) -> None:
    around_tuner = isinstance(target, Tuner | TokenLayer) and since >= (0, 13)
    if around_tuner or target.type in FORBIDDEN:
        text = f"{wrapper.label} cannot be applied to modules of type <class '{_class(target)}'>"
        cause = "auxiliary-on-tuner" if isinstance(target, Tuner) else "auxiliary-on-container"
        raise Refused("TypeError", text, module=path, cause=cause)


def _class(module: Module) -> str:
    if isinstance(module, Tuner):
        return f"peft.tuners.{module.method.lower()}.layer.{module.type}"
    return f"torch.nn.modules.container.{module.type}" if module.type in FORBIDDEN else module.type


def _update_whole(wrapper: Whole, adapter: str, tied: Module | None) -> None:
    """Give an adapter its own copy of a module, unless it has one."""
    wrapper.adapters.add(adapter)
    if adapter in wrapper.copies:
        return
    if tied is None:
        wrapper.copies[adapter] = wrapper.original.copy({})
    else:
        copy = Module(Kind.LINEAR, "Linear")
        copy.params["weight"] = weight_of(tied) or Param(None)
        wrapper.copies[adapter] = copy


def update_rows(layer: TokenLayer, adapter: str, indices: Any, *, tied: bool, path: str, versions: Versions) -> None:
    """`TrainableTokensLayer.update_layer`: take the rows of an adapter from the base."""
    if tied:
        return
    base = unwrapped(layer)
    # Copies of earlier adapters are frozen by the time that layers are made; the adapter's own one is not.
    own = isinstance(base, Whole) and adapter in base.copies and base.active == [adapter]
    layer.graded = layer.graded or (versions.peft < (0, 18) and own)
    weight = weight_of(base)
    if weight is None:
        raise Refused("AttributeError", f"'{base.type}' object has no attribute 'weight'", module=path)
    base = attributes_of(base)
    if base.kind is not Kind.EMBEDDING and versions.peft >= (0, 16):
        needed = "in_features" if versions.peft >= (0, 18) else "embedding_dim"
        if needed == "embedding_dim" or base.kind not in (Kind.LINEAR, Kind.UNKNOWN):
            raise Refused("AttributeError", f"'{base.type}' object has no attribute '{needed}'", module=path)
    rows = weight.shape[0] if weight.shape else None
    if rows is not None and isinstance(indices, list):
        for index in indices:
            if isinstance(index, int) and not -rows <= index < rows:
                text = f"index {index} is out of bounds for dimension 0 with size {rows}"
                raise Refused("IndexError", text, module=path, cause="token-out-of-range")
    count = len(indices) if isinstance(indices, list) else 0
    width = weight.shape[1:] if weight.shape else None
    layer.indices[adapter] = indices
    layer.deltas[adapter] = Param((count, *width) if width is not None else None, ("rows", weight.value, str(indices)))


def set_active(wrapper: Auxiliary, names: Sequence[str]) -> None:
    """Make a version active; none is the base's own."""
    wrapper.active = list(names)
    if isinstance(wrapper, TokenWrapper):
        wrapper.layer.active = list(names)


def auxiliaries(root: Root) -> list[tuple[str, Auxiliary]]:
    """Every auxiliary module of a model, with its path."""
    return root.of_class(Auxiliary)


def switch(root: Root, names: str | Sequence[str], versions: Versions) -> None:
    """`_set_adapter`: make the versions of one adapter, or of several, active in all auxiliary modules.

    Raises:
        Refused: Several of the adapters own one of the modules; those before it are switched already.
    """
    single = isinstance(names, str)
    several: list[str] = [names] if isinstance(names, str) else list(names)
    for path, wrapper in auxiliaries(root):
        if versions.peft >= (0, 18):
            owner = several[0] if single else _owner(wrapper, several, path)
        elif len(several) > 1:
            raise Refused("ValueError", "Only one adapter can be set at a time for modules_to_save", module=path)
        else:
            owner = several[0] if several else None
        owned = owner is not None and owner in wrapper.adapters
        if versions.peft < (0, 19):
            disable(wrapper, not owned)
        if owned and owner is not None:
            set_active(wrapper, [owner])
        elif versions.peft >= (0, 18):
            set_active(wrapper, [])


def _owner(wrapper: Auxiliary, names: Sequence[str], path: str) -> str | None:
    if not names:
        raise Refused("ValueError", "Please specify at least one adapter to set")
    owners = [name for name in names if name in _versions(wrapper)]
    if len(owners) > 1:
        text = f"Only one adapter can be set at a time for {wrapper.type}(...), got {len(owners)}"
        raise Refused("ValueError", text, module=path, cause="auxiliary-overlap")
    return owners[0] if owners else None


def _versions(wrapper: Auxiliary) -> Collection[str]:
    """The adapters that have a version of their own; those that share the rows of a tied module are among them."""
    if isinstance(wrapper, TokenWrapper):
        return wrapper.layer.deltas
    return wrapper.copies if isinstance(wrapper, Whole) else ()


def disable(wrapper: Auxiliary, disabled: bool) -> None:
    """`enable_adapters`."""
    wrapper.disabled = disabled
    if isinstance(wrapper, TokenWrapper):
        wrapper.layer.disabled = disabled
