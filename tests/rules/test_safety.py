"""What loading would run or reach: what the examples of the rules do not say."""

from __future__ import annotations

from typing import Any

import pytest

from adapterlint import Finding, Severity
from adapterlint.lint.engine import Engine
from adapterlint.lint.example import DROP, GOOD_TENSORS, Patch
from adapterlint.lint.example_pickle import pickle_file
from adapterlint.lint.loader import load_rules

RULES = [r for r in load_rules() if r.family == "SEC"]


def findings(patch: Patch, *peft: str) -> list[tuple[str, Finding]]:
    engine = Engine(RULES, peft)
    found = [(one.rule.code, one.finding) for one in engine.check_adapter(patch.adapter(), None)]
    assert not engine.crashes
    return found


def codes(patch: Patch, *peft: str) -> list[str]:
    return [code for code, _ in findings(patch, *peft)]


def pickled(*imports: str) -> Patch:
    content = pickle_file(GOOD_TENSORS, imports=imports)
    return Patch(files={"adapter_model.safetensors": DROP, "adapter_model.bin": content})


def test_a_pickle_is_noted_or_refused_by_what_it_imports() -> None:
    assert codes(pickled()) == ["SEC101"]
    assert codes(pickled("collections OrderedDict", "torch FloatStorage")) == ["SEC101"]
    (code, finding), *others = findings(pickled("numpy.core.multiarray _reconstruct", "posix system"))
    assert (code, others) == ("SEC104", [])
    assert "`numpy.core.multiarray._reconstruct` and `posix.system`" in finding.message


def test_a_pickle_that_peft_does_not_read_is_no_matter_of_safety() -> None:
    assert codes(Patch(files={"adapter_model.bin": pickle_file(GOOD_TENSORS, imports=["os system"])})) == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"megatron_core": "helpers.core", "megatron_config": None}, []),
        ({"megatron_core": "helpers.core", "megatron_config": {}}, []),
        ({"megatron_core": "megatron.core", "megatron_config": {"a": 1}}, []),
        ({"megatron_core": "megatron", "megatron_config": {"a": 1}}, ["SEC102"]),
        ({"megatron_core": "megatron_helpers.core", "megatron_config": {"a": 1}}, ["SEC102"]),
        ({"megatron_core": "helpers.core", "megatron_config": {"a": 1}, "peft_type": "ADALORA"}, []),
    ],
)
def test_megatron_is_imported_only_where_it_is_configured(config: dict[str, Any], expected: list[str]) -> None:
    assert codes(Patch(config=config)) == expected


@pytest.mark.parametrize(
    ("library", "task", "expected"),
    [
        ("transformers.models.bert.modeling_bert", None, []),
        ("diffusers.models.unets.unet_2d_condition", None, []),
        ("lerobot.policies", None, []),
        ("peft.peft_model", None, []),
        ("transformers_modules.acme.modeling_acme", None, ["SEC102"]),
        ("__main__", None, ["SEC102"]),
        ("custom.model", "CAUSAL_LM", []),  # then AutoPeftModel never looks at it
    ],
)
def test_the_library_of_the_base_is_a_note(library: str, task: str | None, expected: list[str]) -> None:
    mapping = {"base_model_class": "Model", "parent_library": library}
    found = findings(Patch(config={"task_type": task, "auto_mapping": mapping}))
    assert [code for code, _ in found] == expected
    assert all(finding.severity is Severity.INFO for _, finding in found)


def test_remote_code_of_a_tokenizer_ran_up_to_017() -> None:
    config = {
        "peft_type": "PROMPT_TUNING",
        "prompt_tuning_init": "TEXT",
        "tokenizer_kwargs": {"trust_remote_code": True},
    }
    assert codes(Patch(config=config)) == []
    assert codes(Patch(config=config), "0.17") == ["SEC102"]
    assert codes(Patch(config={**config, "prompt_tuning_init": "RANDOM"}), "0.17") == []


def test_only_links_of_files_that_matter_and_lead_somewhere_are_told() -> None:
    outside = "/home/user/somewhere"
    links = {"README.md": outside, "tokenizer.json": outside, "notes.txt": outside}
    patch = Patch(links=links, files={"tokenizer.json": "{}", "notes.txt": ""})
    told = [f for _, f in findings(patch)]
    assert [f.at.file for f in told] == ["adapter/README.md"]
    assert "(and 1 other file likewise)" in told[0].message
    stores = {name: f"/repo/{store}/{name}" for name, store in (("README.md", ".git/annex"), ("x.bin", ".dvc/cache"))}
    assert findings(Patch(links=stores, files={"x.bin": ""})) == []
    dangling = Patch(links={"adapter_model.safetensors": outside}, files={"adapter_model.safetensors": DROP})
    assert codes(dangling) == []


HOSTILE: list[Any] = [None, True, -1, 10**400, 1.5, "", "x" * 10_000, [], ["a"], {}, {"parent_library": {}}]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda v: str(v)[:20])
@pytest.mark.parametrize(
    "key", ["megatron_config", "megatron_core", "auto_mapping", "task_type", "tokenizer_kwargs", "prompt_tuning_init"]
)
@pytest.mark.parametrize("peft_type", ["LORA", "PROMPT_TUNING"])
def test_odd_values_in_the_config_never_stop_a_rule(peft_type: str, key: str, value: Any) -> None:
    findings(Patch(config={"peft_type": peft_type, "megatron_config": {"a": 1}, key: value}), "0.10", "0.21")
