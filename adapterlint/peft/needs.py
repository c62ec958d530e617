"""What the tensors of an adapter ask of PEFT, whatever its config and its base: layers that came with some release.

Each was seen to raise, or to be lost, when PEFT 0.10 to 0.21 loaded such an adapter
(`tests/peft/make_releases.py`); the layers are in `peft/tuners/*/layer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from adapterlint.adapter import Adapter
from adapterlint.base.tree import Shape
from adapterlint.peft.footprint import footprint_of

_ROTATION = ".oft_R.weight"


@dataclass(frozen=True, slots=True)
class Need:
    """Something that only releases from one on can make of the tensors of an adapter.

    Args:
        what: What it is, as the subject of a sentence.
        since: The first release that knows it.
        error: What earlier releases raise; `None` if they load the adapter, and these tensors reach nothing.
        text: Its text.
        tensors: The tensors that ask for it.
    """

    what: str
    since: str
    error: str | None
    text: str
    tensors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    types: tuple[str, ...]
    what: str
    since: str
    asks: Callable[[str, Shape], bool]
    error: str | None = "ValueError"
    text: str = "Target module {layer}(...) is not supported."
    layer: str = ""


def _has_dimensions(parameter: str, count: int) -> Callable[[str, Shape], bool]:
    return lambda name, shape: len(shape) == count and name.endswith(parameter)


_KINDS = (
    _Kind(("LORA",), "LoRA of `Conv1d`", "0.15", _has_dimensions(".lora_A.weight", 3), layer="Conv1d"),
    _Kind(("LORA",), "LoRA of `Conv3d`", "0.14", _has_dimensions(".lora_A.weight", 5), layer="Conv3d"),
    _Kind(
        ("LORA",),
        "LoRA of `MultiheadAttention`",
        "0.15",
        lambda name, _: name.endswith(".base_layer.out_proj.lora_A.weight"),
        layer="MultiheadAttention",
    ),
    _Kind(
        ("LORA",),
        "DoRA of `Conv1d`",
        "0.16",
        lambda name, shape: name.endswith(".lora_magnitude_vector") and len(shape) == 3,
        error="NotImplementedError",
        text="",
    ),
    _Kind(("IA3",), "IA3 of `Conv3d`", "0.14", _has_dimensions(".ia3_l", 5), layer="Conv3d"),
    _Kind(("OFT",), "OFT with rotations as vectors (`oft_R`)", "0.16", lambda name, _: name.endswith(_ROTATION), None),
)


def needs_of(adapter: Adapter) -> tuple[Need, ...]:
    """What the tensors of an adapter ask of PEFT; those of modules that its config leaves out ask nothing."""
    touched = footprint_of(adapter)
    if touched is None or adapter.config is None:
        return ()
    targeted = {module: parameters for module, parameters in touched.tuned.items() if module not in touched.untargeted}
    names = {touched.names[module, name]: t.shape for module, named in targeted.items() for name, t in named.items()}
    return tuple(needs(adapter.config.peft_type, names))


def needs(peft_type: str, tensors: Mapping[str, Shape]) -> Iterator[Need]:
    """What tensors ask of PEFT."""
    for kind in _KINDS:
        if peft_type in kind.types and (
            found := tuple(name for name, shape in tensors.items() if kind.asks(name, shape))
        ):
            yield Need(kind.what, kind.since, kind.error, kind.text.format(layer=kind.layer), found)
    embeddings = {name.rpartition(".")[0] for name in tensors if name.endswith(".lora_embedding_A")}
    scaled = tuple(f"{module}.lora_magnitude_vector" for module in sorted(embeddings))
    if peft_type == "LORA" and (found := tuple(name for name in scaled if name in tensors)):
        text = "Embedding does not support DoRA yet, please set it to False"
        yield Need("DoRA of embeddings", "0.13", "ValueError", text, found)
