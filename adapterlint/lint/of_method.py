"""Whether tensors have the names of the method at all."""

from __future__ import annotations

import re

from adapterlint.peft.footprint import Footprint

# What begins like a parameter of LoRA and is none: the names of kohya and diffusers, and factors saved as parameters.
_NOT_LORA = re.compile(r"(lora_(down|up)|lora_linear_layer\.(down|up))\.weight|lora_[AB]")


def is_of_method(peft_type: str, touched: Footprint) -> bool:
    """Whether any tensor of a module is a parameter of the method."""
    if peft_type == "LORA" and all(map(_NOT_LORA.fullmatch, touched.shapes)):
        return False
    return bool(touched.tuned)
