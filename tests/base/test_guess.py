"""Trees without the table: custom code, and no base at all."""

from __future__ import annotations

from base_folders import LLAMA, folder

from adapterlint.base import Kind, load_base, partial_tree

CUSTOM = {
    "backbone.wte.weight": (64, 16),
    "backbone.blocks.0.attn.qkv.weight": (48, 16),
    "backbone.blocks.0.attn.qkv.bias": (48,),
    "backbone.blocks.0.norm.weight": (16,),
    "backbone.blocks.1.attn.qkv.weight": (48, 16),
    "backbone.blocks.1.attn.qkv.bias": (48,),
    "backbone.blocks.1.norm.weight": (16,),
    "backbone.stem.weight": (16, 3, 2, 2),
}


def test_custom_code_gives_the_modules_of_its_tensors() -> None:
    base = load_base(folder({"model_type": "mine", "architectures": ["MineForCausalLM"]}, CUSTOM))
    assert base is not None
    tree = base.tree()
    assert {path: node.kind for path, node in tree.nodes.items()} == {
        "": Kind.CONTAINER,
        "backbone": Kind.CONTAINER,
        "backbone.wte": Kind.EMBEDDING,
        "backbone.blocks": Kind.LIST,
        "backbone.blocks.0": Kind.CONTAINER,
        "backbone.blocks.0.attn": Kind.CONTAINER,
        "backbone.blocks.0.attn.qkv": Kind.LINEAR,
        "backbone.blocks.0.norm": Kind.NORM,
        "backbone.blocks.1": Kind.CONTAINER,
        "backbone.blocks.1.attn": Kind.CONTAINER,
        "backbone.blocks.1.attn.qkv": Kind.LINEAR,
        "backbone.blocks.1.norm": Kind.NORM,
        "backbone.stem": Kind.CONV2D,
    }
    assert tree.nodes["backbone.blocks.1.attn.qkv"].parameters == {"weight": (48, 16), "bias": (48,)}
    assert not any(node.certain for node in tree.nodes.values())
    assert (tree.complete, tree.partial, tree.architecture) == (False, False, "MineForCausalLM")


def test_unknown_class_without_weights_is_nothing_but_incomplete() -> None:
    base = load_base(folder({"model_type": "mine", "architectures": ["MineForCausalLM"]}))
    assert base is not None
    tree = base.tree()
    assert list(tree.nodes) == [""]
    assert not tree.complete


def test_adapters_keys_make_a_partial_tree() -> None:
    tree = partial_tree([("model.layers.1.q_proj", {"weight": (16, 16)}), ("lm_head", {})], name="the adapters")
    assert list(tree.nodes) == ["", "model", "model.layers", "model.layers.1", "model.layers.1.q_proj", "lm_head"]
    assert tree.nodes["model.layers"].kind is Kind.LIST
    assert tree.nodes["lm_head"].kind is Kind.UNKNOWN
    assert tree.partial
    assert not tree.complete
    assert not any(node.certain for node in tree.nodes.values())


def test_known_class_needs_no_guess() -> None:
    base = load_base(folder(LLAMA))
    assert base is not None
    tree = base.tree()
    assert tree.complete
    assert all(node.certain for node in tree.nodes.values())
