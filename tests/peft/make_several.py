"""Write `adapterlint/peft/several.json`: what layers raise around a linear layer that gives more than one tensor.

Run once for each release of PEFT, the oldest first:

    PYTHONPATH=peft-0.10.0 python make_several.py ../../adapterlint/peft/several.json

Routers of some models are linear layers by their class, and give scores beside what a linear layer gives. A method ->
first release -> the class of the error of a forward pass, or null, with the layer's adapter active, switched off, not
active beside another one that is, and with none that is active. What is as in the release before is not written again.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

import peft

SIDE = 8  # one batch has more rows than tensors come out of the router
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "LORA": ("Lora", {}),
    "ADALORA": ("AdaLora", {"total_step": 10}),
    "IA3": ("IA3", {"feedforward_modules": []}),
    "IA3 feedforward": ("IA3", {}),
    "LOHA": ("LoHa", {}),
    "LOKR": ("LoKr", {}),
    "OFT": ("OFT", {"r": 2, "oft_block_size": 0}),
    "BOFT": ("BOFT", {"boft_block_size": 2}),
    "VERA": ("Vera", {}),
    "VBLORA": ("VBLoRA", {"vector_length": 2, "num_vectors": 8, "topk": 2}),
    "FOURIERFT": ("FourierFT", {"n_frequency": 10}),
    "HRA": ("HRA", {"r": 2}),
    "BONE": ("Bone", {"r": 2}),
    "MISS": ("Miss", {"r": 2}),
    "RANDLORA": ("RandLora", {"r": 2}),
    "C3A": ("C3A", {"block_size": 2}),
    "SHIRA": ("Shira", {"r": 1}),
    "ROAD": ("Road", {"group_size": 2}),
    "OSF": ("OSF", {}),
    "DELORA": ("Delora", {}),
    "WAVEFT": ("WaveFT", {"n_frequency": 10}),
    "GRALORA": ("Gralora", {"r": 2, "gralora_k": 2}),
    "LILY": ("Lily", {"r": 2}),
    "PEANUT": ("Peanut", {"r": 2}),
    "PSOFT": ("Psoft", {"r": 2}),
    "PVERA": ("Pvera", {}),
    "TINYLORA": ("TinyLora", {"r": 2}),
    "BEFT": ("Beft", {}),
    "DEFT": ("Deft", {"r": 2}),
    "HIRA": ("Hira", {"r": 2}),
    "UNILORA": ("UniLora", {"r": 2, "theta_d_length": 10}),
    "FROD": ("Frod", {}),
    "SUPERTUNING": ("Supertuning", {"sparsity": 0.5}),
}


class Router(nn.Linear):
    def forward(self, x: torch.Tensor) -> Any:
        scores = super().forward(x)
        return scores.softmax(-1), scores


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(SIDE, SIDE)
        self.router = Router(SIDE, SIDE, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, scores = self.router(self.before(x))
        found: torch.Tensor = weights + scores
        return found


def config(method: str, target: str, **given: Any) -> Any:
    name, values = METHODS[method]
    made = getattr(peft, f"{name}Config")
    if method == "IA3 feedforward":
        given["feedforward_modules"] = [target]
    known = {key: value for key, value in values.items() if key in made.__dataclass_fields__}
    return made(target_modules=[target], **known, **given)


def error(model: nn.Module) -> str | None:
    try:
        model(torch.linspace(-1, 1, 5 * SIDE).reshape(5, SIDE))
    except Exception as raised:
        return type(raised).__name__
    return None


def found(method: str) -> list[str | None]:
    """As in the file."""
    torch.manual_seed(1)
    model = peft.get_peft_model(Base(), config(method, "router"), adapter_name="a").eval()
    active = error(model)
    with model.disable_adapter():
        off = error(model)
    model.add_adapter("b", config(method, "before", inference_mode=True))
    model.eval().base_model.set_adapter(["b"])
    absent = error(model)
    model.base_model.set_adapter([])
    return [active, off, absent, error(model)]


def main(target: Path) -> None:
    warnings.simplefilter("ignore")
    table = json.loads(target.read_text()) if target.exists() else {}
    release = ".".join(peft.__version__.split(".")[:2])
    for method, (name, _) in METHODS.items():
        if not hasattr(peft, f"{name}Config"):
            continue
        seen = table.setdefault(method, {})
        now = found(method)
        if not seen or list(seen.values())[-1] != now:
            seen[release] = now
    lines = (f"{json.dumps(method)}: {json.dumps(seen)}" for method, seen in sorted(table.items()))
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
