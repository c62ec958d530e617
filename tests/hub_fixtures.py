"""A Hub for the tests, and the number of requests and bytes that they take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_server import HubServer, running
from hub_traffic import Traffic


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """ORIGIN and EDGE, for all tests."""
    with running(tmp_path_factory.mktemp("hub")) as started:
        yield started


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own: no token, no cache, no proxies, and no certificates, which take long to load."""
    where = tmp_path / "home"
    (where / "certificates").mkdir(parents=True)
    monkeypatch.setenv("SSL_CERT_DIR", str(where / "certificates"))
    monkeypatch.setenv("HF_HOME", str(where / "hf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(where / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("SSL_CERT_FILE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    return where


@pytest.fixture
def traffic(home: Path) -> Iterator[Traffic]:
    """Counts what the client of `huggingface_hub` sends and gets."""
    import huggingface_hub
    from huggingface_hub.utils._http import default_client_factory

    counting = Traffic()
    huggingface_hub.set_client_factory(counting.client)
    yield counting
    huggingface_hub.set_client_factory(default_client_factory)


@pytest.fixture
def edge(server: HubServer, traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The Hub that serves ranges."""
    monkeypatch.setenv("HF_ENDPOINT", server.edge)
    return server


@pytest.fixture
def origin(server: HubServer, traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The Hub that sends whole files."""
    monkeypatch.setenv("HF_ENDPOINT", server.origin)
    return server
