"""What PEFT 0.10 to 0.14 do otherwise than 0.15 with one adapter in a fresh base.

Follows `peft/tuners/*/model.py` and `peft/tuners/tuners_utils.py` of these releases. What layers had and refused is in
the catalogue of methods (`until=`), that 0.10 to 0.13 refuse unknown keys in `opened`, how tensors of whole modules are
found in `weights`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapterlint.peft.modules import walk
from adapterlint.peft.refused import Refused
from adapterlint.peft.tasks import IMPLICIT_HEADS
from adapterlint.peft.wrappers import Tuner, weight_of

if TYPE_CHECKING:
    from adapterlint.peft.model import Model
    from adapterlint.peft.opened import OpenedConfig


def check_injected(model: Model, adapter: str, config: OpenedConfig) -> None:
    """VeRA of 0.11 takes modules of one size only.

    Raises:
        Refused: There are several.
    """
    if config.peft_type != "VERA" or model.versions.peft >= (0, 12) or model.tree.partial:
        return
    tuned = (module for _, module in walk(model.root) if isinstance(module, Tuner) and adapter in module.adapters)
    weights = (weight_of(module) for module in tuned)
    sizes = {weight.shape for weight in weights if weight is not None and weight.shape is not None}
    if len(sizes) > 1:
        text = "Multiple target layers with different dimensions were specified. VeRA only supports a single dimension"
        raise Refused("ValueError", f"{text} size.", cause="shared-projections", sure=True)


def check_prompt(config: OpenedConfig, since: tuple[int, int]) -> None:
    """0.13 hands models with a head an argument that they do not take, for prompts only.

    Raises:
        Refused: It does.
    """
    if since == (0, 13) and config.task_type in IMPLICIT_HEADS:
        text = "add_adapter() got an unexpected keyword argument 'low_cpu_mem_usage'"
        raise Refused("TypeError", text, cause="config")


def check_attention(model: Model) -> None:
    """0.10 to 0.14 ask the attention for its width, which transformers 4.56 has not.

    Raises:
        Refused: They do.
    """
    if model.versions.peft < (0, 15) and model.versions.transformers >= (4, 56):
        name = f"{str(model.tree.model_type).capitalize()}Attention"
        text = f"'{name}' object has no attribute 'hidden_size'"
        raise Refused("AttributeError", text, cause="target-unsupported")


def misses_attribute(config: OpenedConfig, since: tuple[int, int]) -> Refused | None:
    """0.14 asks a config for its layers in order to say that nothing matched, whether it has such a key or not."""
    if since != (0, 14) or "layers_to_transform" in config:
        return None
    return Refused(
        "AttributeError", f"'{config.peft_type}' config has no attribute 'layers_to_transform'", cause="no-targets"
    )
