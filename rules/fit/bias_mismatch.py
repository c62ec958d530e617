"""FIT108."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, Patch, Severity, WeightsHeader, listed, rule
from adapterlint.lint.example import HIDDEN, LAYERS
from adapterlint.peft.fields import fields_of
from adapterlint.words import counted

_SITES = [f"base_model.model.model.layers.{i}.self_attn.{m}_proj" for i in range(LAYERS) for m in "qv"]
_BIASES = {f"{site}.lora_B.bias": ("F32", (HIDDEN,)) for site in _SITES}


@rule(
    "FIT108",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch({}, {f"{_SITES[0]}.base_layer.bias": ("F32", (HIDDEN,))}),
        Patch({}, _BIASES),
        {"lora_bias": True},
    ),
    good=(
        Patch({"bias": "lora_only"}, {f"{_SITES[0]}.base_layer.bias": ("F32", (HIDDEN,))}),
        Patch({"lora_bias": True}, _BIASES),
        {"bias": "all"},
    ),
    source="peft/tuners/tuners_utils.py, _get_learnable_bias_state_dict; peft/tuners/lora/layer.py, lora_bias",
)
def bias_mismatch(config: Config, footprint: Footprint, header: WeightsHeader) -> Iterator[Finding]:
    """`bias` or `lora_bias` says one thing, the tensors another.

    Biases of the base that are in the file are copied into the base model when the adapter is loaded, whatever `bias`
    says: all other adapters and the disabled model get them too. With `bias: "none"` nothing tells so, and saving the
    adapter again loses them. `lora_bias` is the bias of `lora_B` itself (PEFT 0.14 or newer): false with such tensors
    in the file drops them without a word, true without them leaves it zero.

    Set `bias` or `lora_bias` to what the adapter was trained with, or take the tensors out.
    """
    others = {name.removesuffix(".weight") for name in footprint.overwrites}
    biases = [n for n in footprint.overwrites if n.endswith(".bias") and n.removesuffix(".bias") not in others]
    if biases:
        known = "bias" in fields_of(config.peft_type)
        said = f"{config.peft_type} trains no biases" if not known else "`bias` is missing"
        count = counted(len(biases), "bias", "biases")
        yield Finding(
            f"{'`bias` is `none`' if 'bias' in config else said}, "
            f"but the file has {count} of the base: {listed(biases, word='tensors')}",
            at=config.at("bias") if "bias" in config else header.at(biases[0]),
            help=f"{'Set `bias` to what the adapter was trained with, or take' if known else 'Take'} the tensors out.",
        )
    if config.peft_type == "LORA":
        yield from _lora_bias(config, footprint)


def _lora_bias(config: Config, footprint: Footprint) -> Iterator[Finding]:
    flag = config.get("lora_bias", False)
    has = "lora_B.bias" in footprint.shapes
    if flag is True:
        dropped = footprint.untargeted
        pairs = [m for m, p in footprint.tuned.items() if "lora_B.weight" in p and m not in dropped]
        missing = [m for m in pairs if "lora_B.bias" not in footprint.tuned[m]]
        if missing:
            where = f"{listed(missing, word='modules')} without one" if has else "the file has none"
            yield Finding(
                f"`lora_bias` is true, so every `lora_B` has a bias, but {where}",
                at=config.at("lora_bias"),
                help="Set `lora_bias` to false if none was trained; else the file lacks trained tensors.",
            )
    elif has and flag in (False, None):
        modules = sum("lora_B.bias" in parameters for parameters in footprint.tuned.values())
        said = "missing" if "lora_bias" not in config else "false"
        yield Finding(
            f"`lora_bias` is {said}, but {counted(modules, 'module')} of the file have a bias of `lora_B`",
            at=config.at("lora_bias"),
            help="Set `lora_bias` to true.",
        )
