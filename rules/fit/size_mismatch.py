"""FIT113."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapterlint import Config, Finding, Footprint, Patch, Severity, rule, shown
from adapterlint.lint.example import DROP, HIDDEN
from adapterlint.peft.fields import fields_of


@dataclass(frozen=True, slots=True)
class _Size:
    """A size in the config and the dimension of a parameter that it is.

    Args:
        times: Another size that it is multiplied with.
        unless: A key that decides instead, where it says something.
    """

    key: str
    parameter: str
    axis: int
    times: str | None = None
    unless: str | None = None


_PROMPT = (
    _Size("num_virtual_tokens", "prompt_embeddings", 0, times="num_transformer_submodules"),
    _Size("token_dim", "prompt_embeddings", 1),
)
_SIZES: Mapping[str, tuple[_Size, ...]] = {
    "ADAPTION_PROMPT": (_Size("adapter_len", "adaption_prompt", 1),),
    "BOFT": (_Size("boft_block_size", "boft_R", 3, unless="boft_block_num"),),
    "C3A": (_Size("block_size", "c3a_kernel", 2, unless="block_size_pattern"),),
    "FOURIERFT": (_Size("n_frequency", "fourierft_spectrum", 0, unless="n_frequency_pattern"),),
    "GRALORA": (_Size("gralora_k", "gralora_A", 0), _Size("hybrid_r", "gralora_A_general.weight", 0)),
    "LILY": (_Size("num_B", "lily_router.weight", 0),),
    "MULTITASK_PROMPT_TUNING": (
        *_PROMPT,
        _Size("num_tasks", "prefix_task_cols", 0),
        _Size("num_ranks", "prefix_task_cols", 2),
    ),
    "POLY": (_Size("n_splits", "poly_lora_A", 0), _Size("n_skills", "poly_lora_A", 1)),
    "PREFIX_TUNING": (_Size("num_virtual_tokens", "prompt_embeddings", 0),),
    "PROMPT_TUNING": _PROMPT,
    "P_TUNING": _PROMPT,
    "TINYLORA": (_Size("u", "tinylora_P", 0),),
    "UNILORA": (_Size("theta_d_length", "unilora_theta_d", 0),),
    "VBLORA": (_Size("num_vectors", "vblora_vector_bank", 0), _Size("vector_length", "vblora_vector_bank", 1)),
    "WAVEFT": (_Size("n_frequency", "waveft_spectrum", 0, unless="n_frequency_pattern"),),
}

_KEPT = ("base_model_name_or_path", "inference_mode", "revision", "task_type", "auto_mapping", "peft_type")
_EXAMPLE = Patch()
_TUNING = {key: DROP for key in _EXAMPLE.new_config() if key not in _KEPT} | {
    "peft_type": "PROMPT_TUNING",
    "num_virtual_tokens": 20,
    "num_transformer_submodules": 1,
    "num_attention_heads": 4,
    "num_layers": 2,
    "token_dim": HIDDEN,
}
_EMBEDDINGS: Mapping[str, Any] = {"*": DROP, "prompt_embeddings": ("F32", (20, HIDDEN))}


@rule(
    "FIT113",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(_TUNING | {"num_virtual_tokens": 10}, _EMBEDDINGS),
        Patch(_TUNING | {"num_transformer_submodules": 2}, _EMBEDDINGS),
        Patch(_TUNING | {"token_dim": 32}, _EMBEDDINGS),
    ),
    good=Patch(_TUNING, _EMBEDDINGS),
    source="the config.py and layer.py of each method; torch refuses the shape in load_state_dict",
    types=_SIZES,
)
def size_mismatch(config: Config, footprint: Footprint) -> Iterator[Finding]:
    """A size in the config is not the size of the tensors.

    PEFT builds parameters of the size that the config gives (the number of virtual tokens, of frequencies, of vectors,
    a block size), then torch refuses the tensors: `RuntimeError: Error(s) in loading state_dict for ...: size mismatch
    for ...`. Which keys these are depends on the PEFT type; a rank is the matter of `rank-mismatch`.

    Set the key to the size of the tensors. If the config is right, the tensors are from another run.
    """
    for size in _SIZES[config.peft_type]:
        if size.unless is not None and config.get(size.unless):
            continue
        expected = _value(config, size.key)
        factor = 1 if size.times is None else _value(config, size.times)
        shape = _only_shape(footprint, size)
        if expected is None or factor is None or shape is None or expected * factor == shape:
            continue
        product = "" if size.times is None or factor == 1 else f" times `{size.times}` {shown(factor)}"
        said = "is" if size.key in config else "is missing, which means"
        yield Finding(
            f"`{size.key}` {said} {shown(expected)}{product}, but {shown(size.parameter)} has {shown(shape)}",
            at=config.at(size.key),
            help=f"Set `{size.key}` to {shown(shape // factor)}." if shape % factor == 0 else None,
        )


def _value(config: Config, key: str) -> int | None:
    field = fields_of(config.peft_type).get(key)
    value = config.get(key) if key in config else field.default if field is not None else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _only_shape(footprint: Footprint, size: _Size) -> int | None:
    """The dimension, if all tensors of that name agree on it."""
    tensor = footprint.shared.get(size.parameter)
    shapes = [tensor.shape] if tensor is not None else footprint.shapes.get(size.parameter, ())
    found = {shape[size.axis] if len(shape) > size.axis else None for shape in shapes}
    return found.pop() if len(found) == 1 else None
