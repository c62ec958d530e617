"""Which class stands for a base, and what tasks and other checkpoints make of it."""

from __future__ import annotations

from typing import Any

import pytest
from base_folders import LLAMA, llama_tensors

from adapterlint.base import Base, Evidence


def base(config: dict[str, Any], tensors: dict[str, Any] | None = None) -> Base:
    return Base("base", Evidence({**LLAMA, **config}, tensors))


@pytest.mark.parametrize(
    ("task", "architecture", "head"),
    [
        (None, "LlamaForCausalLM", "lm_head"),
        ("CAUSAL_LM", "LlamaForCausalLM", "lm_head"),
        ("SEQ_CLS", "LlamaForSequenceClassification", "score"),
        ("TOKEN_CLS", "LlamaForTokenClassification", "score"),
        ("QUESTION_ANS", "LlamaForQuestionAnswering", "qa_outputs"),
        ("SEQ_2_SEQ_LM", "LlamaForCausalLM", "lm_head"),  # there is none for that task
    ],
)
def test_task_picks_the_class(task: str | None, architecture: str, head: str) -> None:
    tree = base({}).tree(task_type=task)
    assert (tree.architecture, list(tree.nodes)[-1]) == (architecture, head)


def test_head_that_the_checkpoint_lacks_has_the_shape_of_the_labels() -> None:
    labels = {"id2label": {"0": "a", "1": "b", "2": "c"}}
    tree = base(labels, llama_tensors()).tree(task_type="SEQ_CLS")
    assert tree.nodes["score"].parameters == {"weight": (3, 16)}


def test_without_architectures_the_model_type_says_the_class() -> None:
    assert base({"architectures": None}).tree().architecture == "LlamaForCausalLM"
    assert Base("base", Evidence({"model_type": "bert"}, None)).tree().architecture == "BertLMHeadModel"
    assert Base("base", Evidence({"model_type": "vit"}, None)).tree().architecture == "ViTModel"


def test_base_checkpoint_fits_a_class_with_a_head() -> None:
    inner = {name.removeprefix("model."): shape for name, shape in llama_tensors(head=False).items()}
    inner["embed_tokens.weight"] = (70, 16)  # more rows than the config says
    tree = base({}, inner).tree()
    assert tree.nodes["model.embed_tokens"].parameters == {"weight": (70, 16)}


def test_tied_head_has_the_rows_of_the_checkpoint() -> None:
    tensors = llama_tensors(head=False) | {"model.embed_tokens.weight": (70, 16)}
    tree = base({"tie_word_embeddings": True}, tensors).tree()
    assert tree.tied == (("model.embed_tokens.weight", "lm_head.weight"),)
    assert tree.nodes["lm_head"].parameters == {"weight": (70, 16)}


def test_two_tensors_are_not_tied_by_release_5() -> None:
    """`tie_weights` leaves them apart if they differ, and a safetensors file has one of them if they do not."""
    both = base({"tie_word_embeddings": True}, llama_tensors())
    assert both.tree("5.23.0").tied == ()
    assert both.tree("4.56.2").tied == (("model.embed_tokens.weight", "lm_head.weight"),)


def test_pickle_lists_a_tied_tensor_twice() -> None:
    pickled = Base("base", Evidence({**LLAMA, "tie_word_embeddings": True}, llama_tensors(), pickled=True))
    assert pickled.tree("5.23.0").tied == (("model.embed_tokens.weight", "lm_head.weight"),)


def test_value_that_the_config_leaves_out_follows_from_the_others() -> None:
    """`num_key_value_heads` is `num_attention_heads` unless the config says otherwise."""
    config = {k: v for k, v in LLAMA.items() if k != "num_key_value_heads"}
    tree = Base("base", Evidence({**config, "num_attention_heads": 4}, None)).tree()
    assert tree.nodes["model.layers.0.self_attn.k_proj"].parameters == {"weight": (16, 16)}


def test_quantised_weights_have_the_shapes_of_the_config() -> None:
    tensors = {**llama_tensors(), "model.layers.0.self_attn.q_proj.weight": (128, 1)}
    tree = base({"quantization_config": {"quant_method": "bitsandbytes"}}, tensors).tree()
    assert tree.nodes["model.layers.0.self_attn.q_proj"].parameters == {"weight": (16, 16)}


def test_layers_beyond_the_config_are_not_built() -> None:
    """Transformers leaves out, with a warning, what the checkpoint has too much."""
    tree = base({"num_hidden_layers": 1}, llama_tensors(2)).tree()
    assert "model.layers.1" not in tree.nodes
    assert tree.complete


def test_layers_that_the_config_does_not_count_are_those_of_the_checkpoint() -> None:
    config = {k: v for k, v in LLAMA.items() if k != "num_hidden_layers"}
    tree = Base("base", Evidence(config, llama_tensors(3))).tree()
    assert [p for p in tree.nodes if p.startswith("model.layers.") and p.count(".") == 2] == [
        "model.layers.0", "model.layers.1", "model.layers.2"
    ]  # fmt: skip
