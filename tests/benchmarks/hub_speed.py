"""How long a check of repositories on the Hub takes next to fetching the same headers with the library alone.

    PYTHONPATH=tests python tests/benchmarks/hub_speed.py [--count 200] [--repeat 3]

A Hub on this machine (`tests/hub_server.py`) has the repositories. Both sides use 16 connections, begin with an empty
cache, and run in turn in one process: the library alone asks for the commit, the config and the header of each adapter,
`check` does the same and judges them. The second run of `check` finds everything kept but the commits. The server takes
most of the time of all three.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hub_server import running
from hub_traffic import adapter, safetensors

CONNECTIONS = 16
LAYERS = 32


def repository(number: int) -> dict[str, bytes]:
    """An adapter of its own name, whose header is as long as that of a real one."""
    modules = [
        f"base_model.model.model.layers.{i}.self_attn.{name}" for i in range(LAYERS) for name in ("q_proj", "v_proj")
    ]
    shapes = {"A": (8, 64), "B": (64, 8)}
    tensors = {f"{module}.lora_{half}.weight": shape for module in modules for half, shape in shapes.items()}
    return adapter({"lora_alpha": 8 + number}) | {"adapter_model.safetensors": safetensors(tensors)}


def fetched(repos: list[str]) -> None:
    """The commit, the config and the header of each, with the library alone."""
    from huggingface_hub import HfApi, get_session, hf_hub_url
    from huggingface_hub.utils import hf_raise_for_status

    api = HfApi(endpoint=os.environ["HF_ENDPOINT"])

    def one(repo: str) -> None:
        commit = api.model_info(repo, revision="main").sha
        url = hf_hub_url(repo, "adapter_config.json", revision=commit, endpoint=api.endpoint)
        hf_raise_for_status(get_session().get(url))
        api.parse_safetensors_file_metadata(repo, "adapter_model.safetensors", revision=commit)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(one, repos))


def timed(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        os.environ |= {"HF_ENDPOINT": server.edge, "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        from adapterlint import check

        repos = [f"bench/adapter-{number}" for number in range(given.count)]
        for number, repo in enumerate(repos):
            server.commit(repo, repository(number))
        inputs = [f"hf://{repo}" for repo in repos]
        fetched(repos)  # EDGE keeps what it has from ORIGIN, for both alike
        times: dict[str, list[float]] = {"library": [], "check": [], "again": []}
        for number in range(given.repeat):
            times["library"].append(timed(lambda: fetched(repos)))
            os.environ["XDG_CACHE_HOME"] = str(Path(folder) / f"cache-{number}")
            times["check"].append(timed(lambda: check(inputs)))
            times["again"].append(timed(lambda: check(inputs)))
        report = check(inputs)
        assert report.summary.adapters == given.count, report.problems
        base = statistics.median(times["library"])
        print(f"{given.count} repositories, median of {given.repeat}")
        for name, measured in times.items():
            print(f"{name:8} {statistics.median(measured):6.2f} s   ratio {statistics.median(measured) / base:.2f}")


if __name__ == "__main__":
    main()
