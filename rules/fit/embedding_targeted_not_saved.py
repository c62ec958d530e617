"""FIT109."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapterlint import AdapterSimulation, Config, Finding, Footprint, ModuleTree, Patch, Severity, listed, rule
from adapterlint.lint.against_base import is_known, unfilled
from adapterlint.lint.example import HIDDEN, RANK, VOCABULARY
from adapterlint.peft.matching import MAX_TARGETS, Targets, idle_entries, names_module

_FACTOR = "base_model.model.model.embed_tokens.lora_embedding_"


@rule(
    "FIT109",
    Severity.WARNING,
    since="0.1",
    bad=(
        {"target_modules": ["q_proj", "v_proj", "embed_tokens"]},
        {"target_modules": ["q_proj", "v_proj", "model.embed_tokens", "lm_head"]},
    ),
    good=(
        {"target_modules": ["q_proj", "v_proj", "wte"]},
        Patch(
            {"target_modules": ["q_proj", "v_proj", "embed_tokens"]},
            {f"{_FACTOR}A": ("F32", (RANK, VOCABULARY)), f"{_FACTOR}B": ("F32", (HIDDEN, RANK))},
        ),
    ),
    source="https://github.com/unslothai/unsloth/issues/9326; peft/utils/save_and_load.py, save_embedding_layers",
)
def embedding_targeted_not_saved(
    config: Config, footprint: Footprint, base: ModuleTree | None, simulation: AdapterSimulation | None
) -> Iterator[Finding]:
    """`target_modules` names the embeddings or the head, but the file has nothing of them.

    Either they were never trained, although the config says so (some training frameworks take them out of the targets
    without a word), or the tensors were lost. PEFT builds a layer for them on loading that changes nothing, and
    `PeftModel.from_pretrained` warns of missing adapter keys. Without the base it is only told if the other modules of
    the file are called as in architectures whose embeddings are called so.

    Look into the training: if the embeddings were to be trained, they are not in the adapter. Else take the entry out.
    """
    entries = [e for e in config.strings("target_modules") if e.rpartition(".")[2] in _BLOCKS]
    if not entries or len(entries) > MAX_TARGETS or not footprint.tuned or footprint.foreign:
        return
    idle = [e for e in idle_entries(entries, footprint.tuned) if not _is_there(e, footprint)]
    if not idle or len(footprint.untargeted) == len(footprint.tuned):
        return
    if base is not None and simulation is not None and is_known(base):
        built = {module for lone in simulation.alone.values() for module in unfilled(lone, footprint, base)}
        idle = [e for e in idle if any(names_module(e, module) for module in built)]
    else:
        idle = _likely(idle, config, footprint)
    if idle:
        yield Finding(
            f"`target_modules` names {listed(idle)}, but the file has nothing of them",
            at=config.at("target_modules", config.get("target_modules").index(idle[0])),
            help="Find out whether they were trained: if so, the tensors are lost, else take the entry out.",
        )


def _likely(idle: list[str], config: Config, footprint: Footprint) -> list[str]:
    """Those that the base has, to judge by what the blocks in the file are called."""
    block, targets = next(iter(footprint.tuned)), Targets(config)
    likely = [e for e in idle if _BLOCKS[e.rpartition(".")[2]].match(block) and targets.match(f".{e}")]
    if config.get("task_type") != "CAUSAL_LM":
        likely = [e for e in likely if not e.endswith("lm_head")]  # other classes have none
    return likely


# An embedding -> what the blocks of bases that have one are called.
_LLAMA = re.compile(r"model\.(language_model\.|decoder\.)?layers\.\d+\.")
_BLOCKS = {
    "embed_tokens": _LLAMA,
    "lm_head": _LLAMA,
    "wte": re.compile(r"transformer\.h\.\d+\.(attn|mlp)\."),
    "word_embeddings": re.compile(r"(transformer\.h|\w+\.encoder\.layer)\.\d+\."),
}


def _is_there(entry: str, footprint: Footprint) -> bool:
    modules = (*footprint.modules_to_save, *footprint.trainable_tokens, *footprint.plain)
    return any(names_module(entry, module) for module in modules)
