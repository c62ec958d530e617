"""Entries of the catalogue: prompts, before the input or in the attention."""

from __future__ import annotations

from adapterlint.base.tree import Kind
from adapterlint.peft.methods.config_class import ConfigClass
from adapterlint.peft.methods.method import Method, Together
from adapterlint.peft.methods.parameter import OLDEST, Begins, Form, Parameter
from adapterlint.peft.methods.shapes import ALWAYS, UNKNOWN, function, key

IDLE = Begins.IDLE

_ONE_PROMPT = "`base_model.set_adapter` raises `ValueError: No adapter loaded. Please load an adapter first.`"
_VIRTUAL, _DIM = key("num_virtual_tokens"), key("token_dim")
_ALL_VIRTUAL = _VIRTUAL * key("num_transformer_submodules")
# Where a config lacks sizes, PEFT takes them from that of the base; of a prefix `token_dim` is that of keys and values.
_TOKENS = Parameter("prompt_embeddings", (_ALL_VIRTUAL, _DIM))
_SIZES, _SIZES_OF_CACHE = ConfigClass(unread=("num_layers",)), ConfigClass(unread=("token_dim",))
_CACHE = Parameter("prompt_embeddings", (_VIRTUAL, key("num_layers") * 2 * _DIM))


def _prompt(
    name: str,
    *top: Parameter,
    since: str = OLDEST,
    config: ConfigClass = _SIZES,
    keys_and_values: bool = False,
    counts_rows: bool = False,
    asks_for_task_ids: bool = False,
) -> Method:
    return Method(
        name=name,
        since=since,
        top=top,
        base_at="base_model",
        config=config,
        prompt_learning=True,
        keys_and_values=keys_and_values,
        names_adapter=False,
        counts_rows=counts_rows,
        asks_for_task_ids=asks_for_task_ids,
        together=Together.ONE,
        refusal=_ONE_PROMPT,
        merges=False,
    )


# Embeddings of virtual tokens before those of the input.
PROMPT_TUNING = _prompt("PROMPT_TUNING", _TOKENS)

# The same, made by a small network; a file has what it made.
P_TUNING = _prompt("P_TUNING", _TOKENS)

# Embeddings of an own text (`cpt_token_ids`), which are moved a little; PEFT takes all sizes from it and the base.
CPT = _prompt(
    "CPT",
    Parameter("prompt_embeddings", (function("length", len, key("cpt_token_ids")), _DIM)),
    since="0.14",
    config=ConfigClass(
        tasks_since="0.18",
        unread=("num_virtual_tokens",),
        cleared=("num_attention_heads", "num_layers", "num_transformer_submodules", "token_dim"),
    ),
)

# Keys and values of virtual tokens before those of each layer's attention.
PREFIX_TUNING = _prompt("PREFIX_TUNING", _CACHE, config=_SIZES_OF_CACHE, keys_and_values=True)

# The same, which begin as those of a text.
CARTRIDGE = _prompt("CARTRIDGE", _CACHE, since="0.19", config=_SIZES_OF_CACHE, keys_and_values=True, counts_rows=True)

# Embeddings of virtual tokens, times a matrix of low rank for each task.
MULTITASK_PROMPT_TUNING = _prompt(
    "MULTITASK_PROMPT_TUNING",
    _TOKENS,
    Parameter("prefix_task_cols", (key("num_tasks"), _ALL_VIRTUAL, key("num_ranks"))),
    Parameter("prefix_task_rows", (key("num_tasks"), key("num_ranks"), _DIM)),
    asks_for_task_ids=True,
)

# A prompt, as wide as the model, that the attention of the last `adapter_layers` layers reads through a gate.
ADAPTION_PROMPT = Method(
    name="ADAPTION_PROMPT",
    prefix="adaption_prompt_",
    all_begin="adaption_",  # there is a gate beside the prompt
    forms=(
        Form(
            on=(Kind.OTHER,),
            parameters=(
                Parameter("adaption_prompt", (1, key("adapter_len"), UNKNOWN)),
                Parameter("adaption_gate", (1,), begins=IDLE, idle_if=ALWAYS),
            ),
        ),
    ),
    matches_targets=False,  # the attention modules have that name, or one of the type of the base
    layers_only=False,
    names_adapter=False,
    together=Together.ONE,
    refusal="`base_model.set_adapter` raises `TypeError: unhashable type: 'list'`",
    activates_lists=False,
    merges=False,
)
