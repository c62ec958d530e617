"""A symbolic PeftModel: the modules of a base with everything that loading adapters has put there so far."""

from __future__ import annotations

import copy
import re
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from adapterlint.adapter import Adapter
from adapterlint.base.tree import Kind, ModuleTree, Shape
from adapterlint.peft.calls import generates, is_listed, is_only_read, measures, refuses
from adapterlint.peft.methods import METHODS
from adapterlint.peft.modules import Module, Param, Root, build, copy_param, find, walk, where
from adapterlint.peft.opened import OpenedConfig
from adapterlint.peft.versions import Versions
from adapterlint.peft.wrappers import Adapted, Auxiliary, TokenLayer, Tuner

if TYPE_CHECKING:
    from adapterlint.peft.adaption import Swapped
    from adapterlint.peft.decompositions import Decomposition

_BASE_LAYER = re.compile(r"[^.]+\.base_layer\.")


def shared_key(name: str, adapter: str) -> str:
    """The name that a tuner-level parameter has in memory: numbers are keys of what an adapter has under its name."""
    head, _, last = name.rpartition(".")
    return f"base_model.{head}.{adapter}.{last}" if last.isdigit() else f"base_model.{name}.{adapter}"


class Model:
    """A base model, and after the first adapter a `PeftModel` of it.

    Args:
        tree: The base.
        versions: PEFT and transformers.
    """

    def __init__(self, tree: ModuleTree, versions: Versions) -> None:
        self.tree = tree
        self.versions = versions
        self.release = ".".join(map(str, versions.peft))
        self.root = build(tree, versions.transformers)
        self.configs: dict[str, OpenedConfig] = {}
        self.peft_type: str | None = None  # of the first adapter
        self.task: str | None = None  # the same: decides the class of the PeftModel
        self.active: list[str] = []  # BaseTuner.active_adapters
        self.current = ""  # PeftModel.active_adapter
        self.prompts: dict[str, dict[str, Param]] = {}  # adapter -> name in the file -> parameter
        self.shared: dict[str, dict[str, Param]] = {}  # tuner-level parameters: name in a file -> adapter -> parameter
        # Other parameters outside of the base: adapter -> name in memory -> parameter.
        self.beside: dict[str, dict[str, Param]] = {}
        self.decomposed: dict[str, dict[str, Decomposition]] = {}  # FRoD: role of modules -> adapter
        self.bounds = "", ""  # where the shadow of ShadowPEFT is let in and out: decided by the first adapter
        self.mixed: list[str] = []  # the names by which X-LoRA asks for experts
        self.experts: Mapping[str, Adapter] | None = (
            None  # of the adapter that is being loaded: path -> an adapter there
        )
        self.inner = ""  # the path of the base, seen from a tuner inside of the model that is asked for it
        self.targeted = False  # whether any adapter found a target (counts for all of them before 0.21)
        self.saved: set[str] = set()  # the modules_to_save of all adapters, which 0.15 keeps in one set
        self.warnings: list[str] = []
        self.layers: tuple[int, ...] = ()  # after `layer_replication`: which layer of the base stands in each place
        self.broken = False  # something was wrapped whose tensors no file can have
        self.lost = False  # a refusal left it in a state that is not followed any further
        self.swapped: Swapped | None = None  # adaption prompts
        self.loads = 0
        self._outline: tuple[int, list[tuple[str, Param]], list[tuple[str, Module]]] | None = None
        self.uncalled = _uncalled(tree)
        self.only_read = where(is_only_read, tree, versions.transformers)
        self.measuring = where(measures, tree, versions.transformers)
        # Of the adapter that is being loaded: module -> (attribute, rest of the name) -> shape.
        self.in_file: Mapping[str, Mapping[tuple[str, str], Shape]] = {}

    def copy(self) -> Model:
        """A model that can be changed without this one.

        Raises:
            Refused: Something in it cannot be copied.
        """
        new = copy.copy(self)
        memo: dict[int, Any] = {}
        new.root = Root(self.root.kind, self.root.type)
        new.root.children = {name: child.copy(memo) for name, child in self.root.children.items()}
        new.root.params = {name: copy_param(param, memo) for name, param in self.root.params.items()}
        new.configs, new.active, new.saved = dict(self.configs), list(self.active), set(self.saved)
        new.warnings, new._outline = [], None
        return new

    @property
    def prompt_learning(self) -> bool:
        """Whether its adapters are prompts, so that it has no tuner around the base."""
        return next(iter(self.configs.values())).prompt_learning if self.configs else False

    @property
    def prefix(self) -> str:
        """What the paths of the base's modules begin with, seen from the `PeftModel`."""
        if self.inner:
            return self.inner
        return METHODS[self.peft_type].base_at if self.peft_type is not None else "base_model.model"

    @property
    def tied(self) -> bool:
        """`tie_word_embeddings` of the base's config."""
        value = self.tree.config.get("tie_word_embeddings", self.tree.ties)
        return value if isinstance(value, bool) else bool(self.tree.tied)

    @property
    def generates(self) -> bool:
        """Whether the base is of a class of transformers that generates text."""
        architecture = self.tree.architecture
        return architecture is None or generates(self.versions.transformers, architecture)

    @property
    def layers_of(self) -> str:
        """The method whose layers its tuner has."""
        return (METHODS[self.peft_type].layers_of or self.peft_type) if self.peft_type is not None else ""

    def refuses(self, keyword: str) -> bool:
        """Whether the forward pass of the base takes no argument of that name."""
        return refuses(self.versions.transformers, self.tree.architecture, keyword)

    @property
    def embedding(self) -> Module | None:
        """What `get_input_embeddings` gives now."""
        path = self.tree.input_embeddings
        return find(self.root, path) if path is not None else None

    @property
    def refuses_embedding(self) -> bool:
        """Whether `get_input_embeddings` of the base is known to raise: a class with none that it finds."""
        tree = self.tree
        return tree.complete and not tree.partial and tree.architecture is not None and tree.input_embeddings is None

    @property
    def prompt_embedding(self) -> Module | None:
        """What gives embeddings beside those of a prompt: else what has as many rows as there are tokens.

        `PeftModel._setup_prompt_encoder`.
        """
        rows = self.tree.config.get("vocab_size")
        if self.embedding is not None or not self.refuses_embedding or not isinstance(rows, int):
            return self.embedding
        with_rows = (m for _, m in walk(self.root) if any(p.shape and p.shape[0] == rows for p in m.params.values()))
        return next(with_rows, None)

    @property
    def embedding_name(self) -> str | None:
        """The path that this has now: inside of a copy, if a module around it is saved whole."""
        path, module = self.tree.input_embeddings, self.embedding
        if path is None or module is None or "." not in path:
            return path
        return next((name for name, other in walk(self.root) if other is module), path)

    def random(self) -> Hashable:
        """What random numbers depend on: how many adapters were loaded before."""
        return ("draw", self.loads, tuple(self.configs)) if self.loads > 1 else ("draw",)

    def parameters(self) -> list[tuple[str, Param]]:
        """`named_parameters(remove_duplicate=False)` of the base."""
        return [
            (f"{path}.{name}" if path else name, param)
            for path, module in walk(self.root, duplicates=True)
            for name, param in module.state()
            if name not in module.buffers
        ]

    def state(self) -> dict[str, Param]:
        """The state dict of the `PeftModel`."""
        found: dict[str, Param] = {}
        for path, module in walk(self.root, self.prefix, duplicates=True):
            for name, param in module.state():
                found[f"{path}.{name}"] = param
        for of in self.beside.values():
            found |= of
        for attribute, of in self.shared.items():
            for adapter, param in of.items():
                found[shared_key(attribute, adapter)] = param
        return found

    def tied_modules(self) -> list[str]:
        """`_get_module_names_tied_with_embedding` (utils/other.py, since 0.18), or what stood in its place before.

        With transformers 5 it looks for tensors of the embedding, and does not find those of a wrapped one.
        """
        if self.versions.peft >= (0, 20) and self.tree.config and not self.tied:
            return []
        if is_listed("no_tied", self.versions.transformers, self.tree.architecture):
            return []
        head, embedding = self.tree.output_embeddings, self.tree.input_embeddings
        pairs = []
        for group in self.tree.tied:
            source = f"{embedding}.weight" if f"{embedding}.weight" in group else group[0]  # the head may come first
            pairs.extend([(name, source) for name in group if name != source])
        if not pairs and head is not None and embedding is not None:
            pairs = [(f"{head}.weight", f"{embedding}.weight")]
        if self.versions.transformers < (5, 0) or self.versions.peft < (0, 18):
            found = {name.rpartition(".")[0] for name, _ in pairs}
            if is_listed("tied_modules", self.versions.transformers, self.tree.architecture):
                found = {name.rpartition(".")[0] for name in found}  # what is cut off is no `.weight`
            return sorted(found)
        module = self.embedding
        if module is None:
            return []
        own = {id(p) for _, below in walk(module) for _, p in below.state()}
        names = [name for name, param in self.parameters() if id(param) in own]
        now = {_BASE_LAYER.sub("", name): name for name in names}
        now |= {name.replace("base_layer.", ""): name for name in names}
        candidates = set(names)
        tied = [now.get(name, name) for name, source in pairs if now.get(source, source) in candidates]
        return sorted({name.rpartition(".")[0] for name in tied})

    def outline(self) -> tuple[list[tuple[str, Param]], list[tuple[str, Module]]]:
        """What a forward pass comes by: parameters of plain modules, and PEFT's modules where it meets them first."""
        if self._outline is None or self._outline[0] != self.root.version:
            params: list[tuple[str, Param]] = []
            wrappers: list[tuple[str, Module]] = []
            below = ""
            for path, module in walk(self.root, duplicates=True):
                if below and path.startswith(below):
                    continue
                if path in self.uncalled:
                    below = f"{path}."
                    continue
                if isinstance(module, Tuner | Auxiliary | TokenLayer | Adapted):
                    wrappers.append((path, module))
                    below = f"{path}."
                    continue
                dot = f"{path}." if path else ""
                params.extend([(dot + name, param) for name, param in module.params.items()])
            self._outline = (self.root.version, params, wrappers)
        return self._outline[1], self._outline[2]


def _uncalled(tree: ModuleTree) -> frozenset[str]:
    """The embedding that an encoder and a decoder share by name only: each calls its own, made of the same weight."""
    found = set()
    for path in tree.nodes:
        above, _, name = path.rpartition(".")
        dot = f"{above}." if above else ""
        if name == "shared" and any(f"{dot}{part}.embed_tokens" in tree.nodes for part in ("encoder", "decoder")):
            found.add(path)
    return frozenset(found)


def all_linear(model: Model, config: OpenedConfig) -> list[str]:
    """`_maybe_include_all_linear_layers`: every linear layer but the output embeddings, or the head of a classifier."""
    head = model.tree.output_embeddings
    if head is None and config.task_type == "SEQ_CLS":
        head = next((name for name in ("score", "classifier") if name in model.root.children), None)
    found: list[str] = []
    below: tuple[str, ...] = ()
    for path, module in walk(model.root):
        if below and path.startswith(below):
            continue
        if isinstance(module, Tuner | TokenLayer):
            below = (f"{path}.",)
        linear = module.kind in (Kind.LINEAR, Kind.GPT2_CONV1D) or (
            isinstance(module, Tuner) and "Linear" in module.type
        )
        if linear and path != head:
            found.append(path)
    return found
