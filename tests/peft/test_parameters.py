"""`target_parameters` that reach what other adapters have put into the model (seen with PEFT 0.17.1 to 0.21.2)."""

from __future__ import annotations

from typing import Any

import pytest

from adapterlint.lint.example import DROP, Patch, base_of, with_tokens
from adapterlint.peft import simulate
from adapterlint.peft.outputs import Output
from adapterlint.peft.refused import Undecided
from adapterlint.peft.simulate import Simulated, Step
from adapterlint.peft.versions import Versions

RELEASES = ("0.17.1", "0.20.0", "0.21.2")
L = "base_model.model.model"
TOKENS = with_tokens(5, 6)
WHOLE = Patch(config={"modules_to_save": ["lm_head"]}, tensors={"base_model.model.lm_head.weight": ("F32", (64, 16))})


def of_parameters(*entries: str) -> Patch:
    """LoRA of parameters, without any tensor."""
    return Patch(config={"target_modules": [], "target_parameters": [*entries]}, tensors={"*": DROP})


def factors(config: dict[str, Any]) -> Patch:
    """LoRA of `o_proj` of the first layer."""
    module = f"{L}.layers.0.self_attn.o_proj"
    shapes = {f"{module}.lora_{factor}.weight": ("F32", shape) for factor, shape in (("A", (8, 16)), ("B", (16, 8)))}
    return Patch(config=config, tensors={"*": DROP, **shapes})


def loaded(release: str, **patches: Patch) -> Simulated:
    base = base_of(Patch(base={}))
    assert base is not None
    versions = Versions.usual(release)
    tree = base.tree(".".join(map(str, versions.transformers)))
    adapters = {name: patch.adapter(f"adapters/{name}") for name, patch in patches.items()}
    return simulate.simulate_fleet(adapters, tree, versions, activate=[tuple(patches)])


def error(step: Step) -> tuple[str, str] | None:
    return (step.error.type, step.error.text) if step.error else None


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("entry", ["weight", "token_adapter.weight"])
def test_a_parameter_under_token_rows_cannot_be_wrapped(release: str, entry: str) -> None:
    step = loaded(release, rows=TOKENS, matrix=of_parameters(entry)).steps[1]
    assert step.error is not None
    assert step.error.type == "ValueError"
    assert step.error.text.startswith(
        "Trying to wrap an `nn.Parameter` of layer 'model.embed_tokens.token_adapter' of type Embedding"
    )


@pytest.mark.parametrize("release", RELEASES)
def test_token_rows_hide_the_name_of_the_embedding(release: str) -> None:
    """Its weight is `model.embed_tokens.token_adapter.weight` then: nothing is found."""
    embedding = of_parameters("embed_tokens.weight")
    step = loaded(release, rows=TOKENS, matrix=embedding).steps[1]
    # Up to 0.20 it is enough that some adapter found a target; then its file lacks the rows.
    before = ("KeyError", f"'{L}.embed_tokens.token_adapter.trainable_tokens_delta'")
    text = "No `target_modules` passed but also no `target_parameters` found. Please check the values for these "
    now = ("NoMatchingPeftModuleError", f"{text}arguments.")
    assert error(step) == (now if release == "0.21.2" else before)


@pytest.mark.parametrize("release", RELEASES)
def test_a_layer_in_the_place_of_token_rows_has_not_what_peft_asks_them_for(release: str) -> None:
    inner = Patch(config={"target_modules": ["token_adapter"]}, tensors={"*": DROP})
    found = loaded(release, rows=TOKENS, inner=inner)
    assert found.steps[1].error is not None
    assert found.steps[1].error.type == "AttributeError"
    assert found.faithful == {"rows": None, "inner": None}  # what happens afterwards is not known
    assert found.steps[2].verdict == "unknown"


@pytest.mark.parametrize(
    ("release", "kind"), [("0.17.1", "IndexError"), ("0.20.0", "IndexError"), ("0.21.2", "ValueError")]
)
def test_a_parameter_of_one_dimension_cannot_be_wrapped(release: str, kind: str) -> None:
    step = loaded(release, norm=of_parameters("norm.weight")).steps[0]
    assert step.error is not None
    assert step.error.type == kind


@pytest.mark.parametrize("release", RELEASES)
def test_adalora_has_the_field_and_not_the_method(release: str) -> None:
    config = {"peft_type": "ADALORA", "total_step": 10, "target_parameters": ["o_proj.weight"]}
    step = loaded(release, pruned=Patch(config=config, tensors={"*": DROP})).steps[0]
    text = "AdaLoraModel._create_and_replace() got an unexpected keyword argument 'parameter_name'"
    assert error(step) == ("TypeError", text)


def test_copies_that_another_adapter_brought_are_wrapped_like_the_base() -> None:
    found = loaded("0.21.2", head=WHOLE, copy=of_parameters("modules_to_save.head.weight"))
    assert found.steps[1].error is None
    assert found.alone["copy"].error is not None
    assert found.alone["copy"].error.type == "NoMatchingPeftModuleError"


@pytest.mark.parametrize("release", ["0.20.0", "0.21.2"])
def test_of_a_matrix_it_is_what_lora_of_the_module_is(release: str) -> None:
    """A module whose parameter is wrapped already takes a later adapter of the module into that wrapper."""
    parameter = factors({"target_modules": [], "target_parameters": ["o_proj.weight"]})
    module = factors({"target_modules": ["o_proj"]})
    assert loaded(release, parameter=parameter, module=module).faithful == {"parameter": "yes", "module": "yes"}
    refused = loaded(release, module=module, parameter=parameter).steps[1]
    assert refused.error is not None
    assert refused.error.type == "ValueError"


def test_parameters_of_other_adapters_are_not_followed() -> None:
    """PEFT wraps factors of LoRA in LoRA, for which nothing here says what comes of it."""
    factor = of_parameters("lora_A.plain.weight")
    assert loaded("0.21.2", plain=Patch(), factor=factor).steps[1].verdict == "unknown"


# ------------------------------------------------------------------------------------------- what the engine lacks


@pytest.mark.parametrize("problem", [Undecided(), AttributeError("deltas"), KeyError("a"), TypeError("b")])
def test_what_the_engine_does_not_know_is_unknown_from_there_on(
    problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = iter(range(9))

    def first_is_fine(output: Output, *args: Any, **options: Any) -> None:
        if next(outputs):
            raise problem
        output.expression, output.error, output.module = (), None, ""

    monkeypatch.setattr(Output, "__init__", first_is_fine)
    found = loaded("0.21.2", one=Patch(), other=Patch())
    assert [step.verdict for step in found.steps] == ["ok", "unknown", "unknown"]
    assert found.faithful == {"one": None, "other": None}
    assert found.base is None
    assert found.alone["other"].loads is None
