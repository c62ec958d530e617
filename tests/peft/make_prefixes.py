"""Write `prefixes.jsonl.gz`: what a forward pass with a prefix of keys and values gives on the tiny bases of fleets.

Run in both environments of `tests/fleets/README.md`; lines of other releases stay as they are:

    new/bin/python make_prefixes.py prefixes.jsonl.gz                              # PEFT 0.21.2
    PYTHONPATH=peft-0.18.1 old/bin/python make_prefixes.py prefixes.jsonl.gz

One JSON line a base that runs without one, and one more with a prefix for a layer less: `peft`, `transformers`, `base`,
`config` and `tensors` (name -> shape) as
PEFT saves them, and `error` (the class of what the forward pass raised, or null).
"""

from __future__ import annotations

import gzip
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[1] / "fleets"))
from bases import batch, build
from groups import GROUPS

import peft
from peft import PrefixTuningConfig, get_peft_model, get_peft_model_state_dict

READ = ("first", "second", "third", "fourth", "fifth", "sixth")


def records(base: str, task: str) -> Iterator[dict[str, Any]]:
    """The lines of one base, if it runs and PEFT makes a prefix for it."""
    try:
        with torch.no_grad():
            build(base)(**batch(base))
    except Exception:
        return
    try:
        whole = record(base, task)
        yield whole
        if (layers := whole["config"]["num_layers"]) > 1:
            yield record(base, task, num_layers=layers - 1)
    except Unmade:
        return


class Unmade(Exception):
    """PEFT makes no such prefix."""


def record(base: str, task: str, **given: int) -> dict[str, Any]:
    """What a prefix does."""
    try:
        model = get_peft_model(build(base), PrefixTuningConfig(task_type=task, num_virtual_tokens=3, **given)).eval()
    except Exception as raised:
        raise Unmade from raised
    state = get_peft_model_state_dict(model)
    config = {key: sorted(v) if isinstance(v, set) else v for key, v in model.peft_config["default"].to_dict().items()}
    error = None
    with torch.no_grad():
        try:
            model(**batch(base))
        except Exception as raised:
            error = type(raised).__name__
    tensors = {name: list(tensor.shape) for name, tensor in state.items()}
    releases = {"peft": peft.__version__, "transformers": transformers.__version__}
    return releases | {"base": base, "config": config | {"inference_mode": True}, "tensors": tensors, "error": error}


def main(target: Path) -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    lines = [json.loads(line) for line in gzip.decompress(target.read_bytes()).splitlines()] if target.exists() else []
    kept = [line for line in lines if line["peft"] != peft.__version__]
    bases = {name: base.task for group in READ for name, base in GROUPS[group].items()}
    made = [line for name, task in bases.items() if task for line in records(name, task)]
    kept.extend(made)
    text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":"), default=str) + "\n" for line in kept)
    target.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{len(made)} of {len(bases)} bases by PEFT {peft.__version__}; {target.stat().st_size} bytes in all")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
