"""Every error text that users report is recognised in any log, and leads to the rule that finds its cause."""

from __future__ import annotations

import textwrap

import pytest

from adapterlint.explain.known import KNOWN
from adapterlint.explain.recognise import MAX_TEXT, recognised
from adapterlint.lint.loader import load_rules

SIZES = "copying a param with shape torch.Size([{}]) from checkpoint, the shape in current model is torch.Size([{}])."
HEAD = "size mismatch for base_model.model.{}: " + SIZES

# What is said -> a rule that finds the cause; "" for what no rule finds.
TEXTS = {
    # Vocabulary
    HEAD.format("model.embed_tokens.modules_to_save.default.weight", "128320, 4096", "128256, 4096"): (
        "shape-differs-from-base"
    ),
    HEAD.format("model.embed_tokens.weight", "128320, 4096", "128256, 4096"): "shape-differs-from-base",
    HEAD.format("lm_head.weight", "32001, 4096", "32000, 4096"): "shape-differs-from-base",
    HEAD.format("model.embed_tokens.base_layer.weight", "32001, 4096", "32000, 4096"): "shape-differs-from-base",
    "[FATAL] vocab mismatch: tok=151717, emb=151936, cfg=151936": "token-out-of-range",
    # Nothing applied
    "UserWarning: Found missing adapter keys while loading the checkpoint: ['base_model.model.x.lora_A.weight']": (
        "missing-prefix"
    ),
    "model.layers.{0...27}.self_attn.q_proj.lora_A.weight | UNEXPECTED |": "tensors-reach-nothing",
    "model.layers.{0...27}.self_attn.*.lora_* UNEXPECTED": "tensors-reach-nothing",
    "language_model.layers... MISSING": "tensors-reach-nothing",
    "_orig_mod.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": "wrapper-prefix",
    "module.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": "wrapper-prefix",
    "base_model.model._fsdp_wrapped_module.model.layers.0.q_proj.lora_A.weight": "wrapper-prefix",
    "base_model.model.layers.0._checkpoint_wrapped_module.q_proj.lora_A.weight": "wrapper-prefix",
    "0/96 non-zero lora_B after reload": "wrapper-prefix",
    "lora_B delta exactly 0.0": "no-effect",
    # Empty
    HEAD.format("model.layers.0.self_attn.q_proj.lora_A.default.weight", "0", "16, 4096"): "zero-sized-tensor",
    # Auxiliary weights in engines
    "ValueError: vLLM only supports modules_to_save being None.": "",
    "ValueError: base_model.model.lm_head.weight is unsupported LoRA weight": "base-weights-in-adapter",
    "ValueError: base_model.model.lm_head.base_layer.weight is unsupported LoRA weight": "base-weights-in-adapter",
    "ERROR:lora-to-gguf:Unexpected name 'base_model.model.lm_head.weight': Not a lora_A or lora_B tensor": (
        "base-weights-in-adapter"
    ),
    "Error: unrecognized tensor base_model.model.lm_head.lora_A.weight": "base-weights-in-adapter",
    # Tied embeddings
    "Model has `tie_word_embeddings=True` and a tied layer is part of the adapter, but no implementation exists to tie "
    "the adapters. This can lead to complications": "tied-embeddings-split",
    "Model has tie_word_embeddings=True and a tied layer is part of the adapter, but ensure_weight_tying is not set to "
    "True.": "tied-embeddings-split",
    "it keeps repeating the same token infinitely": "tied-embeddings-split",
    # Several adapters
    "ValueError: Only one adapter can be set at a time for ModulesToSaveWrapper(...), got 2": "auxiliary-overlap",
    "ValueError: Only one adapter can be set at a time for TrainableTokensWrapper(...), got 2": "token-rows-disjoint",
    "ValueError: Only one adapter can be set at a time for modules_to_save": "auxiliary-overlap",
    "ValueError: Cannot add weighted adapters if they target the same module with modules_to_save, but found 2 such "
    "instance(s).": "auxiliary-overlap",
    "ValueError: All adapters must have the same r value when using combination_type linear, ties, dare_ties or "
    "dare_linear.": "",
    "ValueError: Token indices of adapter fr are already defined and would result in undefined merging behavior. Only "
    "disjunct token indices are currently supported.": "token-overlap",
    "ValueError: add_weighted_adapter does not support targeting nn.Parameter (problematic adapter 'de')": "",
    "weights shape mismatch merging v1 and v2, different dims?": "foreign-format",
    "RuntimeError: Hot swapping the adapter did not succeed, unexpected keys found: base_model.model.x": "",
    "KeyError: 'base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta'": (
        "tokens-block-later-adapter"
    ),
    # Releases
    "TypeError: LoraConfig.__init__() got an unexpected keyword argument 'eva_config'": "key-not-in-release",
    # Targets
    "ValueError: Target modules {'q_proj', 'v_proj'} not found in the base model. Please check the target modules and "
    "try again.": "target-not-in-base",
    # Folders
    "ValueError: Can't find 'adapter_config.json' at 'adapters/de'": "missing-config",
    "OSError: adapters/de does not appear to have a file named config.json": "missing-config",
    "ValueError: Can't find config.json at 'adapters/de'": "missing-config",
    # Heads
    HEAD.format("score.modules_to_save.default.weight", "1, 5120", "2, 5120"): "shape-differs-from-base",
    # Base models
    "OSError: None is not a local folder and is not a valid model identifier": "base-model-missing",
    "Repository Not Found for url: https://huggingface.co/None/resolve/main/config.json.": "base-model-missing",
    "Adapter '/data/llama2-lora' is not compatible with model '/data/Llama-2-7b-chat-hf'": "base-model-local-path",
    '400 Client Error: "base_model" with value "/home/me/llama" is not valid. Use a model id': "card-base-path",
    # Size
    "UserWarning: Setting `save_embedding_layers` to `True` as embedding layers found in `target_modules`.": (
        "base-weights-in-adapter"
    ),
    "Setting save_embedding_layers to True as the embedding layer has been resized during finetuning.": (
        "base-weights-in-adapter"
    ),
    # Files
    "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge": "lfs-pointer",
    "safetensors_rust.SafetensorError: Error while deserializing header: InvalidHeader": "invalid-header",
    "SafetensorError: Error while deserializing header: MetadataIncompleteBuffer": "truncated-data",
    "Error while deserializing header: invalid JSON in header: EOF while parsing a value at line 1 column 0": (
        "invalid-header"
    ),
    "RuntimeError: Unsloth: Your repo has a LoRA adapter and a base model. You have 2 files config.json and "
    "adapter_config.json.": "model-beside-adapter",
    # Experts
    "ValueError: LORA only supports one thing: only one LoRA adapter per model with `target_parameters` is allowed.": (
        "loading-refused"
    ),
    HEAD.format("model.layers.0.mlp.experts.base_layer.lora_A.default.weight", "64, 16", "8, 16"): (
        "shape-differs-from-base"
    ),
    # Values
    "The output tensors do not match for key base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": "",
    "ValueError: NaNs detected in the merged weights. The adapter default seems to be broken": "",
    "modules.devices.NansException: A tensor with all NaNs was produced in Unet.": "",
    # Limits
    "ValueError: LoRA rank 64 is greater than max_lora_rank 16.": "",
    "ValueError: max_lora_rank (128) must be one of (8, 16, 32, 64).": "",
    "Assertion failed: low_rank must be smaller than mMaxLowRank (64)": "",
    # Names
    "ValueError: Adapter name 'lora' should not be contained in the prefix 'lora_'": "adapter-name-collides",
    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.default.weight": "adapter-name-in-key",
    "Unexpected tensor name: base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight": (
        "adapter-name-in-key"
    ),
    # DoRA
    "ValueError: base_model.model.x.q_proj.lora_magnitude_vector is unsupported LoRA weight": "dora-mismatch",
    "ValueError: vLLM does not yet support DoRA.": "dora-mismatch",
    "the result matched neither the base model nor the fine-tune": "dora-mismatch",
    "ValueError: Failed to load de because LoRA serving currently doesn't support adapters that add tokens to the "
    "vocabulary": "",
    "ValueError: Failed to load de because LoRA serving currently doesn't support DoRA adapters": "dora-mismatch",
    "LoRA adapter de with rank 64 is incompatible with the current LoRA memory pool configuration. Please ensure": "",
    # Safety
    "ValueError: The auto mapping wants to import 'chronos.chronos2.model' which is not in the import allowlist.": (
        "config-imports-code"
    ),
    # Engines and formats
    "vLLM currently only supports adding LoRA to language model, visual.blocks.31.mlp.up_proj will be ignored.": "",
    "AttributeError: 'SimpleNamespace' object has no attribute 'num_layers'": "foreign-dialect-keys",
    'keyNotFound "num_layers"': "foreign-format",
    'unhandledKeys(path: [], modules: ["Model"], keys: ["base_model"])': "foreign-format",
    "Error: unsupported content type: unknown": "lfs-pointer",
    "Error: unsupported architecture": "misnamed-weights",
    "No LoRA keys associated to SD3Transformer2DModel found with the prefix='transformer'.": "foreign-format",
    # Values of configs
    "ValueError: `num_samples` must be greater than 0.": "refused-by-config",
}


@pytest.mark.parametrize(("text", "rule"), TEXTS.items())
def test_a_text_leads_to_its_rule(text: str, rule: str) -> None:
    found = recognised(text)
    assert len(found) == 1, [known.texts[0] for known in found]
    assert rule in found[0].rules if rule else found[0].rules == ()


TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/app/serve.py", line 31, in <module>
    model = PeftModel.from_pretrained(base, folder)
  File "/usr/lib/python3/peft/peft_model.py", line 586, in from_pretrained
    load_result = model.load_adapter(model_id, adapter_name, is_trainable=is_trainable)
{}
"""


@pytest.mark.parametrize(("text", "rule"), TEXTS.items())
@pytest.mark.parametrize("dress", ["long", "coloured", "wrapped", "ranks", "rich", "json", "crlf", "service"])
def test_so_does_the_text_in_the_dress_of_a_log(text: str, rule: str, dress: str) -> None:
    trace = TRACEBACK.format(text)
    wrapped = [piece for line in trace.splitlines() for piece in (textwrap.wrap(line, 60) or [""])]
    logs = {
        "long": "INFO 09-12 10:00:00 engine ready\n" * 5000 + trace + "INFO done\n" * 5000,
        "coloured": "".join(f"\x1b[1;31m{line}\x1b[0m\n" for line in trace.splitlines()).replace(
            " ", " \x1b[2m\x1b[0m"
        ),
        "wrapped": "\n".join(line[i : i + 37] for line in trace.splitlines() for i in range(0, len(line), 37)),
        "ranks": "\n".join(f"[rank0]: {line}" for line in wrapped),
        "rich": "\n".join(f"\u2502 {line:<62} \u2502" for line in wrapped),
        "json": '{"level": "error", "exc": "' + trace.replace('"', '\\"').replace("\n", "\\n") + '"}',
        "crlf": trace.replace("\n", "\r\n"),
        "service": "\n".join(f"(EngineCore_0 pid=77) ERROR 09-12 10:00:00 [core.py:632] {line}" for line in wrapped),
    }
    assert [known.rules for known in recognised(logs[dress])] == [known.rules for known in recognised(text)]


def test_a_log_without_errors_says_nothing() -> None:
    calm = (
        "INFO 09-12 10:00:00 loaded adapter de (rank 16)\nstep 10 loss 0.3\nCould not reach the proxy, trying again\n"
    )
    assert recognised(calm * 100) == []
    assert recognised("") == []
    assert recognised("Traceback (most recent call last):\nValueError: something else\n") == []


def test_the_line_of_code_that_raises_is_not_taken_for_another_error() -> None:
    code = 'msg = f"Only one adapter can be set at a time for {self}, got {len(adapter_names_in_module)}"'
    said = "ValueError: Only one adapter can be set at a time for TrainableTokensWrapper(\n  (token_adapter)\n), got 2"
    assert [known.rules[0] for known in recognised(f"{code}\n{said}")] == ["token-overlap"]


def test_several_errors_are_each_told_once() -> None:
    both = "\n".join(
        3 * ["Error while deserializing header: HeaderTooLarge", "Can't find 'adapter_config.json' at 'a'"]
    )
    assert [known.rules[0] for known in recognised(both)] == ["missing-config", "lfs-pointer"]


def test_a_general_text_beside_a_special_one_is_told_too() -> None:
    special = HEAD.format("lm_head.weight", "32001, 64", "32000, 64")
    general = HEAD.format("model.layers.0.self_attn.q_proj.lora_A.default.weight", "8, 64", "16, 64")
    assert [known.rules[0] for known in recognised(f"{general}\n{special}")] == [
        "shape-differs-from-base",
        "size-mismatch",
    ]


@pytest.mark.parametrize(
    "piece", ["[", "\x1b]", "\x1b[", "(pid=", "Target module ", "size mismatch for a", "2025-01-01 ", "…", "\\"]
)
def test_hostile_text_costs_seconds_at_most(piece: str) -> None:
    import time

    start = time.process_time()
    recognised(piece * (MAX_TEXT // len(piece)))
    assert time.process_time() - start < 10


def test_every_rule_that_is_named_exists() -> None:
    names = {rule.name for rule in load_rules()}
    assert [(known.texts[0], rule) for known in KNOWN for rule in known.rules if rule not in names] == []


def test_every_entry_says_what_to_do_in_one_line() -> None:
    for known in KNOWN:
        for sentence in (known.means, known.remedy):
            assert sentence
            assert sentence.isprintable()
            assert not sentence.endswith(".")
