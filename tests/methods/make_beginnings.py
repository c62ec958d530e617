"""How the parameters of a new adapter begin, with the installed PEFT: see README.md.

python make_beginnings.py       beginnings.jsonl.gz: anew for the recorded adapters that this release has made
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TARGET = HERE / "beginnings.jsonl.gz"
NO_NEW_ONES = ("SHADOW", "XLORA")  # a second model, and adapters of other files, are more than parameters of layers


def begun(base: str, config: dict[str, Any]) -> dict[str, Any]:
    """Which parameters, as keys of a file, differ between two new adapters, and whether one gives the base's output."""
    import torch
    from method_judge import CONFIG, built, file_key, outputs, plain

    import peft

    made = []
    for seed in (3, 4):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, CONFIG).write_text(json.dumps(config))
            read = peft.PeftConfig.from_pretrained(folder)
        torch.manual_seed(seed)
        made.append(peft.get_peft_model(copy.deepcopy(built(base)), read).eval())
    more = {} if peft.__version__.startswith("0.10.") else {"save_embedding_layers": False}
    one, other = ({file_key(k): v for k, v in peft.get_peft_model_state_dict(m, **more).items()} for m in made)
    random = sorted(k for k in one if one[k].shape != other[k].shape or not torch.equal(one[k], other[k]))
    found: dict[str, Any] = {"random": random, "same": sorted(one.keys() - set(random))}
    try:
        output, wanted = outputs(base, made[0], config["peft_type"]), plain(base)
        found["idle"] = output.shape == wanted.shape and torch.allclose(output, wanted, rtol=1e-5, atol=1e-6)
    except Exception as error:
        found["forward"] = type(error).__name__
    return found


def main() -> None:
    from make_adapters import write_lines

    import peft

    lines = [json.loads(line) for line in gzip.decompress(TARGET.read_bytes()).splitlines()] if TARGET.exists() else []
    found = {line["name"]: line for line in lines}
    for text in gzip.decompress((HERE / "adapters.jsonl.gz").read_bytes()).splitlines():
        one = json.loads(text)
        if one["made_with"] == peft.__version__ and one["config"]["peft_type"] not in NO_NEW_ONES:
            try:
                found[one["name"]] = {"name": one["name"]} | begun(one["base"], one["config"])
            except Exception as error:
                found.pop(one["name"], None)
                print(f"{one['name']}: {type(error).__name__}: {error}"[:150])
    write_lines(TARGET, [found[name] for name in sorted(found)])


if __name__ == "__main__":
    from make_adapters import FIXED

    if any(os.environ.get(key) != value for key, value in FIXED.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | FIXED)
    warnings.filterwarnings("ignore")
    main()
