"""What goes wrong on the Hub ends in one plain sentence that names the repository, and the run goes on.

`olah` cannot show gated repositories, listings, rate limits, broken servers and redirects to another host: for these
the answers are written by hand below, as the Hub's documentation and `huggingface_hub` have them.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from adapterlint.sources.hub import client
from hub_server import HubServer
from hub_traffic import Traffic, adapter, safetensors

Run = Callable[..., Any]

INFO = "/api/models/acme/one/revision/main"
SHA = "0123456789abcdef0123456789abcdef01234567"
FILES = adapter()
ANSWER = {"sha": SHA, "siblings": [{"rfilename": name} for name in FILES]}


@pytest.fixture
def by_hand(httpserver: HTTPServer, traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> HTTPServer:
    """A server whose answers are written by hand, and no patience."""
    monkeypatch.setenv("HF_ENDPOINT", httpserver.url_for("").rstrip("/"))
    monkeypatch.setattr(client, "FIRST_WAIT", 0.0)
    return httpserver


def whole(server: HTTPServer, repo: str = "acme/one") -> None:
    """A repository that is all right."""
    server.expect_request(f"/api/models/{repo}/revision/main").respond_with_json(ANSWER)
    for name, content in FILES.items():
        server.expect_request(f"/{repo}/resolve/{SHA}/{name}").respond_with_data(content)


def refusing(status: int, **headers: str) -> Response:
    return Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusing(403, X_Error_Code="GatedRepo"), "The repository is gated, and there is no token with access to it"),
        (refusing(401, X_Error_Code="GatedRepo"), "The repository is gated, and there is no token with access to it"),
        (refusing(401, X_Error_Code="RepoNotFound"), "There is no such repository, or it is private"),
        (refusing(401), "There is no such repository, or it is private"),
        (refusing(404, X_Error_Code="RevisionNotFound"), "The repository has no revision `main`"),
        (refusing(403, X_Error_Message="Access to this resource is disabled."), "The Hub has disabled access to it"),
        (refusing(403), "The Hub refuses access to it (403)"),
        (refusing(429, Retry_After="300"), "The Hub has had too many requests (429), to be tried again after 300 s"),
        (refusing(429), "The Hub has had too many requests (429)"),
        (refusing(500), "The Hub answers 500"),
        (refusing(503), "The Hub answers 503"),
        (Response("<html>", 200), "What answers is no Hub"),
        (Response('{"sha": 1}', 200), "What answers is no Hub"),
    ],
)
def test_a_refusal_is_one_sentence_and_the_others_are_judged(
    answer: Response, said: str, by_hand: HTTPServer, run: Run
) -> None:
    by_hand.expect_request(INFO).respond_with_response(answer)
    whole(by_hand, "acme/two")
    result = run("check", "hf://acme/one", "hf://acme/two", "-o", "json")
    report = json.loads(result.output)
    (problem,) = report["problems"]
    assert problem["place"] == "hf://acme/one"
    assert problem["message"].startswith(said)
    assert [one["path"] for one in report["adapters"]] == ["hf://acme/two"]
    assert result.exit_code == 2
    assert run("check", "hf://acme/one", "hf://acme/two", "--allow-unreachable").exit_code == 0


def test_a_file_that_cannot_be_had_is_told_with_its_name(by_hand: HTTPServer, run: Run) -> None:
    by_hand.expect_request(INFO).respond_with_json(ANSWER)
    by_hand.expect_request(f"/acme/one/resolve/{SHA}/adapter_config.json").respond_with_response(
        refusing(404, X_Error_Code="EntryNotFound")
    )
    result = run("check", "hf://acme/one")
    assert "not checked: hf://acme/one/adapter_config.json: There is no such file" in result.output
    assert result.exit_code == 2


@pytest.mark.parametrize(("status", "asked"), [(429, 3), (500, 3), (503, 3), (403, 1), (404, 1), (401, 1)])
def test_what_may_pass_is_tried_again_and_nothing_else(
    status: int, asked: int, by_hand: HTTPServer, traffic: Traffic, run: Run
) -> None:
    by_hand.expect_request(INFO).respond_with_response(refusing(status))
    run("check", "hf://acme/one")
    assert len(traffic.requests) == asked


def test_a_server_that_recovers_is_believed(by_hand: HTTPServer, run: Run) -> None:
    by_hand.expect_ordered_request(INFO).respond_with_response(refusing(429, Retry_After="0"))
    by_hand.expect_ordered_request(INFO).respond_with_response(refusing(502))
    by_hand.expect_ordered_request(INFO).respond_with_json(ANSWER)
    for name in ("adapter_config.json", "adapter_model.safetensors", "README.md"):
        by_hand.expect_ordered_request(f"/acme/one/resolve/{SHA}/{name}").respond_with_data(FILES[name])
    assert run("check", "hf://acme/one").exit_code == 0


def test_a_server_that_asks_for_patience_beyond_bounds_is_not_asked_again(
    by_hand: HTTPServer, traffic: Traffic, run: Run
) -> None:
    by_hand.expect_request(INFO).respond_with_response(refusing(429, Retry_After="3600"))
    run("check", "hf://acme/one")
    assert len(traffic.requests) == 1


@contextmanager
def breaking(reply: bytes) -> Iterator[str]:
    """A server that answers so, and then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", b"no HTTP at all\r\n\r\n"])
def test_a_connection_that_breaks_is_told(
    reply: bytes, traffic: Traffic, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.0)
    with breaking(reply) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        result = run("check", "hf://acme/one")
    assert "not checked: hf://acme/one: The connection to the Hub broke" in result.output
    assert result.exit_code == 2


def test_a_server_that_does_not_answer_is_told(by_hand: HTTPServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "READ_SECONDS", 0.05)
    monkeypatch.setattr(client, "TRIES", 1)
    asleep = threading.Event()

    def late(_: Request) -> Response:
        asleep.wait(2)
        return Response("late")

    by_hand.expect_request(INFO).respond_with_handler(late)
    result = run("check", "hf://acme/one")
    asleep.set()
    assert "not checked: hf://acme/one: The Hub did not answer in time" in result.output
    assert result.exit_code == 2


def test_a_server_that_is_not_there_is_told(traffic: Traffic, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.0)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    result = run("check", "hf://acme/one")
    assert "not checked: hf://acme/one: The Hub cannot be reached" in result.output
    assert result.exit_code == 2


def test_what_edge_denies_or_does_not_have_is_told(edge: HubServer, run: Run) -> None:
    edge.commit("acme/denied", FILES)
    edge.commit("acme/there", FILES)
    result = run("check", "hf://acme/denied", "hf://acme/absent", "hf://acme/there@nowhere", "hf://acme/there")
    for place in ("hf://acme/denied", "hf://acme/absent", "hf://acme/there@nowhere"):
        assert f"not checked: {place}: " in result.output
    assert "1 adapter checked" in result.output
    assert result.exit_code == 2


def test_offline_asks_for_nothing_and_uses_what_is_kept(
    edge: HubServer, traffic: Traffic, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.commit("acme/kept", FILES)
    run("check", "hf://acme/kept")
    traffic.requests.clear()
    result = run("check", "hf://acme/kept", "--offline")
    assert "1 adapter checked" in result.output
    assert result.exit_code == 0
    result = run("check", "hf://acme/new", "--offline")
    assert "not checked: hf://acme/new: Nothing is kept of it" in result.output
    assert result.exit_code == 2
    assert not traffic.requests


def test_the_offline_switch_of_the_library_is_obeyed(
    edge: HubServer, traffic: Traffic, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge.commit("acme/kept", FILES)
    run("check", "hf://acme/kept")
    traffic.requests.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert run("check", "hf://acme/kept").exit_code == 0
    assert run("check", "hf://acme/new").exit_code == 2
    assert not traffic.requests


def test_nothing_is_asked_for_offline_where_a_server_sent_whole_files_without_their_length(
    origin: HubServer, traffic: Traffic, run: Run
) -> None:
    long = safetensors({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (8, 100_000)})
    origin.commit("acme/long", FILES | {"adapter_model.safetensors": long})
    online = run("check", "hf://acme/long").output
    assert "1 adapter checked" in online
    traffic.requests.clear()
    assert run("check", "hf://acme/long", "--offline").output == online
    assert not traffic.requests


def test_a_base_that_cannot_be_had_is_told_and_the_adapter_is_judged(edge: HubServer, run: Run, write: Any) -> None:
    write("adapter", {"base_model_name_or_path": "acme/absent"})
    result = run("check", "adapter", "--online")
    assert "not known: acme/absent: There is no such repository" in result.output
    assert "1 adapter checked" in result.output
    assert result.exit_code == 0
    assert run("check", "adapter", "--base", "hf://acme/absent").exit_code == 2


def test_models_of_an_owner_are_listed_once(by_hand: HTTPServer, traffic: Traffic, run: Run) -> None:
    listed = [{"id": f"acme/{name}", **ANSWER} for name in ("one", "two")]
    listed.append({"id": "acme/base", "sha": SHA, "siblings": [{"rfilename": "config.json"}]})
    by_hand.expect_request("/api/models", query_string={"author": "acme", "full": "true", "cardData": "true"}
                           ).respond_with_json(listed)  # fmt: skip
    for repo in ("acme/one", "acme/two"):
        whole(by_hand, repo)
    result = run("check", "hf://acme/*", "-o", "json")
    assert [one["path"] for one in json.loads(result.output)["adapters"]] == ["hf://acme/one", "hf://acme/two"]
    assert not [request for request in traffic.requests if "/revision/" in request or "base" in request]


def test_a_collection_is_a_list_of_repositories(by_hand: HTTPServer, run: Run) -> None:
    items = [
        {"_id": str(i), "type": kind, "id": name, "position": i}
        for i, (kind, name) in enumerate([("model", "acme/one"), ("dataset", "acme/data"), ("model", "acme/two")])
    ]
    owner = {"_id": "0", "name": "acme", "type": "org", "fullname": "Acme", "avatarUrl": ""}
    collection = {"slug": "acme/ours-1", "title": "Ours", "owner": owner, "items": items, "private": False,
                  "lastUpdated": "2026-01-01T00:00:00.000Z", "position": 0, "theme": "blue", "upvotes": 0}  # fmt: skip
    by_hand.expect_request("/api/collections/acme/ours-1").respond_with_json(collection)
    for repo in ("acme/one", "acme/two"):
        whole(by_hand, repo)
    result = run("check", "hf://collections/acme/ours-1", "-o", "json")
    assert [one["path"] for one in json.loads(result.output)["adapters"]] == ["hf://acme/one", "hf://acme/two"]


TOKEN = "hf_" + "PlantedTokenOfNobodyAtAll0123456789"


def test_a_token_goes_to_the_hub_alone_and_nowhere_else(
    by_hand: HTTPServer, traffic: Traffic, run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """Files are sent on to storage on another host, as the Hub does with large ones."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with_storage = by_hand.url_for("/storage").replace("localhost", "127.0.0.1")
    assert "127.0.0.1" in with_storage
    by_hand.expect_request(INFO).respond_with_json(ANSWER)
    for name, content in FILES.items():
        moved = Response(status=302, headers={"Location": f"{with_storage}/{name}"})
        by_hand.expect_request(f"/acme/one/resolve/{SHA}/{name}").respond_with_response(moved)
        by_hand.expect_request(f"/storage/{name}").respond_with_data(content)
    by_hand.expect_request("/api/models/acme/bad/revision/main").respond_with_response(
        Response(f"no such token: {TOKEN}", 500, {"X-Error-Message": f"Bearer {TOKEN}"})
    )
    outputs = [run("check", "hf://acme/one", "hf://acme/bad", "-o", form) for form in ("text", "json", "concise")]
    assert "1 adapter checked" in outputs[0].output
    assert traffic.authorized
    assert not [host for host in traffic.authorized if host.startswith("127.0.0.1")]
    written = "".join(one.output for one in outputs) + "".join(capfd.readouterr())
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert TOKEN not in written
    assert TOKEN.encode() not in kept
