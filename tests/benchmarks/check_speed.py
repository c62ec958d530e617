"""How long `check` takes next to a bare loop that only reads and parses the same files.

    python tests/benchmarks/check_speed.py [--count 1000] [--layers 32] [--repeat 3]

Prints, side by side and measured in one run: a loop of `json.loads` over configs and headers, `check` on the same
adapters, start-up next to `import typer`, and memory with small and with large tensor data. Every measurement runs in
a process of its own. Adapters of one recipe have the same header to the byte, and adapterlint parses it once: the first
lines have 1 and 20 recipes among all adapters. In the third no two headers are the same, which is the worst case.
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MODULES = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
           "mlp.up_proj", "mlp.down_proj")  # fmt: skip

BARE = """
import json, os, struct, sys, time
started = time.perf_counter()
for folder in sorted(os.listdir(sys.argv[1])):
    with open(f"{sys.argv[1]}/{folder}/adapter_config.json", "rb") as stream:
        json.loads(stream.read())
    with open(f"{sys.argv[1]}/{folder}/adapter_model.safetensors", "rb") as stream:
        json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
print(time.perf_counter() - started)
"""
CHECK = """
import sys, time
import adapterlint
from adapterlint.lint.loader import load_rules
adapterlint.check([]); load_rules()
import resource
started = time.perf_counter()
report = adapterlint.check([sys.argv[1]])
took = time.perf_counter() - started
assert report.summary.adapters, report
print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, report.summary.errors + report.summary.warnings)
"""
START = """
import subprocess, sys, time
started = time.perf_counter()
for _ in range(10):
    subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print((time.perf_counter() - started) / 10)
"""


def config(rank: int) -> dict[str, Any]:
    names = sorted({module.rpartition(".")[2] for module in MODULES})
    return {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "acme/llama", "r": rank,
            "lora_alpha": 16, "lora_dropout": 0.05, "bias": "none", "target_modules": names, "modules_to_save": None,
            "inference_mode": True, "init_lora_weights": True, "layers_pattern": None, "layers_to_transform": None,
            "rank_pattern": {}, "alpha_pattern": {}, "use_dora": False, "use_rslora": False, "fan_in_fan_out": False,
            "auto_mapping": None, "revision": None, "loftq_config": {}, "megatron_config": None,
            "megatron_core": "megatron.core", "layer_replication": None, "trainable_token_indices": None}  # fmt: skip


def header(rank: int, layers: int, width: int) -> tuple[bytes, int]:
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for layer in range(layers):
        for module in MODULES:
            for factor, shape in (("A", [rank, width]), ("B", [width, rank])):
                size = 2 * shape[0] * shape[1]
                name = f"base_model.model.model.layers.{layer}.{module}.lora_{factor}.weight"
                entries[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
                offset += size
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, offset


def write(folder: Path, count: int, layers: int, *, recipes: int, width: int = 4096) -> int:
    """Write `count` adapters of `recipes` ranks with sparse data; returns the size of one header in bytes."""
    size = 0
    for i in range(count):
        rank = 4 + i % recipes
        target = folder / f"adapter-{i:04}"
        target.mkdir(parents=True)
        (target / "adapter_config.json").write_text(json.dumps(config(rank), indent=2))
        head, data = header(rank, layers, width)
        size = len(head)
        with (target / "adapter_model.safetensors").open("wb") as stream:
            stream.write(head)
            stream.truncate(len(head) + data)
    return size


def measured(code: str, *arguments: str, repeat: int = 1) -> list[float]:
    """The numbers that a script prints, of its fastest run."""
    runs = [subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
            for _ in range(repeat)]  # fmt: skip
    return min([float(word) for word in run.stdout.split()] for run in runs)


def options_of(description: str | None) -> argparse.Namespace:
    """How many adapters of how many layers, and how often; what all benchmarks of `check` ask."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    options = options_of(__doc__)
    with tempfile.TemporaryDirectory() as scratch:
        for recipes in (1, 20, options.count):
            folder = Path(scratch) / f"recipes-{recipes}"
            size = write(folder, options.count, options.layers, recipes=recipes)
            (bare,) = measured(BARE, str(folder), repeat=options.repeat)
            took, memory, found = measured(CHECK, str(folder), repeat=options.repeat)
            print(
                f"{options.count} adapters of {recipes:>4} recipes, headers of {size:,} bytes: "
                f"json.loads {bare:.3f} s, check {took:.3f} s, ratio {took / bare:.2f}, "
                f"peak {memory / 1e6:.0f} MB, {found:.0f} findings"
            )
        memories = {}
        for width in (64, 16384):
            folder = Path(scratch) / f"width-{width}"
            write(folder, 20, options.layers, recipes=1, width=width)
            memories[width] = measured(CHECK, str(folder))[1]
        print(
            f"data 256 times as large: peak memory {memories[64] / 1e6:.0f} MB and {memories[16384] / 1e6:.0f} MB, "
            f"ratio {memories[16384] / memories[64]:.2f}"
        )
        (typer,) = measured(START, "-c", "import typer", repeat=options.repeat)
        (version,) = measured(START, "-m", "adapterlint", "--version", repeat=options.repeat)
        print(
            f"import typer {typer * 1e3:.0f} ms, adapterlint --version {version * 1e3:.0f} ms, "
            f"ratio {version / typer:.2f}"
        )


if __name__ == "__main__":
    main()
