"""Writes the torch files beside it; needs torch, which the tests do not.

python tests/files/make_pickles.py
"""

from __future__ import annotations

from pathlib import Path

import torch

HERE = Path(__file__).parent / "pickles"


def state_dict() -> dict[str, torch.Tensor]:
    base = torch.zeros(4, 6)
    return {
        "f32": torch.zeros(2, 3),
        "bf16": torch.zeros(4, dtype=torch.bfloat16),
        "f16_scalar": torch.tensor(1.0, dtype=torch.float16),
        "i64": torch.zeros(1, 2, 3, dtype=torch.int64),
        "bool": torch.zeros(3, dtype=torch.bool),
        "f8": torch.zeros(2, 2).to(torch.float8_e4m3fn),
        "u16": torch.zeros(2, dtype=torch.uint16),
        "empty": torch.zeros(0, 5),
        "parameter": torch.nn.Parameter(torch.zeros(2, 2)),
        "view": base.t()[1:3],
        "complex128": torch.zeros(2, dtype=torch.complex128),
        "meta": torch.zeros(3, 4, device="meta"),
    }


class Foreign:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("executed",)


def main() -> None:
    HERE.mkdir(exist_ok=True)
    torch.manual_seed(0)
    legacy = {name: tensor for name, tensor in state_dict().items() if name not in ("meta", "u16", "f8")}
    module = torch.nn.Linear(3, 2)
    torch.save(state_dict(), HERE / "zip.bin")
    torch.save(legacy, HERE / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(module.state_dict(), HERE / "ordered_dict.bin")
    torch.save({"epoch": 3, "state_dict": module.state_dict()}, HERE / "nested.bin")
    torch.save(state_dict(), HERE / "protocol4.bin", pickle_protocol=4)
    torch.save({"weight": torch.zeros(2), "payload": Foreign()}, HERE / "foreign.bin")
    torch.save(module, HERE / "module.bin")


if __name__ == "__main__":
    main()
