"""The requests: few, bounded in size and time, tried again where that helps, told in one sentence where it does not.

Sessions, tokens and the offline switch are those of `huggingface_hub`; a token goes into a header and nowhere else.
Bodies are streamed, so that a server that sends more than it was asked for is stopped.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from adapterlint.formats import CONFIG
from adapterlint.sources import SourceError, Unreachable

if TYPE_CHECKING:
    import httpx2

MAX_INFO_BYTES = 32 * 1024 * 1024  # what the Hub says of a repository: the names of all its files
MAX_SKIPPED_BYTES = 128 * 1024 * 1024  # read past where a server does not serve ranges: no more than a header has
TRIES = 3
MAX_WAIT = 20.0  # seconds until the next try; a server that asks for more is not asked again
FIRST_WAIT = 0.4
CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
MAX_CONNECTIONS = 16

T = TypeVar("T")

_TOTAL = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")
_CHUNK = 64 * 1024


# What the Hub says, by the names that it gives everything.
class _Sibling(msgspec.Struct):
    rfilename: str


class _Sized(msgspec.Struct):
    size: int


class _Ref(msgspec.Struct):
    name: str
    ref: str
    targetCommit: str


class _Refs(msgspec.Struct):
    branches: list[_Ref] = []
    tags: list[_Ref] = []
    converts: list[_Ref] = []
    pullRequests: list[_Ref] = []


class _Info(msgspec.Struct):
    sha: str
    siblings: list[_Sibling] = []
    cardData: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Info:
    """What the Hub says of a repository at a revision.

    Args:
        commit: The commit that the revision is.
        files: Paths of all files.
        front_matter: That of its `README.md` at the top, if the Hub could read one.
    """

    commit: str
    files: tuple[str, ...]
    front_matter: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file.

    Args:
        start: Where it begins.
        data: Its bytes; fewer than were asked for where the file ends.
        size: Length of the whole file in bytes, if the server says it.
    """

    start: int
    data: bytes
    size: int | None


class _Answered(Exception):
    """The server answered with an error."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response.status_code)
        self.status, headers = response.status_code, response.headers
        self.code = headers.get("x-error-code", "")
        self.text = headers.get("x-error-message", "")
        self.after = headers.get("retry-after", "")


def endpoint() -> str:
    """The Hub's address, as `huggingface_hub` takes it from `HF_ENDPOINT`."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def info(repo: str, revision: str | None, place: str) -> Info:
    """Ask for the commit and the files of a repository.

    Raises:
        Unreachable: It could not be had, told in one sentence.
    """
    url = f"{endpoint()}/api/models/{repo}/revision/{quote(revision or 'main', safe='')}"

    def ask() -> Info:
        found = _json(url, _Info)
        return Info(found.sha, tuple(one.rfilename for one in found.siblings), found.cardData)

    return _tried(ask, place, revision)


def read(repo: str, commit: str, path: str, start: int | None, length: int, place: str) -> Piece:
    """Ask for a part of a file.

    Args:
        start: Offset of the first byte; `None` for the last `length` bytes of the file.
        length: Number of bytes, at least 1.

    Raises:
        Unreachable: It could not be had, told in one sentence.
    """
    url = f"{endpoint()}/{repo}/resolve/{commit}/{quote(path)}"
    wanted = f"bytes=-{length}" if start is None else f"bytes={start}-{start + length - 1}"

    def ask() -> Piece:
        with _stream(url, {"Range": wanted, "Accept-Encoding": "identity"}) as response:
            total = _TOTAL.fullmatch(response.headers.get("content-range", ""))
            if response.status_code == 416:
                return Piece(start or 0, b"", int(total[2]) if total else None)
            if response.status_code == 206 and total and total[1]:
                return Piece(int(total[1]), _bounded(response, length, cut=True), int(total[2]))
            return _ignored(response, start, length)

    return _tried(ask, place, None)


def commit_of(repo: str, revision: str, place: str) -> str | None:
    """Look a revision up among all branches, tags and pull requests of a repository: some mirrors know it only there.

    Raises:
        Unreachable: They could not be had, told in one sentence.
    """
    url = f"{endpoint()}/api/models/{repo}/refs?include_prs=true"

    def ask() -> str | None:
        found = _json(url, _Refs)
        every = (*found.branches, *found.tags, *found.converts, *found.pullRequests)
        return next((one.targetCommit for one in every if revision in (one.ref, one.name)), None)

    return _tried(ask, place, revision)


def models_of(owner: str, most: int, place: str) -> list[tuple[str, Info | None]]:
    """Ask for the models of an owner that have an adapter, with what the Hub says of each.

    Raises:
        Unreachable: They could not be had, told in one sentence.
    """
    from huggingface_hub import HfApi

    def ask() -> list[tuple[str, Info | None]]:
        found = []
        for model in HfApi(endpoint=endpoint()).list_models(author=owner, full=True, cardData=True):
            files = tuple(one.rfilename for one in model.siblings or ())
            if any(path.rpartition("/")[2] == CONFIG for path in files):
                card = None if model.card_data is None else dict(model.card_data.to_dict())  # type: ignore[no-untyped-call]
                found.append((model.id, Info(model.sha, files, card) if model.sha else None))
                if len(found) > most:
                    break
        return found

    return _tried(ask, place, None)


def models_in(collection: str, place: str) -> list[str]:
    """Ask for the names of the models in a collection.

    Raises:
        Unreachable: They could not be had, told in one sentence.
    """
    from huggingface_hub import HfApi

    def ask() -> list[str]:
        items = HfApi(endpoint=endpoint()).get_collection(collection).items
        return [item.item_id for item in items if item.item_type == "model"]

    return _tried(ask, place, None)


def size(repo: str, commit: str, path: str, place: str) -> int:
    """Ask for the length of a file in bytes, where the server that sends it does not say it.

    Raises:
        Unreachable: It could not be had, told in one sentence.
    """
    url = f"{endpoint()}/api/models/{repo}/paths-info/{commit}"

    def ask() -> int:
        found = _json(url, list[_Sized], form={"paths": [path]})
        if len(found) != 1:
            raise SourceError(_BY_CODE["EntryNotFound"])
        return found[0].size

    return _tried(ask, place, None)


def _ignored(response: httpx2.Response, start: int | None, length: int) -> Piece:
    """The part of a file that is sent whole, because the server does not serve ranges; the rest is not read."""
    said = response.headers.get("content-length", "")
    size = int(said) if said.isdecimal() and "content-encoding" not in response.headers else None
    if start is None:  # where the end begins is not known before the size is
        start = max(size - length, 0) if size is not None else 0
    if start > MAX_SKIPPED_BYTES:
        raise SourceError("The server sends whole files only, and this one is too long to read to its end")
    data = _bounded(response, start + length, cut=True)
    if len(data) < start + length:
        size = len(data)
    return Piece(start, data[start:], size)


def _bounded(response: httpx2.Response, limit: int, *, cut: bool = False) -> bytes:
    """The first bytes of a body; if there are more, the rest is left where it is, or the whole refused."""
    parts: list[bytes] = []
    size = 0
    for part in response.iter_bytes(_CHUNK):
        parts.append(part)
        size += len(part)
        if size >= limit and (cut or size > limit):
            break
    if size > limit and not cut:
        raise SourceError(f"The answer has more than {limit:,} bytes")
    return b"".join(parts)[:limit]


def _json(url: str, answer: type[T], *, form: Mapping[str, Any] | None = None) -> T:
    with _stream(url, {}, form=form) as response:
        return msgspec.json.decode(_bounded(response, MAX_INFO_BYTES), type=answer)


@contextmanager
def _stream(
    url: str, headers: Mapping[str, str], *, form: Mapping[str, Any] | None = None
) -> Iterator[httpx2.Response]:
    import httpx2
    from huggingface_hub import __version__ as library
    from huggingface_hub import get_session
    from huggingface_hub.utils import get_token_to_send  # type: ignore[attr-defined]

    from adapterlint import __version__

    token = get_token_to_send(None)
    sent = {"User-Agent": f"adapterlint/{__version__}; hf_hub/{library}", **headers}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None)
    method = "POST" if form else "GET"
    with get_session().stream(method, url, data=form, headers=sent, timeout=timeout, follow_redirects=True) as response:
        if response.status_code >= 400 and response.status_code != 416:
            raise _Answered(response)
        yield response


# --- what goes wrong --------------------------------------------------------------------------------------------------


def _tried(ask: Callable[[], T], place: str, revision: str | None) -> T:
    """Ask, and ask again after what may pass."""
    from huggingface_hub.errors import HfHubHTTPError

    for left in reversed(range(TRIES)):
        try:
            return ask()
        except SourceError as refused:
            raise Unreachable(refused.message, place=place) from None
        except Exception as raised:  # the sentence takes its place: a traceback may show what was sent
            error = _Answered(raised.response) if isinstance(raised, HfHubHTTPError) else raised
            wait = _wait(error, TRIES - 1 - left) if left else None
            if wait is None:
                raise Unreachable(_sentence(error, revision), place=place) from None
        time.sleep(wait)
    raise AssertionError("unreachable")


def _wait(error: Exception, failed: int) -> float | None:
    """Seconds until the next try; `None` if another would end alike."""
    import httpx2

    if isinstance(error, _Answered):
        if error.status not in (429, 500, 502, 503, 504):
            return None
        if error.after.isdecimal():
            return float(error.after) if float(error.after) <= MAX_WAIT else None
    elif not isinstance(error, httpx2.TransportError) or isinstance(error, httpx2.UnsupportedProtocol):
        return None
    return FIRST_WAIT * float(2**failed) * random.uniform(0.5, 1.5)


_BY_CODE = {
    "GatedRepo": "The repository is gated, and there is no token with access to it",
    "RepoNotFound": "There is no such repository, or it is private and there is no token with access to it",
    "EntryNotFound": "There is no such file",
}
_BY_STATUS = {
    401: _BY_CODE["RepoNotFound"],
    403: "The Hub refuses access to it (403)",
    404: "There is no such thing on the Hub (404)",
}


def _sentence(error: Exception, revision: str | None) -> str:
    """What could not be had, and why, without anything that was sent."""
    import httpx2
    from huggingface_hub.errors import OfflineModeIsEnabled

    from adapterlint.words import shown

    if isinstance(error, _Answered):
        if error.code == "RevisionNotFound":
            return f"The repository has no revision {shown(revision or 'main')}"
        if error.text == "Access to this resource is disabled.":
            return "The Hub has disabled access to it"
        if error.status == 429:
            after = f", to be tried again after {int(error.after)} seconds" if error.after.isdecimal() else ""
            return f"The Hub has had too many requests (429){after}"
        return _BY_CODE.get(error.code) or _BY_STATUS.get(error.status) or f"The Hub answers {error.status}"
    if isinstance(error, OfflineModeIsEnabled):
        return "The Hub is not asked, because of HF_HUB_OFFLINE, and what is kept of it does not suffice"
    if isinstance(error, httpx2.TimeoutException):
        return "The Hub did not answer in time"
    if isinstance(error, httpx2.ConnectError):
        return "The Hub cannot be reached"
    if isinstance(error, httpx2.TransportError):
        return "The connection to the Hub broke"
    if isinstance(error, (msgspec.DecodeError, UnicodeDecodeError)):
        return "What answers is no Hub: this is not what it says of a repository"
    return f"The Hub could not be asked ({type(error).__name__})"
