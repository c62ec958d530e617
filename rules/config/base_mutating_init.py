"""CFG150."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Adapter, Config, Finding, Severity, rule, shown
from adapterlint.peft.inits import LORA_GA, PISSA_NITER, mutating_init
from adapterlint.peft.weights_files import is_recipe


@rule(
    "CFG150",
    Severity.WARNING,
    since="0.1",
    bad=({"init_lora_weights": "pissa"}, {"init_lora_weights": "pissa_niter_16"}, {"init_lora_weights": "lora_ga"}),
    good=({"init_lora_weights": True}, {"init_lora_weights": "eva"}),
    source="peft/tuners/lora/layer.py, pissa_init, olora_init, loftq_init, lora_ga_init; "
    "peft/peft_model.py, _check_new_adapter_config",
    types=("LORA",),
)
def base_mutating_init(config: Config, adapter: Adapter) -> Iterator[Finding]:
    """The adapter was initialised by a method that changes the base weights, and was not converted.

    PiSSA, OLoRA and LoftQ take a part out of the base weights when layers are made, and do it again whenever the
    adapter is loaded, so the tensors only make sense on top of that.

    Loaded alone by PEFT, on the base and in the precision that it was trained on, a PiSSA or OLoRA adapter gives
    its trained output. Otherwise not: other adapters on the same model become wrong for good, `disable_adapter` and
    `unload` give a base with a hole in it, engines that add `B @ A` to the plain weights (vLLM, SGLang, llama.cpp)
    add it to the wrong ones, and `low_cpu_mem_usage=True` ends in a `RuntimeError`. The randomised `pissa_niter_N`
    takes out another part each time, and LoRA-GA takes out none on loading: both are wrong even alone. `eva`,
    `gaussian`, `orthogonal` and `mica` leave the base as it is.

    Convert the adapter while the model of the training is at hand: save the fresh adapter first, then call
    `save_pretrained(folder, path_initial_model_for_weight_conversion=fresh_folder)`. The result is a plain LoRA of
    twice the rank.
    """
    value = config.get("init_lora_weights")
    kind = mutating_init(value)
    if kind is not None and not is_recipe(adapter):
        yield Finding(
            f"`init_lora_weights` is {shown(value)}: {_CONSEQUENCES[kind]}",
            at=config.at("init_lora_weights"),
            help="Convert it to plain LoRA: `save_pretrained(..., path_initial_model_for_weight_conversion=...)` with "
            "the adapter as it was before training.",
        )


_MUTATES = (
    "changes the base weights each time the adapter is loaded, so it is right only alone and in PEFT, and every other "
    "adapter on the model becomes wrong"
)
_CONSEQUENCES = {
    "pissa": f"PiSSA {_MUTATES}",
    "olora": f"OLoRA {_MUTATES}",
    "loftq": f"LoftQ {_MUTATES}",
    PISSA_NITER: "randomised PiSSA takes another part out of the base weights each time the adapter is loaded, so "
    "its output differs from the trained one, and every other adapter on the model becomes wrong",
    LORA_GA: "LoRA-GA took a part out of the base weights in training, which loading does not do, so the output "
    "differs from the trained one",
}
