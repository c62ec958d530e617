"""How long it takes to read a base and to make its tree: Llama with 32 layers, from its config and header.

    python tests/benchmarks/base_speed.py [--repeat 20]

Prints the median of the first time (with empty caches, the table of architectures included) and of every later one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "base"))

from base_folders import LLAMA, folder, llama_tensors

from adapterlint import caches
from adapterlint.base import load_base

LAYERS = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=20)
    source = folder({**LLAMA, "num_hidden_layers": LAYERS}, llama_tensors(LAYERS))
    first: list[float] = []
    later: list[float] = []
    for _ in range(parser.parse_args().repeat):
        caches.clear()
        for times in (first, later):
            started = time.perf_counter()
            base = load_base(source)
            assert base is not None
            modules = len(base.tree().nodes)
            times.append((time.perf_counter() - started) * 1000)
    print(
        f"{modules} modules: {statistics.median(first):.1f} ms the first time, {statistics.median(later):.1f} ms later"
    )


if __name__ == "__main__":
    main()
