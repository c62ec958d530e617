"""Real adapters in the bases that they name: the rules that read a base call nothing ill that is not.

The sizes are those of the published `config.json`; each file that is told about was looked at. Where a folder has no
weights, the two factors of each linear layer that its `target_modules` names are made up.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from adapterlint.adapter import Adapter, load_adapter
from adapterlint.base import Base, Kind, load_base
from adapterlint.lint.engine import Engine
from adapterlint.lint.loader import load_rules
from adapterlint.peft.footprint import footprint_of
from adapterlint.severity import Severity
from adapterlint.sources.memory import MemoryFolder

pytestmark = pytest.mark.corpus

RULES = tuple(r for r in load_rules() if r.family in ("BAS", "FIT", "CFG", "TEN"))


def bert(architecture: str = "BertForMaskedLM", model_type: str = "bert", **sizes: int) -> dict[str, Any]:
    return {"architectures": [architecture], "model_type": model_type, "hidden_size": 768, "num_hidden_layers": 12,
            "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 30522, "type_vocab_size": 2,
            "max_position_embeddings": 512} | sizes  # fmt: skip


def distilbert(architecture: str = "DistilBertForMaskedLM", **more: Any) -> dict[str, Any]:
    return {"architectures": [architecture], "model_type": "distilbert", "dim": 768, "n_layers": 6, "n_heads": 12,
            "hidden_dim": 3072, "vocab_size": 30522} | more  # fmt: skip


def decoder(architecture: str, model_type: str, sizes: tuple[int, ...], *, tied: bool, **more: int) -> dict[str, Any]:
    hidden, layers, heads, shared, inner, rows = sizes
    return {"architectures": [architecture], "model_type": model_type, "hidden_size": hidden,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": shared,
            "intermediate_size": inner, "vocab_size": rows, "tie_word_embeddings": tied} | more  # fmt: skip


def llama(*sizes: int, tied: bool, head: int) -> dict[str, Any]:
    return decoder("LlamaForCausalLM", "llama", sizes, tied=tied, head_dim=head)


def t5(width: int, inner: int, layers: int, heads: int) -> dict[str, Any]:
    return {"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "d_model": width, "d_kv": 64,
            "d_ff": inner, "num_layers": layers, "num_decoder_layers": layers, "num_heads": heads, "vocab_size": 32128,
            "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}  # fmt: skip


CONFIGS: dict[str, dict[str, Any]] = {
    "./models/llama-3.2-3b-base": llama(3072, 28, 24, 8, 8192, 128256, tied=True, head=128),
    "bert-base-cased": bert(vocab_size=28996),
    "bert-base-uncased": bert(),
    "bigscience/bloomz-560m": {"architectures": ["BloomForCausalLM"], "model_type": "bloom", "hidden_size": 1024,
                               "n_layer": 24, "n_head": 16, "vocab_size": 250880},
    "cointegrated/LaBSE-en-ru": bert("BertForPreTraining", vocab_size=55083),
    "cyberagent/open-calm-1b": decoder("GPTNeoXForCausalLM", "gpt_neox", (2048, 24, 16, 16, 8192, 52096), tied=False),
    "distilbert-base-uncased": distilbert(),
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": distilbert(
        "DistilBertForSequenceClassification", id2label={"0": "NEGATIVE", "1": "POSITIVE"}),
    "google/flan-t5-base": t5(768, 2048, 12, 12),
    "google/flan-t5-small": t5(512, 1024, 8, 6),
    "google/gemma-2-2b-it": decoder(
        "Gemma2ForCausalLM", "gemma2", (2304, 26, 8, 4, 9216, 256000), tied=True, head_dim=256),
    "google/vit-base-patch16-224-in21k": {"architectures": ["ViTModel"], "model_type": "vit", "hidden_size": 768,
                                          "num_hidden_layers": 12, "num_attention_heads": 12,
                                          "intermediate_size": 3072, "image_size": 224, "patch_size": 16},
    "gpt2": {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12,
             "n_positions": 1024, "vocab_size": 50257},
    "Qwen/Qwen2.5-0.5B-Instruct": decoder("Qwen2ForCausalLM", "qwen2", (896, 24, 14, 2, 4864, 151936), tied=True),
    "Qwen/Qwen2.5-1.5B": decoder("Qwen2ForCausalLM", "qwen2", (1536, 28, 12, 2, 8960, 151936), tied=True),
    "Qwen/Qwen3-4B": decoder("Qwen3ForCausalLM", "qwen3", (2560, 36, 32, 8, 9728, 151936), tied=True, head_dim=128),
    "codellama/CodeLlama-34b-Instruct-hf": llama(8192, 48, 64, 8, 22016, 32000, tied=False, head=128),
    "facebook/opt-125m": {"architectures": ["OPTForCausalLM"], "model_type": "opt", "hidden_size": 768,
                          "word_embed_proj_dim": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                          "ffn_dim": 3072, "vocab_size": 50272},
    "facebook/opt-350m": {"architectures": ["OPTForCausalLM"], "model_type": "opt", "hidden_size": 1024,
                          "word_embed_proj_dim": 512, "num_hidden_layers": 24, "num_attention_heads": 16,
                          "ffn_dim": 4096, "vocab_size": 50272, "do_layer_norm_before": False},
    "google/flan-t5-large": t5(1024, 2816, 24, 16),
    "google/flan-t5-xl": t5(2048, 5120, 24, 32),
    "meta-llama/Meta-Llama-3.1-8B": llama(4096, 32, 32, 8, 14336, 128256, tied=False, head=128),
    "yahma/llama-7b-hf": llama(4096, 32, 32, 32, 11008, 32000, tied=False, head=128),
    "yahma/llama-13b-hf": llama(5120, 40, 40, 40, 13824, 32000, tied=False, head=128),
    "meta-llama/Llama-3.2-1B": llama(2048, 16, 32, 8, 8192, 128256, tied=True, head=64),
    "meta-llama/Meta-Llama-3.1-70B-Instruct": llama(8192, 80, 64, 8, 28672, 128256, tied=False, head=128),
    "openai/whisper-small": {"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper",
                             "d_model": 768, "encoder_layers": 12, "decoder_layers": 12, "encoder_attention_heads": 12,
                             "decoder_attention_heads": 12, "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072,
                             "vocab_size": 51865, "num_mel_bins": 80},
    "roberta-base": bert(
        "RobertaForMaskedLM", "roberta", vocab_size=50265, max_position_embeddings=514, type_vocab_size=1),
    "unsloth/meta-llama-3.1-8b-unsloth-bnb-4bit": llama(4096, 32, 32, 8, 14336, 128256, tied=False, head=128),
    "unsloth/qwen2.5-7b-instruct-unsloth-bnb-4bit": decoder(
        "Qwen2ForCausalLM", "qwen2", (3584, 28, 28, 4, 18944, 152064), tied=False),
}  # fmt: skip

TRUE = [
    # Trained on a class with a head, without a task type: the head is nowhere.
    ("task-head-lost", "*inil30__self_healing_dag/*"),
    ("task-head-lost", "*joshua-lossner__udacity-peft-finetuning/*"),
    ("task-head-lost", "*thiagoravelli__env-classifier/outputs/*"),
    # `query` and `value` are called otherwise in transformers 5.
    ("target-not-in-base", "*thanimadhu__Supervised_finetuning_ViT_LoRA/fine_tuned_model"),
    # A task with a head, and a file without one.
    ("module-to-save-incomplete", "*huggingface__peft/@history/3ccc225e/results_glue/adapter_ckpt"),
]


def named(corpus: Path) -> Iterator[tuple[str, Base, Path]]:
    for file in sorted(corpus.rglob("adapter_config.json")):
        try:
            values = json.loads(file.read_bytes())
        except ValueError:
            continue
        name = values.get("base_model_name_or_path") if isinstance(values, dict) else None
        if isinstance(name, str) and name in CONFIGS:
            base = load_base(MemoryFolder(name, {"config.json": json.dumps(CONFIGS[name]).encode()}))
            assert base is not None
            yield name, base, file.parent


def adapter_in(folder: Path, base: Base) -> Adapter | None:
    """An adapter, with weights that are made up where it has none: both factors of each linear target."""
    adapter = load_adapter(folder)
    config = adapter.config if adapter is not None else None
    if adapter is None or config is None or adapter.header is not None:
        return adapter
    targets, rank = config.strings("target_modules"), config.get("r")
    special = ("modules_to_save", "rank_pattern", "trainable_token_indices", "use_dora", "layers_to_transform")
    if config.peft_type != "LORA" or not targets or not isinstance(rank, int) or any(map(config.get, special)):
        return None
    header: dict[str, Any] = {}
    for path, node in base.tree("4.56.2").nodes.items():
        weight = node.parameters.get("weight")
        if node.kind is Kind.LINEAR and weight is not None and path.endswith(tuple(f".{t}" for t in targets)):
            for factor, shape in (("A", (rank, weight[1])), ("B", (weight[0], rank))):
                entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
                header[f"base_model.model.{path}.lora_{factor}.weight"] = entry
    offset = 0
    for entry in header.values():
        entry["data_offsets"] = [offset, offset := offset + 4 * entry["shape"][0] * entry["shape"][1]]
    text = json.dumps(header).encode()
    files = {
        "adapter_config.json": (folder / "adapter_config.json").read_bytes(),
        "adapter_model.safetensors.header": struct.pack("<Q", len(text)) + text,
    }
    return load_adapter(MemoryFolder(str(folder), files), weights="adapter_model.safetensors.header")


@pytest.mark.parametrize("release", ["0.18", "0.21"])
def test_a_base_adds_only_what_is_true(corpus: Path, release: str) -> None:
    seen, wrong = set(), []
    for name, base, folder in named(corpus):
        adapter = adapter_in(folder, base)
        if adapter is None:
            continue
        touched = footprint_of(adapter)
        if touched is None:
            continue
        engine = Engine(RULES, (release,))
        without = {(one.rule.name, one.finding.message) for one in engine.check_adapter(adapter, touched)}
        for one in engine.check_adapter(adapter, touched, base):
            more = (one.rule.name, one.finding.message) not in without
            if more and (one.finding.severity or one.rule.severity) is not Severity.INFO:
                known = any(one.rule.name == rule and fnmatch(adapter.path, path) for rule, path in TRUE)
                wrong += [] if known else [(adapter.path, one.rule.name, one.finding.message)]
        assert not engine.crashes
        seen.add(name)
    assert wrong == []
    assert seen == CONFIGS.keys()
