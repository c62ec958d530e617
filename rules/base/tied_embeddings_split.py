"""BAS112."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, ModuleTree, Patch, Place, Severity, listed, rule, shown
from adapterlint.lint.against_base import is_sure, outcomes
from adapterlint.lint.example import EMBEDDINGS, HIDDEN, RANK, VOCABULARY
from adapterlint.peft.matching import names_module
from adapterlint.peft.methods import METHODS
from adapterlint.peft.simulate import Alone

_TIED = {"tie_word_embeddings": True}
_MATRIX = ("F32", (VOCABULARY, HIDDEN))
_LORA = {
    f"{EMBEDDINGS}.lora_embedding_A": ("F32", (RANK, VOCABULARY)),
    f"{EMBEDDINGS}.lora_embedding_B": ("F32", (HIDDEN, RANK)),
}
_HEAD_ROWS = {"base_model.model.lm_head.token_adapter.trainable_tokens_delta": ("F32", (2, HIDDEN))}
_BOTH = {f"{EMBEDDINGS}.weight": _MATRIX, "base_model.model.lm_head.weight": _MATRIX}


@rule(
    "BAS112",
    Severity.WARNING,
    since="0.1",
    bad=(
        Patch({"modules_to_save": ["embed_tokens"]}, {f"{EMBEDDINGS}.weight": _MATRIX}, base=_TIED),
        Patch({"target_modules": ["q_proj", "v_proj", "embed_tokens"]}, _LORA, base=_TIED),
        Patch({"trainable_token_indices": {"lm_head": [60, 61]}}, _HEAD_ROWS, base=_TIED),
    ),
    good=(
        Patch({"modules_to_save": ["embed_tokens"]}, {f"{EMBEDDINGS}.weight": _MATRIX}, base={}),
        Patch({"modules_to_save": ["embed_tokens", "lm_head"]}, _BOTH, base=_TIED),
    ),
    source="https://github.com/huggingface/peft/issues/2018; peft/tuners/tuners_utils.py, _check_tied_modules",
)
def tied_embeddings_split(config: Config, base: ModuleTree, simulation: AdapterSimulation) -> Iterator[Finding]:
    """The adapter changes one end of embeddings that the base ties.

    Input embeddings and head of the base are one matrix. PEFT trains and loads what the config names, and leaves the
    other end as the base has it. Alone the adapter gives what it gave in training; merged it does not:

    - LoRA on one end, or token rows of the head only: `merge_and_unload()` and `merge_adapter()` add what was trained
      to the matrix that both ends share, so that the merged model is another one (PEFT warns since 0.13). -
      `modules_to_save`, up to PEFT 0.18: the merged model is right in memory, but still says `tie_word_embeddings:
      true`; saved and loaded again it has one matrix for both ends. So it has where both ends are saved whole. Since
      0.19 PEFT sets that to false, and it is advice: rows that were added for new tokens are new at one end only.

    Train with `ensure_weight_tying=True` (`modules_to_save` since 0.18, tokens and targets since 0.19), or give token
    rows as a bare list, which both ends follow. Do not merge this adapter, or untie the base before: copy the weight of
    the head, and set `tie_word_embeddings` to false.
    """
    ends = _ends(base)
    if METHODS[config.peft_type].prompt_learning:
        return  # prompts are not merged
    if len(ends) < 2 or not all(is_sure(base, end) for end in ends):
        return
    for (kind, changed), peft in outcomes(simulation, lambda lone: _split(lone, ends)):
        others = [end for end in ends if end not in changed]
        if kind == "whole":
            yield from _whole(config, changed, others)
            continue
        yield Finding(
            f"{listed(changed)} {kind}, and the base ties it to {shown(others[0])}: merging changes both",
            at=_place(config, changed[0]),
            help=_REMEDY,
            peft=peft,
        )


_REMEDY = "Train with `ensure_weight_tying=True`, or do not merge the adapter."
_RELOADED = ": merged, saved and loaded again the model has one matrix for both"


def _whole(config: Config, changed: tuple[str, ...], others: list[str]) -> Iterator[Finding]:
    """Ends that are saved whole: what is lost in a merged model before 0.19, and what is advice since."""
    at = _place(config, changed[0])
    if not others:
        message = f"{listed(changed)} are saved whole, and the base ties them{_RELOADED}"
        yield Finding(message, at=at, help="Merge with PEFT 0.19 or newer.", peft="<0.19")
        return
    message = (
        f"{listed(changed)} is saved whole, and {listed(others)}, which the base ties to it, keeps the base's weights"
    )
    yield Finding(message + _RELOADED, at=at, help=_REMEDY, peft="<0.19")
    yield Finding(message, at=at, help=_REMEDY, severity=Severity.INFO, peft=">=0.19")


def _ends(base: ModuleTree) -> tuple[str, ...]:
    """The modules that share the matrix of the input embeddings, those above them in the tree left out."""
    for group in base.tied:
        modules = [parameter.rpartition(".")[0] for parameter in group]
        if base.input_embeddings in modules:
            return tuple(m for m in modules if m in (base.input_embeddings, base.output_embeddings))
    return ()


def _split(lone: Alone, ends: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """What is done to which ends, unless all are treated alike; whole modules are told in any case."""
    if lone.error is not None or lone.forward is not None:
        return None
    whole = tuple(end for end in ends if end in lone.whole)
    if whole:
        return "whole", whole
    for kind, modules in (("is tuned", lone.tuned), ("has token rows", tuple(lone.tokens))):
        changed = tuple(end for end in ends if end in modules)
        if changed and len(changed) < len(ends):
            return kind, changed
    return None


def _place(config: Config, module: str) -> Place:
    for key in ("modules_to_save", "target_modules"):
        for i, entry in enumerate(config.get(key) if isinstance(config.get(key), list) else ()):
            if isinstance(entry, str) and entry and names_module(entry, module):
                return config.at(key, i)
    tokens = next((key for key in ("trainable_token_indices", "token_indices") if config.get(key)), None)
    return config.at(tokens or "target_modules")
