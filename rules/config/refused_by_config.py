"""CFG160."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Footprint, Severity, rule, shown
from adapterlint.lint.written_for import ignored_in, remedy, written_for
from adapterlint.peft.constructors import Refusal, refusals
from adapterlint.peft.releases import between, in_range
from adapterlint.words import printable, redacted, shortened

MAX_TEXT = 240  # characters of PEFT's own words
_OF_EMBEDDINGS, _FACTORS = {"lora_embedding_A", "lora_embedding_B"}, {"lora_A.weight", "lora_B.weight"}
_ELSEWHERE = frozenset({"/target_modules"})  # told with the other forms of targets that match nothing


@rule(
    "CFG160",
    Severity.ERROR,
    since="0.1",
    bad=(
        {"use_dora": True, "lora_bias": True},
        {"init_lora_weights": "kaiming"},
        {"bias": "some"},
        {"init_lora_weights": "corda"},
    ),
    good=({"init_lora_weights": "gaussian"}, {"bias": "none"}),
    also=("bias-mismatch",),
    source="__post_init__ in peft/tuners/*/config.py, update_layer in peft/tuners/*/layer.py",
)
def refused_by_config(config: Config, footprint: Footprint | None) -> Iterator[Finding]:
    """PEFT refuses the values of the config.

    The config classes check some values and combinations as the file is read, others are checked as the layers are
    made; whatever the base, the adapter cannot be loaded. The finding gives PEFT's exception and its words, and
    holds for the releases that are named with it.

    Set the value that is named to what the adapter was trained with. A combination that PEFT refuses cannot have
    been trained with that release: the config was edited, or another release or a fork wrote it.
    """
    told: set[tuple[str, str]] = set()
    names = set(footprint.shapes) if footprint is not None else set[str]()
    embeddings = not names.isdisjoint(_OF_EMBEDDINGS) and names.isdisjoint(_FACTORS)
    for refusal in refusals(config.peft_type, config.values):
        if refusal.where == "factors" and embeddings:
            continue  # which have factors of another form, and are initialised otherwise
        if refusal.pointer in _ELSEWHERE or (refusal.pointer, refusal.text) in told:
            continue
        told.add((refusal.pointer, refusal.text))
        yield _finding(config, refusal, footprint)


def _finding(config: Config, refusal: Refusal, footprint: Footprint | None) -> Finding:
    key, *inner = refusal.pointer.strip("/").split("/")
    text = shortened(printable(redacted(refusal.text)), MAX_TEXT).strip().rstrip(".")
    present = key in config
    return Finding(
        f"PEFT raises `{refusal.error}` over {shown('.'.join((key, *inner)))}: {text}",
        at=config.at(key, *inner) if present else config.at("peft_type"),
        help=_help(config, refusal, footprint, "" if present else key),
        peft=between(refusal.since, refusal.until),
    )


def _help(config: Config, refusal: Refusal, footprint: Footprint | None, missing: str) -> str:
    releases = written_for(config, footprint) if footprint is not None and refusal.where == "config" else ()
    refused = any(in_range(release, refusal.since, refusal.until) for release in releases)
    if releases and not refused and not ignored_in(config, releases[-1]):
        return remedy(config, releases)  # it is right as it is, elsewhere
    return f"Add {shown(missing)} to the config." if missing else "Set it to what the adapter was trained with."
