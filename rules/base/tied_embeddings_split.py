"""BAS112."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapterlint import AdapterSimulation, Config, Finding, ModuleTree, Patch, Severity, listed, rule, shown
from adapterlint.lint.against_base import is_sure, outcomes
from adapterlint.lint.example import EMBEDDINGS, HIDDEN, RANK, VOCABULARY
from adapterlint.lint.places import entry_at
from adapterlint.peft.fields import token_key
from adapterlint.peft.methods import METHODS
from adapterlint.peft.simulate import Alone

_TIED = {"tie_word_embeddings": True}
_MATRIX = ("F32", (VOCABULARY, HIDDEN))
_LORA = {
    f"{EMBEDDINGS}.lora_embedding_A": ("F32", (RANK, VOCABULARY)),
    f"{EMBEDDINGS}.lora_embedding_B": ("F32", (HIDDEN, RANK)),
}
_HEAD_ROWS = {"base_model.model.lm_head.token_adapter.trainable_tokens_delta": ("F32", (2, HIDDEN))}
_TUNED = {
    **_LORA,
    "base_model.model.lm_head.lora_A.weight": ("F32", (RANK, HIDDEN)),
    "base_model.model.lm_head.lora_B.weight": ("F32", (VOCABULARY, RANK)),
}
_BOTH = {f"{EMBEDDINGS}.weight": _MATRIX, "base_model.model.lm_head.weight": _MATRIX}


@rule(
    "BAS112",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch({"target_modules": ["q_proj", "v_proj", "embed_tokens"]}, _LORA, base=_TIED),
        Patch({"target_modules": ["q_proj", "v_proj", "embed_tokens", "lm_head"]}, _TUNED, base=_TIED),
        Patch({"trainable_token_indices": {"lm_head": [60, 61]}}, _HEAD_ROWS, base=_TIED),
    ),
    good=(
        Patch({"modules_to_save": ["embed_tokens"]}, {f"{EMBEDDINGS}.weight": _MATRIX}, base={}),
        Patch({"modules_to_save": ["embed_tokens", "lm_head"]}, _BOTH, base=_TIED),
        Patch({"target_modules": ["q_proj", "v_proj", "embed_tokens"]}, _LORA, base={}),
    ),
    source="https://github.com/huggingface/peft/issues/2018; peft/tuners/tuners_utils.py, _check_tied_modules",
)
def tied_embeddings_split(config: Config, base: ModuleTree, simulation: AdapterSimulation) -> Iterator[Finding]:
    """Merging the adapter gives another model, as the base ties its embeddings.

    Input embeddings and head of the base are one matrix. PEFT puts what was trained beside it, and the adapter gives
    what it gave in training; merged it does not:

    - Tuned ends, whatever the method, one of them or both, with `ensure_weight_tying` too, and token rows of the head
      alone or of each end by itself: `merge_and_unload()` and `merge_adapter()` add what was trained for each end to
      the matrix that both share (PEFT warns since 0.13).
    - `modules_to_save`, up to PEFT 0.18: the merged model is right in memory, but still says `tie_word_embeddings:
      true`; saved and loaded again it has one matrix for both ends. That is advice. Since 0.19 PEFT sets it to false.

    Do not merge this adapter, or untie the base before: copy the weight of the head, and set `tie_word_embeddings` to
    false. Token rows given as a bare list, or trained with `ensure_weight_tying=True` (since 0.19), are those of both
    ends, and so are whole modules with it (since 0.18): these can be merged.
    """
    ends = _ends(base)
    if METHODS[config.peft_type].prompt_learning:
        return  # prompts are not merged
    if len(ends) < 2 or not all(is_sure(base, end) for end in ends):
        return
    for (kind, changed), peft in outcomes(simulation, lambda lone: _split(lone, ends)):
        key = _KEYS[kind] or token_key(config.peft_type)
        if kind == "saved whole":
            if changed == ends and config.get("ensure_weight_tying") is True:
                continue
            consequence, severity, peft = (
                "merged, saved and loaded again it has one matrix for both",
                Severity.INFO,
                "<0.19",
            )
        else:
            consequence, severity = "merging changes both", None
        yield Finding(
            f"{_are(changed, kind)}, and the base ties {_to(changed, ends)}: {consequence}",
            at=entry_at(config, key, changed[0]),
            help=_REMEDIES[kind],
            severity=severity,
            peft=peft,
        )


_KEYS = {"saved whole": "modules_to_save", "tuned": "target_modules", "given token rows": ""}
_REMEDIES = {
    "saved whole": "Merge with PEFT 0.19 or newer, or set `tie_word_embeddings` to false in the merged model's config.",
    "tuned": "Do not merge the adapter, or untie the base before.",
    "given token rows": "Give the indices as a bare list, which both ends have, or do not merge the adapter.",
}


def _are(modules: Sequence[str], what: str) -> str:
    return f"{listed(modules)} {'is' if len(modules) == 1 else 'are'} {what}"


def _to(changed: Sequence[str], ends: Sequence[str]) -> str:
    others = [end for end in ends if end not in changed]
    return f"it to {shown(others[0])}" if others else "them"


def _ends(base: ModuleTree) -> tuple[str, ...]:
    """The modules that share the matrix of the input embeddings, those above them in the tree left out."""
    for group in base.tied:
        modules = [parameter.rpartition(".")[0] for parameter in group]
        if base.input_embeddings in modules:
            return tuple(m for m in modules if m in (base.input_embeddings, base.output_embeddings))
    return ()


def _split(lone: Alone, ends: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """What is done to which ends, if merging does not give what the adapter gives."""
    if lone.error is not None or lone.forward is not None:
        return None
    if whole := tuple(end for end in ends if end in lone.whole):
        return "saved whole", whole
    if tuned := tuple(end for end in ends if end in lone.tuned):
        return "tuned", tuned
    rows = tuple(end for end in ends if end in lone.tokens)
    return ("given token rows", rows) if rows and not _are_shared(lone, ends) else None


def _are_shared(lone: Alone, ends: tuple[str, ...]) -> bool:
    """Whether all ends have the same rows."""
    rows = [{value for path, value in lone.expression if path == end} for end in ends]
    return all(one == rows[0] for one in rows)
