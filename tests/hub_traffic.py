"""What the tests of the Hub put there, and what their client sends and gets."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from adapterlint.lint.example import Patch, as_patch


@dataclass
class Traffic:
    """What the client sent and got.

    Attributes:
        requests: Method and path of each request.
        received: Bytes of the bodies that were read.
    """

    requests: list[str] = field(default_factory=list)
    received: int = 0
    authorized: list[str] = field(default_factory=list)  # hosts that got a token

    def client(self) -> httpx2.Client:
        from huggingface_hub.utils._http import default_client_factory

        client = default_client_factory()
        client.event_hooks["request"].append(self._sent)
        client.event_hooks["response"].append(self._answered)
        return client

    def _sent(self, request: httpx2.Request) -> None:
        self.requests.append(f"{request.method} {request.url.raw_path.decode()}")
        if "authorization" in request.headers:
            self.authorized.append(request.url.netloc.decode())

    def _answered(self, response: httpx2.Response) -> None:
        read = response.iter_raw

        def counted(chunk_size: int | None = None) -> Iterator[bytes]:
            for part in read(chunk_size):
                self.received += len(part)
                yield part

        response.iter_raw = counted  # type: ignore[method-assign]


def adapter(patch: Patch | Mapping[str, Any] | None = None, below: str = "") -> dict[str, bytes]:
    """The files of a patched copy of the known-good adapter."""
    files = as_patch(patch or {}).folder().files
    return {f"{below}{name}": content for name, content in files.items()}


def safetensors(tensors: Mapping[str, tuple[int, ...]], *, padding: int = 0) -> bytes:
    """A file of zeros in F32, whose header may be longer than it need be."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt", "padding": "x" * padding}}
    end = 0
    for name, shape in tensors.items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(end)
