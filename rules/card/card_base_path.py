"""CRD103."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapterlint import Card, Files, Finding, Patch, Place, Severity, rule, shown
from adapterlint.files.json_text import Span

_PATH = re.compile(r"(/|\.{1,2}/|~/|[A-Za-z]:[\\/]|\\\\).*|[^/]+/[^/]+/.+|.*\\.*")


@rule(
    "CRD103",
    Severity.INFO,
    since="0.1",
    bad=Patch(files={"README.md": "---\nbase_model: /home/user/models/tiny-llama\nlibrary_name: peft\n---\n"}),
    good=Patch(),
    source="https://github.com/huggingface/transformers/issues/33922",
)
def card_base_path(card: Card, files: Files) -> Iterator[Finding]:
    """The model card names a path on a machine as the base model.

    PEFT writes the name under which the base was loaded into the card, and that is a path if it was loaded from disk.
    The Hub refuses such a card: `400 Client Error: "base_model" with value "/home/..." is not valid. Use a model id
    from https://hf.co/models`. The path also tells the names of users and folders.

    Name the repository of the base model instead.
    """
    for name in card.base_models:
        if _PATH.fullmatch(name) and "://" not in name:
            line = card.base_model_line
            yield Finding(
                f"The card names {shown(name)}, a path, as the base model, which the Hub refuses",
                at=Place(
                    files.at("README.md").file,
                    span=Span(line, 1, line, 1 + len("base_model")) if line is not None else None,
                ),
                help="Name the repository of the base model.",
            )
            return
