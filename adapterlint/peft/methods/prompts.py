"""Entries of the catalogue: prompts, and other methods that put no layer around the modules that they tune."""

from __future__ import annotations

from adapterlint.base.tree import Kind
from adapterlint.peft.methods.config_class import LAYERS, ConfigClass
from adapterlint.peft.methods.method import EVERY_KIND, OLDEST, Begins, Form, Method, Parameter, Together
from adapterlint.peft.methods.shapes import ALWAYS, UNKNOWN, either, function, given, key, multiple, term

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
        config=config,
        base_at="base_model",
        names_adapter=False,
        counts_rows=counts_rows,
        asks_for_task_ids=asks_for_task_ids,
        top=top,
        together=Together.ONE,
        refusal=_ONE_PROMPT,
        merges=False,
        prompt_learning=True,
        keys_and_values=keys_and_values,
    )


PROMPT_TUNING = _prompt("PROMPT_TUNING", _TOKENS)
P_TUNING = _prompt("P_TUNING", _TOKENS)
_OF_CONTEXT = Parameter("prompt_embeddings", (function("length", len, key("cpt_token_ids")), _DIM))
_NO_SIZES = ("num_layers", "num_transformer_submodules", "num_virtual_tokens", "token_dim")
CPT = _prompt("CPT", _OF_CONTEXT, since="0.14", config=ConfigClass(tasks_since="0.18", unread=_NO_SIZES))
PREFIX_TUNING = _prompt("PREFIX_TUNING", _CACHE, config=_SIZES_OF_CACHE, keys_and_values=True)
CARTRIDGE = _prompt("CARTRIDGE", _CACHE, since="0.19", config=_SIZES_OF_CACHE, keys_and_values=True, counts_rows=True)
MULTITASK_PROMPT_TUNING = _prompt(
    "MULTITASK_PROMPT_TUNING",
    _TOKENS,
    Parameter("prefix_task_cols", (key("num_tasks"), _ALL_VIRTUAL, key("num_ranks"))),
    Parameter("prefix_task_rows", (key("num_tasks"), key("num_ranks"), _DIM)),
    asks_for_task_ids=True,
)

ADAPTION_PROMPT = Method(  # on the attention of the last `adapter_layers` layers, in the width of the model
    name="ADAPTION_PROMPT",
    prefix="adaption_prompt_",
    tensors="adaption_",  # there is a gate beside the prompt
    names_adapter=False,
    activates_lists=False,
    layers_only=False,
    matches_targets=False,  # the attention modules have that name, or one of the type of the base
    forms=(
        Form(
            on=(Kind.OTHER,),
            parameters=(
                Parameter("adaption_prompt", (1, key("adapter_len"), UNKNOWN)),
                Parameter("adaption_gate", (1,), begins=IDLE, idle_if=ALWAYS),
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
    saved_as="default",
    layers_only=False,
    layer="ShadowLayer",
    config=ConfigClass(beside_pattern=LAYERS, unread=("layers_to_transform",)),
    forms=(Form(on=EVERY_KIND, parameters=()),),
    together=Together.ONE,
    refusal="`base_model.set_adapter` raises `ValueError: ShadowPEFT requires exactly one active adapter`",
    merges=False,
)

_DEPTH, _EXPERTS = key("xlora_depth"), function("len", len, key("adapters"))
_EXPERTS_ON_LAYERS = multiple("layers of the experts * len(adapters)", _EXPERTS)
_MAX_DEPTH = 8  # of classifiers whose layers are compared; they have one or two
_WITH_DROPOUT = 3


def _classifier_layer(number: int, step: int) -> tuple[Parameter, Parameter]:
    """A linear layer of X-LoRA's classifier.

    Args:
        number: Which one of them it is.
        step: One layer is that many places behind another: activations stand between them, and dropouts if there are.
    """
    place = number * step
    dropout = given("xlora_dropout_p")
    there = either((dropout if step == _WITH_DROPOUT else ~dropout) & (number < _DEPTH), 1, 0)
    inputs = key("xlora_size") if number else key("hidden_size")
    last = either(given("layerwise_scalings"), _EXPERTS_ON_LAYERS, _EXPERTS)
    outputs = either(number + 1 < _DEPTH, key("xlora_size"), last)
    # Since 0.20 what has the number of an expert in its name is lost on saving.
    saved = ~(term(place) < _EXPERTS)
    name = f"internal_xlora_classifier.layers.{place}"
    return (
        Parameter(f"{name}.weight", (outputs, inputs), count=there, saved=saved),
        Parameter(f"{name}.bias", (outputs,), count=there, saved=saved),
    )


_STEPS = (2, _WITH_DROPOUT)
_CLASSIFIER = (one for step in _STEPS for number in range(_MAX_DEPTH) for one in _classifier_layer(number, step))
_DEEPER = (
    Parameter("internal_xlora_classifier.layers.#.weight", (UNKNOWN, UNKNOWN), count=UNKNOWN),
    Parameter("internal_xlora_classifier.layers.#.bias", (UNKNOWN,), count=UNKNOWN),
)

XLORA = Method(  # mixes LoRA adapters, which stay in files of their own
    name="XLORA",
    since="0.12",
    prefix="xlora_",
    names_adapter=False,
    layers_of="LORA",
    base_at="base_model.lora_model.model",
    layers_only=False,
    matches_targets=False,
    top=(*_CLASSIFIER, *_DEEPER),
    has_modules_to_save=False,
)
