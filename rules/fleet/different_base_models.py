"""FLT110."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Finding, Fleet, FleetPatch, Member, Patch, Severity, rule
from adapterlint.base_names import base_key, hub_model
from adapterlint.lint.fleet import each, paths
from adapterlint.words import counted


def _on(base: str) -> Patch:
    return Patch(config={"base_model_name_or_path": base}, files={"README.md": "---\nlibrary_name: peft\n---\n"})


@rule(
    "FLT110",
    Severity.WARNING,
    since="0.1",
    bad=FleetPatch({"chat": _on("acme/tiny-llama"), "code": _on("acme/tiny-mistral")}, declared=True),
    good=FleetPatch({"chat": _on("acme/tiny-llama"), "code": _on("mirror/Tiny-Llama-bnb-4bit")}, declared=True),
    source="peft/peft_model.py, PeftModel.load_adapter",
)
def different_base_models(fleet: Fleet) -> Iterator[Finding]:
    """The adapters of a declared fleet were trained on different base models.

    PEFT never compares `base_model_name_or_path`: if the modules have the same names and shapes, adapters of another
    model load without a word and give output that nobody has trained; otherwise loading raises `RuntimeError ... size
    mismatch`. Names of local folders say nothing and are not compared; quantised copies count as the model itself.

    Make a fleet for each base model.
    """
    if not fleet.declared:
        return
    models: dict[str, list[Member]] = {}
    for member in fleet.members:
        model = hub_model(member.config.base_model or "")
        if model is not None:
            models.setdefault(model, []).append(member)
    if len(models) < 2:
        return
    bases = {base_key(those[0].config.base_model or ""): those for those in models.values()}
    other = list(models.values())[1]
    yield Finding(
        f"The adapters name {counted(len(models), 'base model')} ({each(bases)}), and PEFT does not compare them",
        at=other[0].config.at("base_model_name_or_path"),
        help="Make a fleet for each base model.",
        adapters=paths(m for those in models.values() for m in those),
    )
