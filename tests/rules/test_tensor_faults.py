"""Tensors that are missing, unexpected or of a wrong size: what the examples of the rules do not say.

What PEFT does with every kind of damage of every method is in `tests/methods/test_damaged_methods.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from adapterlint import Finding, Severity
from adapterlint.lint.engine import Engine
from adapterlint.lint.example import DROP, GOOD_CONFIG, GOOD_TENSORS, Patch, Shape, base_of
from adapterlint.lint.loader import load_rules
from adapterlint.peft.footprint import footprint_of

OF_TENSORS = ("tensor-missing", "tensor-unexpected", "size-mismatch", "base-weights-in-adapter")
RULES = [r for r in load_rules() if r.name in OF_TENSORS]
Q = "base_model.model.model.layers.0.self_attn.q_proj."
EMBED = "base_model.model.model.embed_tokens."


def findings(patch: Patch, *peft: str) -> list[tuple[str, Finding]]:
    adapter = patch.adapter()
    engine = Engine(RULES, peft)
    found = [
        (one.rule.code, one.finding) for one in engine.check_adapter(adapter, footprint_of(adapter), base_of(patch))
    ]
    assert not engine.crashes
    return found


def codes(patch: Patch, *peft: str) -> list[str]:
    return [code for code, _ in findings(patch, *peft)]


def message(patch: Patch) -> str:
    ((_, finding),) = findings(patch)
    return finding.message


def only(tensors: Mapping[str, Shape], **config: Any) -> Patch:
    return Patch(config=config, tensors={"*": DROP, **tensors})


@pytest.mark.parametrize(
    ("peft_type", "parameters"),
    [
        ("LORA", {"lora_A.weight": (8, 16)}),
        ("LORA", {"lora_embedding_B": (16, 8)}),
        ("LORA", {"base_layer.lora_A.weight": (8, 16), "lora_A.weight": (8, 16), "lora_B.weight": (16, 8)}),
        ("ADALORA", {"lora_A": (8, 16), "lora_B": (16, 8)}),
        ("LOHA", {"hada_w1_a": (16, 2), "hada_w1_b": (2, 16), "hada_w2_a": (16, 2)}),
        ("VERA", {"vera_lambda_b": (16,)}),
        ("PEANUT", {"peanut_A.weight": (2, 16)}),
    ],
)
def test_half_of_a_pair_is_told(peft_type: str, parameters: dict[str, tuple[int, ...]]) -> None:
    tensors = {Q + name: ("F32", shape) for name, shape in parameters.items()}
    assert codes(only(tensors, peft_type=peft_type, total_step=10, save_projection=False)) == ["FIT120"]


@pytest.mark.parametrize(
    ("peft_type", "parameters"),
    [
        ("LOKR", {"lokr_w1": (4, 4), "lokr_w2_a": (4, 2), "lokr_w2_b": (2, 4)}),
        ("IA3", {"ia3_l": (16, 1)}),
        ("BEFT", {"beft_bias": (1, 16)}),
    ],
)
def test_what_may_stand_alone_is_no_half(peft_type: str, parameters: dict[str, tuple[int, ...]]) -> None:
    tensors = {Q + name: ("F32", shape) for name, shape in parameters.items()}
    assert codes(only(tensors, peft_type=peft_type)) == []


def test_without_any_lora_b_nothing_is_applied() -> None:
    halves = {name: shape for name, shape in GOOD_TENSORS.items() if "lora_A" in name}
    (code, finding), *_ = findings(only(halves))
    assert (code, finding.severity) == ("FIT120", Severity.ERROR)


def test_factors_in_blocks_have_ranks_of_their_own() -> None:
    blocks = {"use_bdlora": {"nblocks": 2, "target_modules_bd_b": ["q_proj", "v_proj"], "target_modules_bd_a": []}}
    halved: dict[str, Shape] = {name: ("F32", (16, 4)) for name in GOOD_TENSORS if "lora_B" in name}
    assert codes(Patch(config=blocks, tensors=halved)) == []
    assert codes(Patch(config=blocks)) == ["FIT113"]


def test_a_convolution_in_groups_has_a_share_of_the_rank() -> None:
    conv: dict[str, Shape] = {f"{Q}lora_A.weight": ("F32", (8, 4, 3, 3)), f"{Q}lora_B.weight": ("F32", (16, 4, 1, 1))}
    assert codes(Patch(tensors=conv)) == []


def test_ranks_that_differ_from_module_to_module_but_agree_in_each_are_right() -> None:
    other: dict[str, Shape] = {f"{Q}lora_A.weight": ("F32", (4, 16)), f"{Q}lora_B.weight": ("F32", (16, 4))}
    assert codes(Patch(config={"rank_pattern": {"layers.0.self_attn.q_proj": 4}}, tensors=other)) == []


def test_an_embedding_has_its_rank_first_and_last() -> None:
    good: dict[str, Shape] = {
        f"{EMBED}lora_embedding_A": ("F32", (8, 64)),
        f"{EMBED}lora_embedding_B": ("F32", (16, 8)),
    }
    config = {"target_modules": ["q_proj", "v_proj", "embed_tokens"]}
    assert codes(Patch(config=config, tensors=good)) == []
    assert codes(Patch(config=config, tensors={**good, f"{EMBED}lora_embedding_B": ("F32", (8, 16))})) == ["FIT113"]


def test_many_tensors_of_one_wrong_size_are_one_finding() -> None:
    """At the key, since all of them agree against it."""
    rows: dict[str, Shape] = {name: ("F32", (4, 16)) for name in GOOD_TENSORS if "lora_A" in name}
    ((code, finding),) = findings(Patch(tensors=rows))
    assert code == "FIT113"
    assert finding.message == (
        "`lora_A.weight` of `model.layers.0.self_attn.q_proj`, `model.layers.0.self_attn.v_proj`, "
        "`model.layers.1.self_attn.q_proj` and `model.layers.1.self_attn.v_proj` has 4 rows, but `r` is 8"
    )
    assert finding.at.pointer == "/r"


def test_one_tensor_of_another_size_is_told_at_the_tensor() -> None:
    ((_, finding),) = findings(Patch(tensors={f"{Q}lora_A.weight": ("F32", (9, 16))}))
    assert finding.message == "`lora_A.weight` of `model.layers.0.self_attn.q_proj` has 9 rows, but `r` is 8"
    assert finding.at.tensor == f"{Q}lora_A.weight"


@pytest.mark.parametrize("base", [None, {}], ids=["no base", "base"])
def test_a_renamed_tensor_is_told_once_under_the_name_that_it_should_have(base: dict[str, Any] | None) -> None:
    renamed: dict[str, Any] = {f"{Q}lora_B.weight": DROP, f"{Q}lora_B.wieght": ("F32", (16, 8))}
    ((code, finding),) = findings(Patch(tensors=renamed, base=base))
    assert code == "FIT121"
    assert finding.help == "Is `lora_B.weight` meant? Then give it that name."


def test_a_tensor_that_a_setting_would_have_is_told_at_the_setting() -> None:
    diagonals: dict[str, Shape] = {name.replace("lora_A.weight", "lora_diag"): ("F32", (8,)) for name in GOOD_TENSORS}
    diagonals = {name: shape for name, shape in diagonals.items() if name.endswith("lora_diag")}
    said = message(Patch(config={"kasa_config": None}, tensors=diagonals))
    assert said.startswith(
        "`kasa_config` is not set, so no module has a parameter for `base_model.model.model.layers.0."
    )


def test_projections_are_asked_for() -> None:
    vectors: dict[str, Shape] = {f"{Q}vera_lambda_b": ("F32", (16,)), f"{Q}vera_lambda_d": ("F32", (8,))}
    ((code, finding),) = findings(only({**vectors, "base_model.vera_B": ("F32", (16, 8))}, peft_type="VERA", r=8))
    assert (code, finding.severity) == ("FIT120", Severity.ERROR)
    assert finding.message.endswith("PEFT raises `ValueError`")


def test_inner_parameters_of_one_module_are_taken_apart() -> None:
    """Two parameters of one module are targets: one has a tensor too few."""
    inner = {"base_layer.lora_A.weight": (8, 16), "lora_A.weight": (8, 16), "lora_B.weight": (16, 8)}
    tensors: dict[str, Shape] = {f"{Q}{name}": ("F32", shape) for name, shape in inner.items()}
    assert message(only(tensors)).startswith("`base_layer.lora_B.weight` is missing beside `base_layer.lora_A.weight`")


def test_inputs_are_scaled_where_some_base_has_a_feedforward_module_of_the_name() -> None:
    left_out = {"peft_type": "IA3", "target_modules": ["down_proj"], "feedforward_modules": DROP}
    layer = "base_model.model.model.layers.0.mlp.{}_proj.ia3_l"
    assert codes(only({layer.format("down"): ("F32", (1, 32))}, **left_out)) == []
    left_out["target_modules"] = ["gate_proj"]
    assert codes(only({layer.format("gate"): ("F32", (32, 1))}, **left_out)) == []
    ((code, found),) = findings(only({layer.format("gate"): ("F32", (1, 16))}, **left_out))
    assert (code, found.help) == ("FIT113", "Add `feedforward_modules` to the config.")
    assert found.message.endswith("has 16 columns, but 1 is asked for, with `feedforward_modules` missing")


KEPT = ("base_model_name_or_path", "target_modules", "task_type")
OLD_OFT = {key: DROP for key in GOOD_CONFIG if key not in KEPT} | {"r": 4, "peft_type": "OFT"}


@pytest.mark.parametrize(
    ("config", "parameters", "told", "remedy"),
    [
        (
            {"oft_block_size": 0},
            {"oft_r": (4, 4, 4)},
            "in PEFT <0.16 alone",
            "Load it with PEFT <0.14, with `oft_block",
        ),
        ({"oft_block_size": 0}, {"oft_r": (4, 4, 4), "oft_s": (16, 1)}, "in PEFT >=0.14,<0.16 alone", ">=0.14,<0.16"),
    ],
)
def test_tensors_of_other_releases_are_told_as_theirs(
    config: dict[str, Any], parameters: dict[str, tuple[int, ...]], told: str, remedy: str
) -> None:
    """PEFT 0.13 and 0.15 wrote files like these, the first one without `oft_block_size`."""
    modules = [key.removesuffix("lora_A.weight") for key in GOOD_TENSORS if key.endswith("lora_A.weight")]
    tensors = {module + name: ("F32", shape) for module in modules for name, shape in parameters.items()}
    ((code, finding),) = findings(only(tensors, **OLD_OFT | config))
    assert code == "FIT121"
    assert told in finding.message
    assert remedy in (finding.help or "")
    assert "trained anew" in (finding.help or "")


def test_another_number_of_dimensions_is_blamed_on_what_decides_it() -> None:
    bat = {"peft_type": "MISS", "r": 8, "init_weights": "bat", "lora_alpha": DROP}
    flat = {key.replace("lora_A.weight", "miss_block"): ("F32", (8, 16)) for key in GOOD_TENSORS if "lora_A" in key}
    ((code, finding),) = findings(only(flat, **bat))
    assert code == "FIT113"
    assert "2 dimensions, but there are 3 with `init_weights` as it is" in finding.message
    assert finding.at.pointer == "/init_weights"


def test_a_single_number_in_place_of_a_matrix_is_no_matter_of_the_config() -> None:
    ((code, finding),) = findings(Patch(tensors={f"{Q}lora_A.weight": ("F32", ())}))
    assert code == "FIT113"
    assert finding.message.endswith("has 0 dimensions, but there are 2")
    assert "Add" not in (finding.help or "")


def test_what_is_missing_for_one_reason_is_one_finding() -> None:
    """Of VeRA's projections PEFT asks for the first one, and raises whatever the other one is."""
    plain = only({Q + "vera_lambda_b": ("F32", (16,)), Q + "vera_lambda_d": ("F32", (8,))}, peft_type="VERA", r=8)
    ((code, finding),) = findings(plain)
    assert code == "FIT120"
    assert finding.message.startswith(
        "`vera_A` and `vera_B` are missing beside `vera_lambda_b`; PEFT raises `ValueError`"
    )


def test_numbered_names_are_one_finding_and_nothing_is_beside_nothing() -> None:
    config = {key: DROP for key in GOOD_CONFIG if key not in KEPT} | {"peft_type": "TINYLORA", "r": 2}
    wrong = {key.replace("lora_A.weight", "tinylora_v"): ("F32", (1,)) for key in GOOD_TENSORS if "lora_A" in key}
    tensors: dict[str, Any] = {"*": DROP, **wrong}
    (told,) = [one.message for code, one in findings(Patch(config, tensors, base={})) if code == "FIT120"]
    names = "`tinylora_v.0`, `tinylora_v.1`, `tinylora_v.2` and `tinylora_v.3`"
    assert told == f"{names} are missing; PEFT keeps the values they begin with"


def test_with_a_rank_of_nothing_no_tensor_is_missing() -> None:
    lone = {Q + "hada_w1_a": ("F32", (16, 8))}
    assert codes(only(lone, peft_type="LOHA", r=0, target_modules=["q_proj"])) == []
    (message_of,) = {one.message for _, one in findings(only(lone, peft_type="LOHA", r=8, target_modules=["q_proj"]))}
    assert "`hada_w1_b`, `hada_w2_a` and `hada_w2_b` are missing beside `hada_w1_a`" in message_of
    assert "PEFT fills `hada_w1_b` and `hada_w2_a` with random numbers" in message_of
    assert "PEFT keeps the value `hada_w2_b` begins with" in message_of


def test_a_projection_that_is_in_the_file_is_not_said_to_be_missing() -> None:
    """PEFT 0.20 passes over one of another shape, and raises for none at all only."""
    shapes = {f"{Q}vera_lambda_b": (16,), f"{Q}vera_lambda_d": (8,)} | {"base_model.vera_A": (8, 32)}
    config = {"peft_type": "VERA", "target_modules": ["q_proj"], "save_projection": True, "projection_prng_key": 0}
    tensors = {name: ("F32", shape) for name, shape in shapes.items()} | {"base_model.vera_B": ("F32", (16, 8))}
    patch = Patch(config, {"*": DROP, **tensors}, base={})
    said = [(code, one.message) for code, one in findings(patch, "0.20")]
    assert said == [("FIT121", "`vera_A` is not read, so PEFT drops it")]


def test_a_projection_among_the_weights_of_the_base_is_none_of_them() -> None:
    """PEFT saves it as `base_model.vera_A`, and raises `ValueError` where it finds none there."""
    vectors = {Q + "vera_lambda_b": ("F32", (16,)), Q + "vera_lambda_d": ("F32", (8,))}
    places = {f"base_model.model.vera_{side}": ("F32", shape) for side, shape in (("A", (8, 16)), ("B", (16, 8)))}
    patch = only({**vectors, **places}, peft_type="VERA", r=8)
    ((code, finding),) = findings(patch)
    assert code == "FIT120"
    assert "to `base_model.vera_A` and `base_model.vera_B`" in (finding.help or "")
