"""What an input that is on the Hub means: a repository, all of an owner's, or a collection."""

from __future__ import annotations

import re
from dataclasses import dataclass

from adapterlint.sources import SourceError
from adapterlint.words import shown

SCHEMES = ("hf://", "https://", "http://")
OTHER_TYPES = ("datasets", "spaces", "buckets", "kernels")

_MODEL = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9_][\w.-]*")
_OWNER = re.compile(r"(?:hf://|https?://[^/]+/)(?:models/)?([\w.-]+)(?:/\*)?/?(?:[?#].*)?")
_COLLECTION = re.compile(r"(?:hf://|https?://[^/]+/)collections/([\w.-]+/[\w.-]+)/?(?:[?#].*)?")
_LATE_REVISION = re.compile(r"(hf://(?:models/)?[^/@]+/[^/@]+)(/[^@]*)@(.+)")  # `hf://owner/name/folder@revision`
_DISCUSSION = re.compile(r"(https?://[^/]+/[\w.-]+/[\w.-]+)/discussions/(\d+)/?(?:[?#].*)?")
_COMMIT = re.compile(r"(https?://[^/]+/[\w.-]+/[\w.-]+)/commit/([0-9a-f]{7,40})/?(?:[?#].*)?")


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository, or a folder or a file of it, at a revision.

    Args:
        repo: `owner/name`, or the name alone for the oldest models.
        revision: A branch, a tag, a commit or `refs/pr/N`; `None` for the main branch.
        path: A folder or a file; empty for all of the repository.
    """

    repo: str
    revision: str | None = None
    path: str = ""

    @property
    def place(self) -> str:
        """The input as messages show it."""
        return f"hf://{self.repo}{f'/{self.path}' if self.path else ''}{f'@{self.revision}' if self.revision else ''}"


@dataclass(frozen=True, slots=True)
class Many:
    """Repositories that the Hub lists.

    Args:
        owner: Whose models, or
        collection: `owner/slug` of a collection.
        place: The input as messages show it.
    """

    place: str
    owner: str | None = None
    collection: str | None = None


def is_hub(text: str) -> bool:
    """Whether an input is meant for the Hub, and not for this machine."""
    return text.lower().startswith(SCHEMES)


def base_reference(name: str) -> Reference:
    """The repository of a base model.

    Args:
        name: As `parse` takes it, or as adapters name their base: `owner/name`, or a name alone.

    Raises:
        SourceError: It means no repository.
    """
    if is_hub(name):
        found = parse(name)
        if isinstance(found, Many):
            raise SourceError("It means several repositories, and a base model is one", place=found.place)
        return found
    if not _MODEL.fullmatch(name) or ".." in name or "--" in name:
        raise SourceError("This is no name of a repository on the Hub", place=name)
    return Reference(name)


def parse(text: str) -> Reference | Many:
    """What an input means.

    Args:
        text: `hf://owner/name[/folder][@revision]`, `hf://owner/*`, `hf://collections/owner/slug`, or the address of
            one of these in a browser.

    Raises:
        SourceError: It means nothing that can hold adapters.
    """
    from huggingface_hub import parse_hf_uri
    from huggingface_hub.errors import HfUriError

    from adapterlint.sources.hub.client import endpoint

    text = text.strip()
    if match := _COLLECTION.fullmatch(text):
        return Many(f"hf://collections/{match[1]}", collection=match[1])
    if (match := _OWNER.fullmatch(text)) and match[1] not in OTHER_TYPES:
        return Many(f"hf://{match[1]}/*", owner=match[1])
    if match := _LATE_REVISION.fullmatch(text):
        text = f"{match[1]}@{match[3]}{match[2].rstrip('/')}"
    elif match := _DISCUSSION.fullmatch(text):
        text = f"{match[1]}/tree/refs/pr/{match[2]}"
    elif match := _COMMIT.fullmatch(text):
        text = f"{match[1]}/tree/{match[2]}"
    try:
        found = parse_hf_uri(text, endpoint=endpoint())
    except HfUriError as error:
        raise SourceError(f"This means no repository on the Hub: {error.msg.rstrip('.')}", place=text) from None
    if found.type != "model":
        raise SourceError(f"It is a {found.type}, and adapters are kept in models", place=text)
    path = found.path_in_repo.strip("/")
    if ".." in path.split("/"):
        raise SourceError(f"{shown(path)} leads out of the repository", place=text)
    return Reference(found.id, found.revision, path)
