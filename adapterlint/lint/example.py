"""The known-good adapter, and the patches that make a rule's `bad` and `good` examples of it.

A rule's examples are its tests and the before and after of its manual page.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

from adapterlint.adapter import Adapter, load_adapter
from adapterlint.base import Base, load_base
from adapterlint.lint.run import Run
from adapterlint.sources.memory import MemoryFolder

Shape = tuple[str, tuple[int, ...]]  # data type, dimensions
BASE, FLEET = "acme/tiny-llama", "demo"


class _Drop:
    """Removes a key, a tensor or a file."""

    def __repr__(self) -> str:
        return "DROP"


DROP: Final = _Drop()

HIDDEN, RANK, LAYERS, VOCABULARY = 16, 8, 2, 64
GOOD_CONFIG: Mapping[str, Any] = {
    "alpha_pattern": {},
    "auto_mapping": None,
    "base_model_name_or_path": BASE,
    "bias": "none",
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "layers_pattern": None,
    "layers_to_transform": None,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "modules_to_save": None,
    "peft_type": "LORA",
    "r": RANK,
    "rank_pattern": {},
    "revision": None,
    "target_modules": ["q_proj", "v_proj"],
    "task_type": "CAUSAL_LM",
    "trainable_token_indices": None,
    "use_dora": False,
    "use_rslora": False,
}
GOOD_TENSORS: Mapping[str, Shape] = {
    f"base_model.model.model.layers.{layer}.self_attn.{module}.lora_{factor}.weight": ("F32", shape)
    for layer in range(LAYERS)
    for module in ("q_proj", "v_proj")
    for factor, shape in (("A", (RANK, HIDDEN)), ("B", (HIDDEN, RANK)))
}
EMBEDDINGS = "base_model.model.model.embed_tokens"
GOOD_CARD = f"---\nbase_model: {BASE}\nlibrary_name: peft\n---\n# A tiny adapter\n"


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes of the known-good adapter.

    Args:
        config: Values by key of the config; `DROP` removes one.
        tensors: `(data type, shape)` by name; `DROP` removes one; the name `*` stands for all of them.
        rename: Text in tensor names and what takes its place.
        metadata: `__metadata__` of the weights.
        files: Contents by file name, instead of what the other fields make; `DROP` removes a file.
        links: Files that are links, and where they lead.
        path: The folder, where its name matters.
        base: Changes of the config of the known-good base, which is at hand then; `None` if there is no base at hand.
        peft: Releases of PEFT that must handle it; the newest if there are none.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Shape | _Drop] = field(default_factory=dict)
    rename: tuple[str, str] | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: {"format": "pt"})
    files: Mapping[str, bytes | str | _Drop] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    path: str = "adapter"
    base: Mapping[str, Any] | None = None
    peft: tuple[str, ...] = ()

    def new_config(self) -> dict[str, Any]:
        """The config with the patch applied, sorted as PEFT writes it."""
        values = {**GOOD_CONFIG, **self.config}
        return {k: values[k] for k in sorted(values) if values[k] is not DROP}

    def new_tensors(self) -> dict[str, Shape]:
        """The tensors with the patch applied."""
        tensors: dict[str, Shape | _Drop] = {} if self.tensors.get("*") is DROP else dict(GOOD_TENSORS)
        tensors |= {name: shape for name, shape in self.tensors.items() if name != "*"}
        old, new = self.rename or ("", "")
        return {k.replace(old, new): v for k, v in tensors.items() if not isinstance(v, _Drop)}

    def folder(self, path: str | None = None) -> MemoryFolder:
        """The patched adapter as a folder in memory."""
        files: dict[str, bytes | str | _Drop] = {
            "README.md": GOOD_CARD,
            "adapter_config.json": json.dumps(self.new_config(), indent=2),
            "adapter_model.safetensors": safetensors_file(self.new_tensors(), self.metadata),
        }
        files |= self.files
        contents = {n: c.encode() if isinstance(c, str) else c for n, c in files.items() if not isinstance(c, _Drop)}
        return MemoryFolder(path or self.path, contents, self.links)

    def adapter(self, path: str | None = None) -> Adapter:
        """The patched adapter, loaded."""
        adapter = load_adapter(self.folder(path))
        if adapter is None:
            raise ValueError("the patch leaves nothing that looks like an adapter")
        return adapter


def with_tokens(*indices: int, base: Mapping[str, Any] | None = None) -> Patch:
    """The known-good adapter with rows for these token indices of the input embeddings; `base` as for a `Patch`."""
    rows = f"{EMBEDDINGS}.token_adapter.trainable_tokens_delta"
    shape = ("F32", (len(indices), HIDDEN))
    return Patch(config={"trainable_token_indices": [*indices]}, tensors={rows: shape}, base=base)


@dataclass(frozen=True, slots=True)
class FleetPatch:
    """Several patched adapters of one base.

    Args:
        members: Patch (or mapping of config keys) by adapter name.
        activate: Sets of adapters declared to be active together.
        declared: Whether the fleet is declared in the settings, instead of found by its common base.
        ordered: Whether the order of the members is declared to be the order in which they are loaded.
        base: As for a `Patch`.
    """

    members: Mapping[str, Patch | Mapping[str, Any]]
    activate: tuple[tuple[str, ...], ...] = ()
    declared: bool = False
    ordered: bool = False
    base: Mapping[str, Any] | None = None

    def adapters(self) -> dict[str, Adapter]:
        """The adapters by name."""
        return {name: as_patch(patch).adapter(f"adapters/{name}") for name, patch in self.members.items()}


Example = Patch | FleetPatch | Run

GOOD_BASE_CONFIG: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": HIDDEN,
    "intermediate_size": 2 * HIDDEN,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": 4,
    "tie_word_embeddings": False,
    "vocab_size": VOCABULARY,
}


def base_of(example: Example) -> Base | None:
    """The base of an example, of which the headers of the checkpoint are known too."""
    if isinstance(example, Run) or example.base is None:
        return None
    return load_base(MemoryFolder(BASE, base_files(example.base)))


def base_files(changes: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """Config and checkpoint of a tiny Llama; `changes` are to keys of its config."""
    config = {**GOOD_BASE_CONFIG, **(changes or {})}
    hidden, inner, rows = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    layer: dict[str, tuple[int, ...]] = {
        **{f"self_attn.{name}_proj": (hidden, hidden) for name in "qkvo"},
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
    }
    modules = {
        f"model.layers.{i}.{name}": shape for i in range(config["num_hidden_layers"]) for name, shape in layer.items()
    }
    modules |= {"model.embed_tokens": (rows, hidden), "model.norm": (hidden,)}
    if not config["tie_word_embeddings"]:
        modules["lm_head"] = (rows, hidden)
    tensors: dict[str, Shape] = {f"{module}.weight": ("F32", shape) for module, shape in sorted(modules.items())}
    return {
        "config.json": json.dumps(config, indent=2).encode(),
        "model.safetensors": safetensors_file(tensors),
    }


def as_patch(value: Patch | Mapping[str, Any]) -> Patch:
    """A patch; a bare mapping changes keys of the config."""
    return value if isinstance(value, Patch) else Patch(config=value)


def examples(value: Any) -> tuple[Example, ...]:
    """What a rule gives as `bad` or `good`, as a tuple of patches."""
    if isinstance(value, tuple):
        return tuple(v if isinstance(v, FleetPatch | Run) else as_patch(v) for v in value)
    return (value if isinstance(value, FleetPatch | Run) else as_patch(value),)


BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "U8": 1, "I8": 1, "BOOL": 1}


def safetensors_file(
    tensors: Mapping[str, Shape],
    metadata: Mapping[str, str] | None = None,
    *,
    entries: Mapping[str, Any] | None = None,
    cut: int = 0,
) -> bytes:
    """A safetensors file of zeros.

    Args:
        tensors: Data type and shape by name.
        metadata: `__metadata__`.
        entries: Raw header entries that take the place of the made ones.
        cut: Bytes missing at the end.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata or {"format": "pt"})}
    offset = 0
    for name, (dtype, shape) in tensors.items():
        size = BYTES[dtype] * prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header | dict(entries or {})).encode()
    text += b" " * (-len(text) % 8)
    data = bytes(offset)
    return struct.pack("<Q", len(text)) + text + (data[:-cut] if cut else data)
