"""CRD101."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Card, Config, Files, Finding, Patch, Place, Severity, listed, rule, shown
from adapterlint.base_names import hub_model
from adapterlint.files.json_text import Span


def _card(base: str) -> str:
    return f"---\nbase_model: {base}\nlibrary_name: peft\n---\n"


@rule(
    "CRD101",
    Severity.WARNING,
    since="0.1",
    bad=Patch(files={"README.md": _card("acme/other-llama")}),
    good=(
        Patch(files={"README.md": _card("ACME/Tiny-Llama")}),
        Patch(files={"README.md": _card("[acme/other-llama, acme/tiny-llama]")}),
        Patch(files={"README.md": _card("mirror/tiny-llama-bnb-4bit")}),
    ),
    source="peft/peft_model.py, create_or_update_model_card; peft/auto.py reads the config only",
)
def card_base_differs(card: Card, config: Config, files: Files) -> Iterator[Finding]:
    """The model card names another base model than the config.

    PEFT and the engines load `base_model_name_or_path` of the config; the Hub shows, links and filters by `base_model`
    of the card, and people load what they read there. On another base of the same shapes the adapter loads without a
    message and does something else than it was trained for.
    Names that differ in case, owner or quantization only are taken for the same model, and what may be a local path is
    not compared.

    Correct whichever is wrong; `save_pretrained` writes the name of the base that is loaded into both.
    """
    named, base = card.base_models, config.base_model
    if not named or base is None:
        return
    models = [hub_model(name) for name in (base, *named)]
    if None in models or models[0] in models[1:]:
        return
    line = card.base_model_line
    span = Span(line, 1, line, 1 + len("base_model")) if line is not None else None
    yield Finding(
        f"The card names {listed(named)} as the base model, the config {shown(base)}",
        at=Place(files.at("README.md").file, span=span),
        help="Correct whichever is wrong; PEFT loads what the config names.",
    )
