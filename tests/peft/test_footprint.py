"""What an adapter touches, against what real PEFT did with it (`singles.jsonl.gz`), and by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from adapterlint.adapter import Adapter, load_adapter
from adapterlint.lint.example import DROP, HIDDEN, VOCABULARY, Patch, safetensors_file
from adapterlint.peft.footprint import Footprint, footprint
from adapterlint.sources.memory import MemoryFolder

SINGLES = [
    json.loads(line) for line in gzip.decompress(Path(__file__).with_name("singles.jsonl.gz").read_bytes()).splitlines()
]
LOADED = [one for one in SINGLES if one["truth"]["error"] is None]
SAVED = [one for one in LOADED if one["damage"] is None]
MATRIX = ("F32", (VOCABULARY, HIDDEN))
PREFIX = "base_model.model."


def adapter(recorded: dict[str, Any]) -> Adapter:
    tensors = {name: (dtype, tuple(shape)) for name, (dtype, shape) in recorded["tensors"].items()}
    files = {"adapter_config.json": json.dumps(recorded["config"]).encode()}
    files["adapter_model.safetensors"] = safetensors_file(tensors)
    made = load_adapter(MemoryFolder(recorded["name"], files, {}))
    assert made is not None
    return made


def touched(one: Adapter | Patch | dict[str, Any]) -> Footprint:
    made = one.adapter() if isinstance(one, Patch) else adapter(one) if isinstance(one, dict) else one
    assert made.config is not None
    assert made.header is not None
    found = footprint(made.config, made.header)
    assert found is not None
    return found


def label(recorded: dict[str, Any]) -> str:
    return f"{recorded['name']}-{recorded['damage'] or 'saved'}"


def without_wrappers(path: str) -> str:
    return path.replace(".token_adapter", "").replace(".base_layer", "")


@pytest.mark.parametrize("recorded", SAVED, ids=label)
def test_what_peft_saved_it_loads_again_as_the_footprint_says(recorded: dict[str, Any]) -> None:
    found, truth = touched(recorded), recorded["truth"]
    # Prompt learning tunes no module; every other method has tensors for each of its modules.
    assert set(found.tuned) == {without_wrappers(path) for path in truth["tuned"]}
    assert set(found.modules_to_save) == {without_wrappers(path) for path in truth["modules_to_save"]}
    tokens = {module: list(rows.indices or ()) for module, rows in found.trainable_tokens.items()}
    tied = {module: indices for module, indices in truth["trainable_tokens"].items() if module not in tokens}
    assert tokens == {module: indices for module, indices in truth["trainable_tokens"].items() if module not in tied}
    assert all(indices in tokens.values() for indices in tied.values())  # tied modules share the rows of another
    assert not found.untargeted
    assert sorted(found.unexpected) == truth["unexpected"]


@pytest.mark.parametrize("recorded", LOADED, ids=label)
def test_what_reaches_nothing_is_told(recorded: dict[str, Any]) -> None:
    found = touched(recorded)
    dropped = {found.names[module, parameter] for module in found.untargeted for parameter in found.tuned[module]}
    told = dropped | set(found.unexpected)
    truth = set(recorded["truth"]["unexpected"])
    assert told <= truth
    if recorded["damage"] not in ("dora-flag", "lora-bias-flag", "rank", "rank-missing"):  # where it takes more to tell
        # Without the base it is not known whether it has what is named like its own.
        assert truth - told <= {found.names[module, p] for module, tensors in found.plain.items() for p in tensors}


def test_no_base_is_needed_to_see_which_tensors_are_the_base_s_own() -> None:
    plain = {f"{PREFIX}lm_head.weight": MATRIX, f"{PREFIX}model.norm.weight": ("F32", (HIDDEN,))}
    found = touched(Patch({"modules_to_save": ["lm_head"]}, plain))
    assert found.modules_to_save == {"lm_head": ("lm_head",)}
    assert found.overwrites == (f"{PREFIX}model.norm.weight",)


@pytest.mark.parametrize(
    ("targets", "name", "reaches"),
    [
        (["embed_tokens"], "model.embed_tokens.base_layer.weight", True),
        (["embed_tokens"], "model.embed_tokens.weight", False),  # it has moved into the layer
        (["q_proj"], "model.embed_tokens.weight", True),
        (["q_proj"], "model.embed_tokens.base_layer.weight", False),
        ("all-linear", "model.embed_tokens.base_layer.weight", True),  # undecided
    ],
)
def test_a_weight_of_the_base_has_to_be_where_the_config_wraps_it(targets: Any, name: str, reaches: bool) -> None:
    factors = {f"{PREFIX}model.embed_tokens.lora_embedding_{f}": ("F32", (8, 16)) for f in "AB"}
    found = touched(Patch({"target_modules": targets}, {"*": DROP, **factors, PREFIX + name: MATRIX}))
    assert ((PREFIX + name) in found.overwrites) is reaches
    assert ((PREFIX + name) in found.unexpected) is not reaches


def test_the_copies_of_a_whole_module_are_the_base_s_own_and_nobody_s() -> None:
    copies = {f"{PREFIX}lm_head.{copy}weight": MATRIX for copy in ("", "original_module.", "modules_to_save.")}
    found = touched(Patch({"modules_to_save": ["lm_head"]}, copies))
    assert found.modules_to_save == {"lm_head": ("lm_head",)}
    assert found.overwrites == (f"{PREFIX}lm_head.original_module.weight",)
    assert found.unexpected == (f"{PREFIX}lm_head.modules_to_save.weight",)


def test_parameters_of_another_method_are_nothing_of_the_base() -> None:
    found = touched(Patch({}, {f"{PREFIX}model.layers.0.mlp.up_proj.hada_w1_a": ("F32", (8, 16))}))
    assert found.overwrites == ()
    assert found.unexpected == (f"{PREFIX}model.layers.0.mlp.up_proj.hada_w1_a",)


@pytest.mark.parametrize("bias", ["all", "lora_only"])
def test_biases_are_the_config_s_own_where_it_trains_them(bias: str) -> None:
    name = f"{PREFIX}model.layers.0.self_attn.q_proj.base_layer.bias"
    trained, stray = (touched(Patch({"bias": b}, {name: ("F32", (HIDDEN,))})) for b in (bias, "none"))
    assert (trained.biases, trained.overwrites) == ((name,), ())
    assert (stray.biases, stray.overwrites) == ((), (name,))


def test_implicit_heads_are_whole_modules() -> None:
    head = {f"{PREFIX}{name}.weight": ("F32", (2, HIDDEN)) for name in ("score", "pre_classifier")}
    found = touched(Patch({"task_type": "SEQ_CLS"}, head))
    assert set(found.modules_to_save) == {"score", "pre_classifier"}
    assert touched(Patch({"task_type": None}, head)).modules_to_save == {}


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        ([60, 61], {"model.embed_tokens": (60, 61)}),
        ({"embed_tokens": [60, 61]}, {"model.embed_tokens": (60, 61)}),
        ({"embed_tokens": [60, 61], "model.embed_tokens": [1]}, {"model.embed_tokens": (60, 61)}),  # the first counts
        ({"lm_head": [1]}, {"lm_head": (1,)}),
        ([60, True], {"model.embed_tokens": None}),
        ("60", {}),
        (None, {}),
    ],
)
def test_token_indices(indices: Any, expected: dict[str, Any]) -> None:
    rows = {f"{PREFIX}model.embed_tokens.token_adapter.trainable_tokens_delta": ("F32", (2, HIDDEN))}
    found = touched(Patch({"trainable_token_indices": indices}, rows))
    assert {module: tokens.indices for module, tokens in found.trainable_tokens.items()} == expected
    assert bool(found.unexpected) is ("model.embed_tokens" not in expected)


def test_an_unknown_type_has_no_footprint() -> None:
    made = Patch({"peft_type": "NEWER"}).adapter()
    assert made.config is not None
    assert made.header is not None
    assert footprint(made.config, made.header) is None


def test_files_of_one_recipe_share_their_footprint_and_others_do_not() -> None:
    first, same, other = (Patch(c).adapter() for c in ({"r": 8}, {"r": 16}, {"target_modules": ["q_proj"]}))
    assert touched(first) is touched(same)
    assert touched(other).untargeted != touched(first).untargeted


HOSTILE: list[Any] = [None, True, 0, -1, 10**400, 1.5, "", "(a+)+$", [], [None, 1, "", []], {}, {"": [], "x": None}]


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
@pytest.mark.parametrize(
    "key",
    [
        *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "target_parameters"),
        *("modules_to_save", "task_type", "trainable_token_indices", "bias", "ensure_weight_tying"),
    ],
)
def test_values_of_any_type_are_borne(key: str, value: Any) -> None:
    touched(Patch({key: value}, {f"{PREFIX}lm_head.weight": MATRIX}))


@pytest.mark.parametrize("recorded", SAVED, ids=label)
def test_every_tuned_module_is_among_those_that_are_alike_and_these_are(recorded: dict[str, Any]) -> None:
    found = touched(recorded)
    looks = {module: look for look, modules in found.alike.items() for module in modules}
    assert sum(map(len, found.alike.values())) == len(looks)
    assert looks == {m: tuple((p, t.shape) for p, t in parameters.items()) for m, parameters in found.tuned.items()}
