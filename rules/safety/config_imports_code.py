"""SEC102."""

from __future__ import annotations

from collections.abc import Iterator

from adapterlint import Config, Finding, Severity, rule, shown

# What AutoPeftModel imports without asking (auto.py, get_default_import_allowlist, since 0.20), and PEFT itself.
_ALLOWED = ("diffusers", "lerobot", "transformers", "peft")


@rule(
    "SEC102",
    Severity.ERROR,
    since="0.1",
    bad=(
        {"megatron_config": {"tensor_model_parallel_size": 1}, "megatron_core": "helpers.core"},
        {
            "task_type": None,
            "auto_mapping": {"base_model_class": "TinyModel", "parent_library": "custom.modeling_tiny"},
        },
    ),
    good=(
        {"megatron_core": "megatron.core", "megatron_config": None},
        {
            "task_type": None,
            "auto_mapping": {
                "base_model_class": "LlamaModel",
                "parent_library": "transformers.models.llama.modeling_llama",
            },
        },
    ),
    source="peft/tuners/lora/tp_layer.py, dispatch_megatron; peft/auto.py; https://github.com/huggingface/peft/issues/3085",
)
def config_imports_code(config: Config) -> Iterator[Finding]:
    """The config names a module that PEFT would import.

    A config is data from a stranger, yet some of its fields are names of Python modules, and importing a module runs
    it:

    - LoRA's `megatron_core`, if `megatron_config` is not empty. Up to 0.19 plain `PeftModel.from_pretrained` imports
      any module of that name; since 0.20 it raises `ValueError` unless the name begins with `megatron.`. An error.
    - `auto_mapping.parent_library`, if `task_type` is null, in `AutoPeftModel*.from_pretrained` only. Up to 0.19 any
      module is imported; since 0.20 `ValueError` outside of transformers, diffusers and lerobot, unless it is named in
      `import_allowlist`. PEFT writes this field itself for a base of another library, so this is a note.
    - `tokenizer_kwargs.trust_remote_code` of prompt tuning with `prompt_tuning_init: "TEXT"`, up to 0.17, when a new
      prompt is made from the config (not when the adapter is loaded): it runs code of the tokenizer's repository. A
      warning.

    Look at where the name comes from before loading, or remove the field: none of them is needed to load an adapter
    into a base that you have loaded yourself.
    """
    core = config.get("megatron_core")
    used = config.peft_type == "LORA" and config.get("megatron_config") and isinstance(core, str)
    if used and not core.startswith("megatron."):
        yield Finding(
            f"Loading imports {shown(core)} as Megatron's core up to PEFT 0.19, and raises since 0.20",
            at=config.at("megatron_core"),
            help="Set `megatron_config` to null, unless the base is a Megatron model; then name `megatron.core`.",
        )
    library = config.mapping("auto_mapping").get("parent_library")
    if config.get("task_type") is None and isinstance(library, str) and library.partition(".")[0] not in _ALLOWED:
        yield Finding(
            f"`AutoPeftModel` imports {shown(library)} up to PEFT 0.19, and only from an `import_allowlist` since 0.20",
            at=config.at("auto_mapping", "parent_library"),
            help="Load the base model yourself and use `PeftModel.from_pretrained`, or set `task_type`.",
            severity=Severity.INFO,
        )
    trusts = config.mapping("tokenizer_kwargs").get("trust_remote_code")
    if config.peft_type == "PROMPT_TUNING" and trusts and config.get("prompt_tuning_init") == "TEXT":
        yield Finding(
            "A new prompt made from this config runs the code of the tokenizer's repository",
            at=config.at("tokenizer_kwargs", "trust_remote_code"),
            help="Remove `trust_remote_code`.",
            severity=Severity.WARNING,
            peft="<0.18",
        )
