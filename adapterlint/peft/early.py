"""What PEFT 0.10 to 0.14 do otherwise than 0.15 with one adapter in a fresh base.

Follows `peft/tuners/*/layer.py` and `peft/tuners/tuners_utils.py` of these releases. That 0.10 to 0.13 refuse unknown
keys is in `opened`, how tensors of whole modules are found in `weights`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapterlint.base.tree import Kind
from adapterlint.peft.matching import matching_keys
from adapterlint.peft.modules import Param, walk
from adapterlint.peft.refused import Refused, Undecided
from adapterlint.peft.tasks import IMPLICIT_HEADS
from adapterlint.peft.wrappers import Tuned, Tuner, weight_of

if TYPE_CHECKING:
    from adapterlint.peft.model import Model
    from adapterlint.peft.opened import OpenedConfig
    from adapterlint.peft.tuner_layers import Site


def early_parameters(site: Site, tuned: Tuned) -> Tuned:
    """The parameters of a layer, given those that it has since 0.15.

    Raises:
        Refused: The layer does not take such a config yet.
    """
    config, since = site.config, site.versions.peft
    dora = config.peft_type == "LORA" and config.get("use_dora")
    if dora and site.module.kind is Kind.GPT2_CONV1D and since < (0, 11) and not site.partial:
        text = "The size of tensor a must match the size of tensor b at non-singleton dimension 1"
        raise Refused("RuntimeError", text, module=site.key, cause="target-unsupported")
    if config.peft_type == "OFT" and since < (0, 14) and not site.partial:
        return _rotations(site, tuned)
    return tuned


def _rotations(site: Site, tuned: Tuned) -> Tuned:
    """OFT before 0.14: `r` blocks, together at least as wide as what the layer puts out, and no scaling."""
    ranks = site.config.get("rank_pattern") or {}
    r = next((ranks[key] for key in matching_keys(ranks, site.key)), site.config.get("r"))
    weight = weight_of(site.module)
    if weight is None or weight.shape is None or not isinstance(r, int) or r <= 0:
        raise Undecided
    block = -(-weight.shape[0] // r)
    blocks = Param((1 if site.config.get("block_share") else r, block, block), ("initial",))
    return Tuned({("oft_r", ""): blocks}, frozenset({("oft_r", "")}), tuned.traits)


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
