"""A Hub on this machine: two processes of `olah`, one that has the repositories and one that fetches from it.

ORIGIN has ordinary git repositories and ignores `Range`; EDGE asks ORIGIN and answers 206 and 416 as the Hub does. One
repository, `acme/denied`, is refused by EDGE.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

START_SECONDS = 60
BLOCK_BYTES = 1 << 20  # to which EDGE fills up whatever it fetches: by default 64 MB, which takes longer than the rest

_GIT = {
    **{f"GIT_{who}_{what}": "hub@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    **{f"GIT_{who}_DATE": "2026-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


@dataclass
class HubServer:
    """The two servers.

    Args:
        folder: Where they keep everything.
    """

    folder: Path
    origin: str = ""
    edge: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def commit(self, repo: str, files: Mapping[str, bytes | None], ref: str = "main") -> str:
        """Put files into a repository (`None` takes one away) and give the commit; a new one begins with nothing."""
        path = self.folder / "mirrors" / "models" / repo
        if not path.exists():
            path.mkdir(parents=True)
            self._git(path, "init", "-q", "-b", "main")
        for name, content in files.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                file.unlink()
            else:
                file.write_bytes(content)
        self._git(path, "add", "-A", "--force")
        self._git(path, "commit", "-q", "--allow-empty", "-m", "files")
        made = self._git(path, "rev-parse", "HEAD")
        if ref != "main":
            self._git(path, "update-ref", ref if ref.startswith("refs/") else f"refs/heads/{ref}", made)
            self._git(path, "reset", "-q", "--hard", "HEAD~1")
        if self.origin:
            self.publish(repo, *{"main", ref, made})
        return made

    def publish(self, repo: str, *refs: str) -> None:
        """Have ORIGIN keep what a repository is at revisions; without it, it knows none by its name alone."""
        from olah.utils.cache_utils import write_cache_request

        for ref in refs:
            answer = httpx2.get(f"{self.origin}/api/models/{repo}/revision/{ref}")
            if answer.status_code != 200:  # ORIGIN knows branches, tags and commits
                commit = self._git(self.folder / "mirrors" / "models" / repo, "rev-parse", ref)
                answer = httpx2.get(f"{self.origin}/api/models/{repo}/revision/{commit}")
            body = answer.raise_for_status().content
            kept = self.folder / "origin-cache" / "api" / "models" / repo / "revision" / ref
            kept.mkdir(parents=True, exist_ok=True)
            for name in ("meta_get.json", *(["meta_head.json"] if ref == "main" else [])):
                asyncio.run(write_cache_request(str(kept / name), 200, dict(answer.headers), body))

    def start(self) -> None:
        """Start both, and wait until they answer."""
        ports = [_free_port(), _free_port()]
        self.origin, self.edge = (f"http://127.0.0.1:{port}" for port in ports)
        configs = (_origin(self.folder, ports[0]), _edge(self.folder, *ports))
        empty = self.folder / "certificates"
        empty.mkdir()
        others = ("HF_TOKEN", "HF_ENDPOINT", "PYTHONPATH", "SSL_CERT_FILE")
        env = {k: v for k, v in os.environ.items() if k not in others}
        env |= {"NO_PROXY": "127.0.0.1", "SSL_CERT_DIR": str(empty)}
        for name, port, config in zip(("origin", "edge"), ports, configs, strict=True):
            file = self.folder / f"{name}.toml"
            file.write_text(config)
            program = "import sys; from olah.server import cli; sys.exit(cli())"
            command = [sys.executable, "-c", program, "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
            log = (self.folder / f"{name}.log").open("wb")
            logs = ["--log-path", str(self.folder / f"{name}-logs")]
            self.processes.append(subprocess.Popen([*command, *logs], cwd=self.folder, env=env, stdout=log, stderr=log))
        for name, url in (("origin", self.origin), ("edge", self.edge)):
            self._wait(name, url)

    def _wait(self, name: str, url: str) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            try:
                httpx2.get(f"{url}/api/models/x/y/refs", timeout=5)
            except httpx2.TransportError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(f"{name} did not start: {(self.folder / f'{name}.log').read_text()[-2000:]}")

    def stop(self) -> None:
        """End both."""
        for process in self.processes:
            process.kill()
            process.wait()

    @staticmethod
    def _git(path: Path, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=path, env={**os.environ, **_GIT}, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


@contextmanager
def running(folder: Path) -> Iterator[HubServer]:
    """Both servers, until the end of the block."""
    server = HubServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _origin(folder: Path, port: int) -> str:
    return f"""
[basic]
host = "127.0.0.1"
port = {port}
repos-path = "{folder}/origin-cache"
mirrors-path = ["{folder}/mirrors"]
[accessibility]
offline = true
"""


def _edge(folder: Path, origin: int, port: int) -> str:
    return f"""
[basic]
host = "127.0.0.1"
port = {port}
repos-path = "{folder}/edge-cache"
cache-block-size = {BLOCK_BYTES}
hf-scheme = "http"
hf-netloc = "127.0.0.1:{origin}"
hf-lfs-netloc = "127.0.0.1:{origin}"
mirror-netloc = "127.0.0.1:{port}"
mirror-lfs-netloc = "127.0.0.1:{port}"
metadata-cache-ttl = 0
[accessibility]
offline = false
[[accessibility.proxy]]
repo = "*/*"
allow = true
[[accessibility.proxy]]
repo = "acme/denied"
allow = false
"""


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
