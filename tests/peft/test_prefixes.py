"""Whether a forward pass takes a prefix, on every base of the fleets: recorded by `make_prefixes.py`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from recorded import bases, folder

from adapterlint import load_adapter, simulate

KNOWN = {
    "t5-encoder": "an encoder of transformers 4 that takes no keys and values, and no other arguments than its own",
    "gemma3": "a cache of sliding layers in 0.18",
    "switch": "a decoder whose layers are counted otherwise",
    "deepseek-v4": "a cache with layers of the model's own",
}
"""Bases of which it is said otherwise, and why."""
PREFIXES = Path(__file__).with_name("prefixes.jsonl.gz")


@pytest.mark.parametrize("release", ["0.15.2", "0.18.1", "0.21.2"])
def test_what_is_said_of_a_prefix_is_what_peft_did(release: str) -> None:
    every = map(json.loads, gzip.decompress(PREFIXES.read_bytes()).splitlines())
    lines = [line for line in every if line["peft"] == release]
    wrong, unknown, short = [], [], 0
    for line in lines:
        tensors = {name: ("F32", shape) for name, shape in line["tensors"].items()}
        adapter = load_adapter(folder("prefix", "adapter_config.json", line["config"], tensors))
        assert adapter is not None
        tree = bases(line["transformers"][:1])[line["base"]].tree(line["transformers"])
        done = simulate([adapter], names=["p"], base=tree, peft=release, transformers=line["transformers"])
        said = done.adapters["p"].forward
        short += line["error"] == said == "IndexError"
        if said is None:
            unknown.append((line["base"], line["config"]["num_layers"]))
        elif line["base"] not in KNOWN and (said if said.endswith("Error") else None) != line["error"]:
            wrong.append(f"{line['base']}: {line['error']}, not {said}")
    assert wrong == []
    assert len(lines) > 400
    # What bases do with a prefix for a layer less is not known of PEFT before 0.18.
    assert release == "0.15.2" or short > 100
    layers = {base: max(line["config"]["num_layers"] for line in lines if line["base"] == base) for base, _ in unknown}
    whole = [base for base, n in unknown if n == layers[base]]
    assert len(whole) < 0.06 * len(lines)
    assert release == "0.15.2" or len(unknown) < 0.17 * len(lines)
