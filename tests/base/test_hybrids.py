"""Models whose layers are of different kinds: the config tells them, and where it does not, the checkpoint does."""

from __future__ import annotations

from typing import Any

import pytest
from base_folders import LLAMA, folder, llama_tensors

from adapterlint.base import Base, Evidence, Kind, ModuleTree, load_base

HYBRIDS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("lfm2", "Lfm2ForCausalLM", {"layer_types": ["conv", "full_attention"]}, "conv", "self_attn"),
    ("bamba", "BambaForCausalLM", {"attn_layer_indices": [1]}, "mamba", "self_attn"),
    ("granitemoehybrid", "GraniteMoeHybridForCausalLM", {"layer_types": ["mamba", "attention"]}, "mamba", "self_attn"),
    ("zamba2", "Zamba2ForCausalLM", {"layers_block_type": ["mamba", "hybrid"]}, "mamba", "shared_transformer"),
]


def children(tree: ModuleTree, path: str) -> set[str]:
    return {p.removeprefix(f"{path}.").partition(".")[0] for p in tree.nodes if p.startswith(f"{path}.")}


@pytest.mark.parametrize("release", ["4.56.2", "5.23.0"])
@pytest.mark.parametrize(("model_type", "name", "values", "first", "second"), HYBRIDS, ids=[h[0] for h in HYBRIDS])
def test_config_alone_tells_kinds_of_layers(
    model_type: str, name: str, values: dict[str, Any], first: str, second: str, release: str
) -> None:
    """Under the names that release 4 has for them, which release 5 reads too."""
    config = {"model_type": model_type, "architectures": [name], "num_hidden_layers": 2, **values}
    tree = Base("x", Evidence(config, None)).tree(release)
    layers = [children(tree, f"model.layers.{i}") for i in range(2)]
    assert [(first in layer, second in layer) for layer in layers] == [(True, False), (False, True)]


@pytest.mark.parametrize("release", ["4.56.2", "5.23.0"])
def test_dense_granite_has_no_experts(release: str) -> None:
    config = {
        "model_type": "granitemoehybrid",
        "architectures": ["GraniteMoeHybridForCausalLM"],
        "num_hidden_layers": 1,
        "layer_types": ["attention"],
        "num_local_experts": 0,
    }
    tree = Base("x", Evidence(config, None)).tree(release)
    assert {"shared_mlp", "self_attn"} <= children(tree, "model.layers.0")
    assert "block_sparse_moe" not in children(tree, "model.layers.0")


def tensors(*without: int, extra: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Those of a Llama, some of its layers with others in the place of attention."""
    gone = tuple(f"model.layers.{i}.self_attn." for i in without)
    kept = {name: shape for name, shape in llama_tensors().items() if not name.startswith(gone)}
    return kept | {f"model.layers.{i}.{name}": shape for i in without for name, shape in extra.items()}


CONV = {"conv.in_proj.weight": (48, 16), "conv.conv.weight": (16, 1, 3)}


def test_layer_of_a_kind_that_the_table_lacks_is_what_the_checkpoint_shows() -> None:
    base = load_base(folder(LLAMA, tensors(0, extra=CONV)))
    assert base is not None
    tree = base.tree()
    assert "self_attn" not in children(tree, "model.layers.0")
    found = {p: (n.kind, n.certain) for p, n in tree.nodes.items() if p.startswith("model.layers.0.conv")}
    assert found == {
        "model.layers.0.conv": (Kind.CONTAINER, False),
        "model.layers.0.conv.in_proj": (Kind.LINEAR, False),
        "model.layers.0.conv.conv": (Kind.CONV1D, False),
    }
    assert tree.nodes["model.layers.0.conv.in_proj"].parameters == {"weight": (48, 16)}
    assert "conv" not in children(tree, "model.layers.1")
    assert tree.nodes["model.layers.1.self_attn.q_proj"].certain


def test_checkpoint_with_other_names_in_all_layers_is_not_taken_for_another_kind() -> None:
    """Names may differ for reasons of their own, such as an older release that wrote them."""
    base = load_base(folder(LLAMA, tensors(*range(LLAMA["num_hidden_layers"]), extra=CONV)))
    assert base is not None
    tree = base.tree()
    assert "self_attn" in children(tree, "model.layers.0")
    assert "conv" not in children(tree, "model.layers.0")


def test_dict_of_modules_has_the_names_that_the_checkpoint_has() -> None:
    """X-MOD has an adapter for each language, of which its config lists others than the default one does."""
    place = "roberta.encoder.layer.0.output.adapter_modules"
    linear = {"dense1.weight": (8, 16), "dense1.bias": (8,), "dense2.weight": (16, 8), "dense2.bias": (16,)}
    found = {f"{place}.de_DE.{name}": shape for name, shape in linear.items()}
    config = {"model_type": "xmod", "architectures": ["XmodForSequenceClassification"], "num_hidden_layers": 1}
    base = load_base(folder({**config, "hidden_size": 16, "languages": ["de_DE"]}, found))
    assert base is not None
    node = base.tree().nodes[f"{place}.de_DE.dense1"]
    assert (node.kind, node.parameters) == (Kind.LINEAR, {"weight": (8, 16), "bias": (8,)})


@pytest.mark.parametrize(("release", "value", "expected"), [
    ("4.56.2", None, True),
    ("4.56.2", False, False),
    ("5.23.0", False, False),
])  # fmt: skip
def test_release_4_ties_if_a_config_says_nothing(release: str, value: bool | None, expected: bool) -> None:
    config = {"model_type": "vipllava", "architectures": ["VipLlavaForConditionalGeneration"]}
    said = {} if value is None else {"tie_word_embeddings": value}
    assert Base("x", Evidence({**config, **said}, None)).tree(release).ties is expected


def test_what_runs_for_pictures_only_is_known() -> None:
    config = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]}
    assert Base("x", Evidence(config, None)).tree().sometimes == ("model.vision_tower", "model.multi_modal_projector")
    assert Base("x", Evidence(LLAMA, None)).tree().sometimes == ()


@pytest.mark.parametrize(
    ("parts", "towers"),
    [
        (("vision_config", "audio_config"), {"vision_tower", "embed_vision", "audio_tower", "embed_audio"}),
        (("vision_config",), {"vision_tower", "embed_vision"}),
        ((), set[str]()),
    ],
    ids=["all", "vision", "text"],
)
def test_towers_are_those_that_the_config_has(parts: tuple[str, ...], towers: set[str]) -> None:
    """The default config of Gemma 4 has none, that of every checkpoint some; a null stands for none."""
    inner = {part: {"num_hidden_layers": 1} if part in parts else None for part in ("vision_config", "audio_config")}
    config = {"model_type": "gemma4", "architectures": ["Gemma4ForConditionalGeneration"], **inner}
    tree = Base("x", Evidence(config, None)).tree("5.23.0")
    assert children(tree, "model") == {"language_model", *towers}
