"""What fleets cost: `check` of one large fleet next to as many unrelated adapters, and `simulate` of a fleet of three.

    python tests/benchmarks/check_fleets.py [--count 1000] [--layers 32] [--repeat 3]

The adapters of the fleet have 20 interaction signatures: plain ones with several sets of targets, whole modules, token
rows. The unrelated ones are the same files, each with a base of its own. Every measurement of `check` runs in a
process of its own; `simulate` is given adapters that are read already.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from check_speed import CHECK, config, measured, options_of

import adapterlint
from adapterlint.lint.example import safetensors_file
from adapterlint.sources.memory import MemoryFolder

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Tensors = dict[str, tuple[str, tuple[int, ...]]]


def recipe(kind: int, layers: int, width: int) -> tuple[dict[str, Any], Tensors]:
    """One of 20 kinds of adapters."""
    names = TARGETS[: 1 + kind % 7]
    tensors: Tensors = {}
    for layer in range(layers):
        for name in names:
            block = "self_attn" if name in TARGETS[:4] else "mlp"
            for factor, shape in (("A", (8, width)), ("B", (width, 8))):
                key = f"base_model.model.model.layers.{layer}.{block}.{name}.lora_{factor}.weight"
                tensors[key] = ("BF16", shape)
    values = {**config(8), "target_modules": list(names)}
    if kind >= 14:
        values["modules_to_save"] = ["lm_head"]
        tensors["base_model.model.lm_head.weight"] = ("BF16", (128, width))
    elif kind >= 7:
        values["trainable_token_indices"] = [kind, kind + 1]
        tensors["base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta"] = ("BF16", (2, width))
    return values, tensors


def write(folder: Path, count: int, layers: int, *, unrelated: bool, width: int = 64) -> None:
    """Write adapters of 20 kinds, of one base or each of its own."""
    made = {kind: recipe(kind, layers, width) for kind in range(20)}
    files = {kind: safetensors_file(tensors) for kind, (_, tensors) in made.items()}
    for i in range(count):
        target = folder / f"adapter-{i:04}"
        target.mkdir(parents=True)
        base = f"acme/llama-{i}" if unrelated else "acme/llama"
        values = {**made[i % 20][0], "base_model_name_or_path": base}
        (target / "adapter_config.json").write_text(json.dumps(values, indent=2))
        (target / "adapter_model.safetensors").write_bytes(files[i % 20])


def base_of(layers: int, width: int) -> adapterlint.Base:
    """A Llama of which no more than the config is known."""
    values = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width, "intermediate_size": width,
        "num_attention_heads": 4, "num_key_value_heads": 4, "num_hidden_layers": layers, "vocab_size": 128,
        "tie_word_embeddings": False,
    }  # fmt: skip
    found = adapterlint.load_base(MemoryFolder("llama", {"config.json": json.dumps(values).encode()}))
    if found is None:
        raise SystemExit("the base cannot be read")
    return found


def simulated(layers: int, width: int = 64, runs: int = 15) -> float:
    """The median of `simulate` of three adapters, in seconds."""
    tree = base_of(layers, width).tree("5.23.0")
    adapters = []
    for kind in (6, 13, 20 - 1):
        values, tensors = recipe(kind, layers, width)
        files = {
            "adapter_config.json": json.dumps(values).encode(),
            "adapter_model.safetensors": safetensors_file(tensors),
        }
        adapter = adapterlint.load_adapter(MemoryFolder(f"adapters/{kind}", files))
        if adapter is not None:
            adapters.append(adapter)
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        adapterlint.simulate(adapters, names=["a", "b", "c"], base=tree, activate=[["a", "c"]])
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    options = options_of(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        took = {}
        for name in ("unrelated", "fleet"):
            folder = Path(scratch) / name
            write(folder, options.count, options.layers, unrelated=name == "unrelated")
            took[name] = measured(CHECK, str(folder), repeat=options.repeat)[0]
    ratio = took["fleet"] / took["unrelated"]
    print(
        f"{options.count} adapters of {options.layers} layers and 20 signatures: unrelated {took['unrelated']:.3f} s, "
        f"one fleet {took['fleet']:.3f} s, ratio {ratio:.2f}"
    )
    for layers, size in ((2, "tiny"), (options.layers, "large")):
        print(f"simulate of three on a {size} base of {layers} layers: median {simulated(layers) * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
