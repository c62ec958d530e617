"""CRD102."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Card, Files, Finding, Patch, Severity, rule


@rule(
    "CRD102",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch(files={"README.md": "---\nbase_model: [acme/tiny-llama\nlibrary_name: peft\n---\n"}),
        Patch(files={"README.md": "---\ntitle: Support: the German one\n---\n"}),
    ),
    good=Patch(),
    source="peft/peft_model.py, create_or_update_model_card; huggingface_hub, RepoCard.load",
)
def invalid_card(card: Card, files: Files) -> Iterator[Finding]:
    """The front matter of `README.md` is not YAML.

    `save_pretrained` into this folder reads the old card to add to it, and raises what PyYAML raises (`ParserError`,
    `ScannerError`, `ValueError: repo card metadata block should be a dict`) before any weights are written, in every
    release. The Hub refuses the metadata when the folder is pushed. Loading the adapter is not concerned.
    The usual causes are a colon, a `#` or an `@` in a text without quotes, and a bracket that is not closed.

    Put such texts in quotes.
    """
    if card.invalid:
        yield Finding(
            f"The front matter of `README.md` cannot be read: {card.problem}",
            at=files.at("README.md"),
            help="Put texts with a colon, `#` or `@` in quotes, and close brackets.",
        )
