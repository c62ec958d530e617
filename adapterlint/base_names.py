"""What the name of a base model says: which Hub repository it means, and whether two names can mean one model."""

from __future__ import annotations

import re

_CACHED = re.compile(r"(?:^|[/\\])models--([^/\\]+?)--([^/\\]+)(?:[/\\]|$)")  # a folder of the Hub's local cache
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# First components of relative paths that look like `owner/name` but are folders of somebody's project.
_FOLDERS = re.compile(
    r"(?:\w+[_-])?(?:models?|checkpoints?|ckpts?|weights|outputs?|results?|saves?|saved|base|pretrained|llms?|hf|data"
    r"|cache|adapters?|loras?|runs?|experiments?|artifacts|content|home|mnt|root|tmp|workspace|kaggle|training|merged)"
    r"(?:[_-]\w+|\d*)",
    re.IGNORECASE,
)
# What quantised and converted copies of a model add to its name.
_VARIANT = re.compile(
    r"[-_.](?:bnb|unsloth|dynamic|gptq|awq|gguf|mlx|hf|fp8|fp16|bf16|fp32|f16|nf4|int4|int8|w4a16|w8a8|[48]-?bits?|quantized"
    r"|quant|sharded|safetensors|torch|pytorch|dequantized)(?=[-_.]|$)",
    re.IGNORECASE,
)


def base_key(name: str) -> str:
    """A name of a base such that equal bases have equal ones: the repository behind a cache folder, no last slash."""
    return cached_repository(name) or name.strip().rstrip("/\\") or name


def cached_repository(path: str) -> str | None:
    """The Hub repository that a path in the Hub's local cache belongs to, as `org/name`."""
    cached = _CACHED.search(path)
    return f"{cached[1]}/{cached[2]}" if cached else None


def hub_model(name: str) -> str | None:
    """The model behind a Hub name, whoever published it: `meta-llama/Llama-3.1-8B` is `llama-3.1-8b`.

    Returns:
        `None` for anything that may be a local folder, since its name says nothing. Quantised copies
        (`-bnb-4bit`, `-GPTQ`) count as the model itself.
    """
    key = base_key(name)
    if not _REPOSITORY.fullmatch(key) or _FOLDERS.fullmatch(key.partition("/")[0]):
        return None
    return _VARIANT.sub("", key.partition("/")[2]).lower().removeprefix("meta-")  # mirrors leave Meta's name away
