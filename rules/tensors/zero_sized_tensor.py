"""TEN122."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, Patch, Severity, WeightsHeader, rule, shown
from adapterlint.lint.example import GOOD_TENSORS
from adapterlint.lint.tensor_sizes import MAY_BE_EMPTY
from adapterlint.peft.keys import TOKENS
from adapterlint.peft.layout import layout
from adapterlint.peft.methods import METHODS
from adapterlint.words import portion


@rule(
    "TEN122",
    Severity.ERROR,
    since="0.1",
    bad=Patch(tensors=dict.fromkeys(GOOD_TENSORS, ("F32", (0,)))),
    good=Patch(),
    types=tuple(name for name in METHODS if name not in MAY_BE_EMPTY),
    source="https://github.com/huggingface/peft/issues/2892; torch refuses the shape in load_state_dict",
)
def zero_sized_tensor(config: Config, header: WeightsHeader, footprint: Footprint | None) -> Iterator[Finding]:
    """A tensor has no elements.

    DeepSpeed ZeRO-3 keeps the weights in shards and leaves a placeholder of shape `[0]` in every module; saved without
    gathering, the placeholders are all there is. Loading raises `RuntimeError: ... size mismatch ... copying a param
    with shape torch.Size([0]) from checkpoint`.

    The weights are not in this file. Gather them when saving (`stage3_gather_16bit_weights_on_model_save: true`,
    `accelerator.get_state_dict(model)`), or rebuild them from the `global_step*` folder beside the checkpoint with
    `zero_to_fp32.py`.
    """
    found = footprint if footprint is not None else layout(header.tensors, config.peft_type)
    shapes = [shape for shapes in found.shapes.values() for shape in shapes]
    shapes += [tensor.shape for parameters in found.plain.values() for tensor in parameters.values()]
    if not any(0 in shape for shape in shapes):
        return
    empty = [name for name, tensor in header.tensors.items() if 0 in tensor.shape and TOKENS not in name]
    if empty:
        shape = list(header.tensors[empty[0]].shape)
        part = portion(empty, header.tensors)
        yield Finding(
            f"{part.text} {part.have} no elements, as {shown(empty[0])}: {shown(shape)}",
            at=header.at(empty[0]),
            help="Save again with the weights gathered (ZeRO-3: `stage3_gather_16bit_weights_on_model_save`), "
            "or rebuild them with `zero_to_fp32.py`.",
        )
