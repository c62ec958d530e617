"""Entries of the catalogue: prompts, and other methods that put no layer around the modules that they tune."""

from __future__ import annotations

from adapterlint.base.tree import Kind
from adapterlint.peft.methods.method import EVERY_KIND, Begins, Form, Method, Parameter, Together
from adapterlint.peft.methods.shapes import UNKNOWN, function, key

IDLE = Begins.IDLE

_ONE_PROMPT = "`base_model.set_adapter` raises `ValueError: No adapter loaded. Please load an adapter first.`"
_VIRTUAL, _DIM = key("num_virtual_tokens"), key("token_dim")
_ALL_VIRTUAL = _VIRTUAL * key("num_transformer_submodules")
# Where a config lacks sizes, PEFT takes them from that of the base; of a prefix `token_dim` is that of keys and values.
_TOKENS = Parameter("prompt_embeddings", (_ALL_VIRTUAL, _DIM))
_CACHE = Parameter("prompt_embeddings", (_VIRTUAL, key("num_layers") * 2 * _DIM))


def _prompt(name: str, *top: Parameter, since: str = "0.10") -> Method:
    return Method(
        name=name,
        since=since,
        top=top,
        together=Together.ONE,
        refusal=_ONE_PROMPT,
        merges=False,
        prompt_learning=True,
    )


PROMPT_TUNING = _prompt("PROMPT_TUNING", _TOKENS)
P_TUNING = _prompt("P_TUNING", _TOKENS)
_OF_CONTEXT = Parameter("prompt_embeddings", (function("length", len, key("cpt_token_ids")), _DIM))
CPT = _prompt("CPT", _OF_CONTEXT, since="0.14")
PREFIX_TUNING = _prompt("PREFIX_TUNING", _CACHE)
CARTRIDGE = _prompt("CARTRIDGE", _CACHE, since="0.19")
MULTITASK_PROMPT_TUNING = _prompt(
    "MULTITASK_PROMPT_TUNING",
    _TOKENS,
    Parameter("prefix_task_cols", (key("num_tasks"), _ALL_VIRTUAL, key("num_ranks"))),
    Parameter("prefix_task_rows", (key("num_tasks"), key("num_ranks"), _DIM)),
)

ADAPTION_PROMPT = Method(  # on the attention of the last `adapter_layers` layers, in the width of the model
    name="ADAPTION_PROMPT",
    prefix="adaption_prompt_",
    forms=(
        Form(
            on=(Kind.OTHER,),
            parameters=(
                Parameter("adaption_prompt", (1, key("adapter_len"), UNKNOWN)),
                Parameter("adaption_gate", (1,), begins=IDLE),
            ),
        ),
    ),
    together=Together.ONE,
    refusal="`base_model.set_adapter` raises `TypeError: unhashable type: 'list'`",
    merges=False,
    has_modules_to_save=False,
)

SHADOW = Method(  # a smaller copy of the model runs beside it, and is written into each of its layers
    name="SHADOW",
    since="0.21",
    prefix="shadow_",
    forms=(Form(on=EVERY_KIND, parameters=()),),
    together=Together.ONE,
    refusal="`base_model.set_adapter` raises `ValueError: ShadowPEFT requires exactly one active adapter`",
    merges=False,
)

XLORA = Method(  # mixes LoRA adapters, which stay in files of their own
    name="XLORA",
    since="0.12",
    prefix="xlora_",
    top=(
        Parameter("internal_xlora_classifier.layers.#.weight", (UNKNOWN, UNKNOWN), count=UNKNOWN),
        Parameter("internal_xlora_classifier.layers.#.bias", (UNKNOWN,), count=UNKNOWN),
    ),
    has_modules_to_save=False,
)
