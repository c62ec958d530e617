"""`adapterlint plan`: what it says, and the Python lines it writes."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from adapterlint import ModuleTree
from adapterlint.lint.example import DROP, Patch
from adapterlint.report.plan_code import model_class
from conftest import Run, Write

HEAD = Patch(config={"modules_to_save": ["lm_head"]}, tensors={"base_model.model.lm_head.weight": ("F32", (64, 16))})


@pytest.fixture
def fleet(run: Run) -> Run:
    """The fleet of the demo, and its base in `base`."""
    run("demo", "--keep", ".")
    return run


def calls(code: str) -> list[tuple[str, list[Any]]]:
    """Name and constant arguments of every call in a program."""
    found = []
    for statement in ast.parse(code).body:
        call = getattr(statement, "value", None)
        if isinstance(call, ast.Call):
            values = [*call.args, *(keyword.value for keyword in call.keywords)]
            given = [ast.literal_eval(value) for value in values if not isinstance(value, ast.Name)]
            found.append((ast.unparse(call.func), given))
    return found


def test_the_lines_load_in_the_order_that_works_and_activate(fleet: Run) -> None:
    result = fleet("plan", "adapters/tokens-chat", "adapters/healthy", "--base", "base", "-o", "json")
    assert result.exit_code == 0
    value = json.loads(result.stdout)
    assert value["order"] == ["healthy", "tokens-chat"]
    assert calls(value["code"]) == [
        ("AutoModelForCausalLM.from_pretrained", ["base"]),
        ("PeftModel.from_pretrained", ["adapters/healthy", "healthy"]),
        ("model.load_adapter", ["adapters/tokens-chat", "tokens-chat"]),
        ("model.set_adapter", ["healthy"]),
        ("model.base_model.set_adapter", [["healthy", "tokens-chat"]]),
    ]


def test_the_text_ends_with_the_same_lines_ready_to_paste(fleet: Run) -> None:
    arguments = ("plan", "adapters", "--base", "base")
    code = json.loads(fleet(*arguments, "-o", "json").stdout)["code"]
    assert fleet(*arguments).stdout.endswith(f"\npython\n\n{code}")


def test_before_0_18_the_lines_say_that_set_adapter_is_needed(fleet: Run) -> None:
    text = fleet("plan", "adapters/healthy", "adapters/tokens-chat", "--base", "base", "--peft", "0.17").stdout
    assert 'model.set_adapter("healthy")  # needed after the last load' in text


def test_folders_are_quoted_whatever_their_names(run: Run, write: Write) -> None:
    for name in ('it\'s "de"', "back\\slash", "new\nline", "\x1b[31mred"):
        write(f"adapters/{name}")
    result = run("plan", "adapters", "-o", "json")
    folders = {given[0] for name, given in calls(json.loads(result.stdout)["code"]) if "load" in name or "Peft" in name}
    assert folders == {'adapters/it\'s "de"', "adapters/back\\slash", "adapters/new\nline", "adapters/\x1b[31mred"}
    assert all(line.isprintable() for line in run("plan", "adapters").stdout.splitlines())


@pytest.mark.parametrize(
    ("task", "auto"),
    [
        ("CAUSAL_LM", "AutoModelForCausalLM"),
        ("SEQ_2_SEQ_LM", "AutoModelForSeq2SeqLM"),
        ("TOKEN_CLS", "AutoModelForTokenClassification"),
        ("QUESTION_ANS", "AutoModelForQuestionAnswering"),
        (None, "AutoModel"),
    ],
)
def test_without_a_base_at_hand_the_task_chooses_the_class(task: str | None, auto: str) -> None:
    adapter = Patch(config={"task_type": task}).adapter()
    assert model_class(ModuleTree({}, partial=True), [adapter]) == auto


def test_a_base_at_hand_is_built_as_what_it_is() -> None:
    adapter = Patch(config={"task_type": "CAUSAL_LM"}).adapter()
    tree = ModuleTree({}, architecture="BertForTokenClassification")
    assert model_class(tree, [adapter]) == "AutoModelForTokenClassification"


def test_pairs_are_a_matrix_with_the_reason_for_each_that_does_not_work(fleet: Run) -> None:
    text = fleet("plan", "adapters/tokens-chat", "adapters/healthy", "--base", "base").stdout
    assert "tokens-chat > healthy:\n      loading: the first has token rows of model.embed_tokens" in text


def test_sets_say_which_adapters_exclude_each_other(run: Run, fleet: Run, write: Write) -> None:
    for name in ("de", "fr"):
        write(f"heads/{name}", HEAD)
    write("heads/plain")
    text = run("plan", "heads", "--base", "base").stdout
    assert "\n  plain + one of (de and fr)\n" in text


def test_what_does_not_load_ends_with_1_and_says_why(fleet: Run, write: Write) -> None:
    write("broken", {"r": 4})
    result = fleet("plan", "broken", "adapters/healthy", "--base", "base")
    assert result.exit_code == 1
    assert "left out broken: alone it raises RuntimeError: Error(s) in loading state_dict" in result.stdout
    assert result.stdout.count("Error(s) in loading state_dict") == 1, "not again for each pair"


def test_one_adapter_has_a_plan_too(fleet: Run) -> None:
    result = fleet("plan", "adapters/healthy", "--base", "base")
    assert result.exit_code == 0
    assert "pairs" not in result.stdout


def test_operations_that_go_as_activation_does_are_one_line_and_the_others_name_their_sets(fleet: Run) -> None:
    chosen = ("adapters/healthy", "adapters/unpaired", "adapters/head-de")
    text = fleet("plan", *chosen, "--base", "base").stdout
    assert "\n  merged while active, by merge_and_unload(): as active together\n" in text
    assert "adapter_names=[...]):\n      healthy + unpaired; while no other is loaded\n" in text
    assert 'combination_type="cat"):\n      healthy + unpaired; "linear" and "svd": near it only\n' in text
    assert "\n      healthy and unpaired in the place of any of (healthy and unpaired)\n" in text


def test_pairs_say_why_an_operation_does_not_work(fleet: Run) -> None:
    text = fleet("plan", "adapters/healthy", "adapters/head-de", "--base", "base").stdout
    assert "  head-de -> healthy:\n      swapped: silently left out, and left as before: lm_head\n" in text
    assert "  healthy -> head-de:\n      swapped: the later has tensors that are not of LoRA layers" in text


def test_the_lines_show_each_operation_that_works_as_a_comment(fleet: Run) -> None:
    chosen = ("adapters/healthy", "adapters/unpaired", "adapters/head-de")
    code = json.loads(fleet("plan", *chosen, "--base", "base", "-o", "json").stdout)["code"]
    comments = [line.removeprefix("# ") for line in code.splitlines() if line.startswith("# ")]
    assert [name for line in comments for name, _ in calls(line)] == [
        "model.merge_and_unload",
        "model.add_weighted_adapter",
        "model",
        "hotswap_adapter",
    ]
    assert 'model.add_weighted_adapter(["healthy", "unpaired"], [1.0, 1.0], "sum", combination_type="cat")' in code


def test_methods_without_an_operation_are_named_in_one_line(run: Run, write: Write) -> None:
    patch = Patch(
        config={"peft_type": "OFT", "oft_block_size": 4, "r": 0, "lora_alpha": DROP, "target_modules": ["q_proj"]},
        tensors={"*": DROP} | {
            f"base_model.model.model.layers.{layer}.self_attn.q_proj.oft_R.weight": ("F32", (4, 6)) for layer in (0, 1)
        },
    )  # fmt: skip
    for name in ("de", "fr"):
        write(f"oft/{name}", patch)
    text = run("plan", "oft").stdout
    line = "with this method no add_weighted_adapter, adapter_names is of no use, no hotswap_adapter"
    assert f"\n  {line}\n" in text
    assert "de + another alike:\n      merged: model.layers.*.self_attn.q_proj (2) gives something else" in text


def test_the_json_has_each_operation_with_its_sets_and_the_pairs_that_do_not_work(fleet: Run) -> None:
    arguments = ("plan", "adapters/healthy", "adapters/head-de", "--base", "base", "-o", "json")
    found = json.loads(fleet(*arguments).stdout)["operations"]
    assert set(found) == {"merge", "weigh", "mix", "swap"}
    assert found["merge"]["sets"] == [[["healthy"], ["head-de"]]]
    assert found["merge"]["pairs"] == []
    assert [(pair["first"], pair["later"], pair["outcome"]) for pair in found["mix"]["pairs"]] == [
        (["healthy"], ["head-de"], "refused")
    ]
    reason = found["mix"]["pairs"][0]["reasons"][0]
    assert (reason["do"], reason["kind"], reason["modules"]) == ("mix", "mixed-batch-owner", ["lm_head"])
    assert reason["error"]["type"] == "KeyError"
