"""What classes of transformers take and can do, as read from their sources."""

from __future__ import annotations

import pytest

from adapterlint.peft.calls import generates, is_only_read, measures, refuses

OLD, NEW = (4, 56), (5, 23)


@pytest.mark.parametrize("release", [OLD, NEW])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LlamaForCausalLM", True),
        ("BertGenerationDecoder", True),
        ("ReformerModelWithLMHead", True),
        ("WhisperForConditionalGeneration", True),
        ("LlamaModel", False),
        ("BertForSequenceClassification", False),
        ("MineForCausalLM", True),  # of a class that is not known its name tells
    ],
)
def test_classes_that_generate(name: str, expected: bool, release: tuple[int, int]) -> None:
    assert generates(release, name) is expected


def test_keywords_that_a_forward_pass_does_not_take() -> None:
    for keyword in ("input_ids", "attention_mask", "inputs_embeds", "labels", "output_attentions", "return_dict"):
        assert refuses(OLD, "MraForSequenceClassification", keyword) is (keyword == "output_attentions")
        assert not refuses(OLD, "BertForSequenceClassification", keyword)
        assert not refuses(NEW, "MraForSequenceClassification", keyword)
    assert refuses(OLD, "BertForSequenceClassification", "decoder_input_ids")
    assert not refuses(OLD, "BartForConditionalGeneration", "decoder_input_ids")
    assert refuses(NEW, "WhisperForConditionalGeneration", "input_ids")


@pytest.mark.parametrize("release", [OLD, NEW])
def test_modules_whose_weight_is_taken_without_calling_them(release: tuple[int, int]) -> None:
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):  # torch's attention gets the weights
        assert is_only_read(release, "WavLMAttention", name)
        assert not is_only_read(release, "WhisperAttention", name)
    assert is_only_read(release, "DebertaV2Encoder", "rel_embeddings")
    assert not is_only_read(release, "T5DenseActDense", "wo")  # which is asked for its data type, and called
    assert is_only_read(release, "MambaMixer", "dt_proj") is (release == NEW)


def test_embeddings_that_get_no_indices() -> None:
    assert measures(NEW, "BartEncoder", "embed_positions")
    assert not measures(NEW, "BartDecoder", "embed_positions")
    assert not measures(OLD, "BartEncoder", "embed_positions")
