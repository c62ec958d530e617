"""CFG152."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapterlint import Config, Finding, Severity, rule, shown
from adapterlint.base_names import cached_repository

_HUB_URL = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)/?", re.IGNORECASE)
_LOCAL = re.compile(r"[/~\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|file:", re.IGNORECASE)


@rule(
    "CFG152",
    Severity.INFO,
    since="0.1",
    bad=(
        {"base_model_name_or_path": "/home/ann/models/llama-7b"},
        {"base_model_name_or_path": "./models/llama-7b"},
        {"base_model_name_or_path": "D:\\models\\llama-7b"},
        {"base_model_name_or_path": "https://huggingface.co/acme/tiny-llama"},
    ),
    good=({"base_model_name_or_path": "acme/tiny-llama"}, {"base_model_name_or_path": "gpt2"}),
    source="peft/auto.py, _BaseAutoPeftModel.from_pretrained",
)
def base_model_local_path(config: Config) -> Iterator[Finding]:
    """The base model is named by a path of somebody's disk.

    `AutoPeftModel`, `AutoModel.from_pretrained(folder)` and tools that serve or merge adapters look for the base at
    `base_model_name_or_path`; on another machine that path does not exist, or holds another model. The Hub refuses
    to take such a path into a model card (`"base_model" with value "/home/..." is not valid`). It also tells others
    the names of users and folders. A URL is no better: transformers takes ids and folders.

    Write the id that the base has on the Hub; `PeftModel.from_pretrained(base, folder)` does not look at it.
    """
    name = (config.base_model or "").strip()
    if not name:
        return
    url = _HUB_URL.match(name)
    if "://" in name and not name.lower().startswith("file:"):
        kind = "a URL, which transformers takes for the id of a repository"
    elif _LOCAL.match(name) or "\\" in name or name.count("/") > 1:
        kind = "a path of a disk, which does not exist elsewhere"
    else:
        return
    known = url[1] if url else cached_repository(name)
    yield Finding(
        f"`base_model_name_or_path` is {shown(config.base_model)}, {kind}",
        at=config.at("base_model_name_or_path"),
        help=f"Write {shown(known)}." if known else "Write the id of the base model on the Hub, such as `org/name`.",
    )
