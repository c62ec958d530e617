"""The table of config keys, and what `wrong_type` lets pass: expected outcomes were recorded from PEFT 0.21.2."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import sys
import time
import zipfile
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapterlint.peft.fields import MISSING, Field, fields_of, types_with, wrong_type
from adapterlint.peft.methods import METHODS


def _script() -> ModuleType:
    path = Path(__file__).with_name("make_fields.py")
    spec = importlib.util.spec_from_file_location("make_fields", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


make_fields = _script()

# The table ------------------------------------------------------------------------------------------------------------


def test_every_type_of_the_catalogue_has_keys_and_no_other() -> None:
    for name, method in METHODS.items():
        fields = fields_of(name)
        assert fields["peft_type"].since == method.since
        assert fields["peft_type"].until == method.until
    assert not fields_of("FINEGATES")
    assert not fields_of("lora")


@pytest.mark.parametrize(
    ("peft_type", "key", "field"),
    [
        ("LORA", "r", Field("r", "0.10", None, "int", 8)),
        ("LORA", "target_modules", Field("target_modules", "0.10", None, "list[str] | str | None", None)),
        ("LORA", "exclude_modules", Field("exclude_modules", "0.14", None, "list[str] | str | None", None)),
        (
            "LORA",
            "trainable_token_indices",
            Field("trainable_token_indices", "0.15", None, "list[int] | dict[str, list[int]] | None", None),
        ),
        ("LORA", "target_parameters", Field("target_parameters", "0.17", None, "list[str] | None", None)),
        ("LORA", "kasa_config", Field("kasa_config", "0.21", None, "KasaConfig | None", None)),
        ("LORA", "rank_pattern", Field("rank_pattern", "0.10", None, "dict | None", {})),
        ("ADALORA", "use_dora", Field("use_dora", "0.10", None, "bool", False)),
        ("OFT", "rank_pattern", Field("rank_pattern", "0.10", "0.14", "dict | None", {})),
        ("BONE", "r", Field("r", "0.14", "0.18", "int", 64)),
        (
            "PROMPT_TUNING",
            "prompt_tuning_init",
            Field("prompt_tuning_init", "0.10", None, "PromptTuningInit | str", "RANDOM"),
        ),
        ("PREFIX_TUNING", "modules_to_save", Field("modules_to_save", "0.17", None, "list[str] | None", None)),
        ("P_TUNING", "peft_version", Field("peft_version", "0.18", None, "str | None", None)),
    ],
)
def test_field_says_what_the_dataclasses_of_peft_say(peft_type: str, key: str, field: Field) -> None:
    assert fields_of(peft_type)[key] == field


def test_a_key_knows_the_types_it_belongs_to() -> None:
    assert set(types_with("oft_block_size")) == {"OFT"}
    assert set(types_with("lora_alpha")) == {"ADALORA", "LORA", "SUPERTUNING"}
    assert types_with("lora_alpha")["SUPERTUNING"].annotation == "float | None"
    assert not types_with("lora_r")


# Types ----------------------------------------------------------------------------------------------------------------

A_LIST_OR_A_STRING = "a list of strings, a string or null"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("r", "8", "an integer"),  # TypeError: '<=' not supported between instances of 'str' and 'int'
        ("r", 8.0, "an integer"),
        ("r", None, "an integer"),
        ("lora_alpha", "16", "an integer"),
        ("lora_dropout", "0.1", "a number"),
        ("lora_dropout", None, "a number"),
        ("rank_pattern", None, "an object"),  # AttributeError: 'NoneType' object has no attribute 'keys'
        ("rank_pattern", [], "an object"),
        ("alpha_pattern", "q_proj", "an object"),
        ("use_dora", "false", "true or false"),  # silently a DoRA adapter
        ("use_rslora", "no", "true or false"),
        ("use_dora", ["q_proj"], "true or false"),
        ("bias", None, "a string"),
        ("bias", ["none"], "a string"),
        ("init_lora_weights", 1, "true, false or a string"),
        ("layers_to_transform", "0", "a list of integers, an integer or null"),
        ("layers_to_transform", ["0"], "a list of integers, an integer or null"),
        ("target_modules", 8, A_LIST_OR_A_STRING),
        ("target_modules", [["q_proj"]], A_LIST_OR_A_STRING),
        ("modules_to_save", 3, "a list of strings or null"),
        ("modules_to_save", [1], "a list of strings or null"),
        ("trainable_token_indices", ["1"], "a list of integers, an object of lists of integers or null"),
        ("layer_replication", [0, 4], "a list of pairs of integers or null"),
        ("eva_config", "default", "an object or null"),
        ("task_type", 3, "a string or null"),
        ("base_model_name_or_path", ["a", "b"], "a string or null"),
    ],
)
def test_a_type_that_breaks_lora_is_named_in_words(key: str, value: object, expected: str) -> None:
    assert wrong_type("LORA", key, value) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lora_alpha", 16.0),
        ("lora_alpha", 0.5),
        ("lora_dropout", 0),
        ("lora_dropout", False),
        ("fan_in_fan_out", None),
        ("fan_in_fan_out", "false"),  # replaced by what fits the layer
        ("inference_mode", "no"),  # overwritten on load
        ("use_dora", None),
        ("use_dora", 0),
        ("use_dora", "true"),
        ("init_lora_weights", None),
        ("init_lora_weights", "pissa_niter_16"),
        ("init_lora_weights", "anything"),  # a word, and another matter
        ("bias", "anything"),
        ("target_modules", {"q_proj": 1}),  # a set of its keys
        ("target_modules", None),
        ("exclude_modules", [1]),
        ("modules_to_save", "lm_head"),  # a string is another rule's finding
        ("modules_to_save", False),
        ("target_parameters", "experts.down_proj"),
        ("layer_replication", [[0, 4], [2, 8]]),
        ("layers_to_transform", []),
        ("loftq_config", None),
        ("megatron_config", ""),
        ("revision", 3),
        ("auto_mapping", []),
        ("peft_version", None),
        ("an_unknown_key", object()),
    ],
)
def test_what_peft_lives_with_passes(key: str, value: object) -> None:
    assert wrong_type("LORA", key, value) is None


@pytest.mark.parametrize(
    ("peft_type", "key", "value", "expected"),
    [
        ("ADALORA", "r", "8", None),  # `init_r` counts
        ("ADALORA", "rank_pattern", None, None),
        ("ADALORA", "init_r", "8", "an integer"),
        ("ADAMSS", "init_weights", False, None),
        ("BOFT", "init_weights", 1, "true or false"),  # compared with `is True`
        ("BONE", "layers_pattern", ["layers", 0], None),  # never read without `layers_to_transform`
        ("DELORA", "delora_lambda", "15", None),  # `float()` reads text
        ("DELORA", "delora_lambda", None, "an integer"),
        ("IA3", "feedforward_modules", 3, A_LIST_OR_A_STRING),
        ("OSF", "effective_rank", [4], "a number or null"),
        ("OSF", "rank_pattern", None, None),
        ("PREFIX_TUNING", "num_layers", "2", "an integer or null"),
        ("PROMPT_TUNING", "num_layers", "2", None),  # never read
        ("SUPERTUNING", "select_top", 1, "true or false"),
        ("VERA", "save_projection", [], "true or false"),  # put into a set
        ("VERA", "save_projection", 1, None),
        ("XLORA", "adapters", ["a"], "an object of strings"),
        ("FINEGATES", "r", "8", None),  # no type of PEFT's
    ],
)
def test_other_types_have_their_own_exceptions(peft_type: str, key: str, value: object, expected: str | None) -> None:
    assert wrong_type(peft_type, key, value) == expected


def test_a_default_always_has_the_right_type() -> None:
    for name in METHODS:
        for key, field in fields_of(name).items():
            assert field.default is not MISSING
            assert wrong_type(name, key, field.default) is None


def test_a_thousand_configs_are_checked_in_no_time() -> None:
    config = {key: field.default for key, field in fields_of("LORA").items()}
    config |= {"target_modules": ["q_proj", "v_proj"], "r": 16, "lora_alpha": 32, "lora_dropout": 0.05}
    wrong_type("LORA", "target_modules", ["q_proj"])  # the table is read, and pydantic imported, once
    start = time.perf_counter()
    for _ in range(1000):
        for key, value in config.items():
            wrong_type("LORA", key, value)
    assert time.perf_counter() - start < 0.5  # ten times what it takes on a slow machine


# The script that makes the table ------------------------------------------------------------------------------------

CONFIG = """
@dataclass
class Mixin(PushToHubMixin):
    auto_mapping: Optional[dict] = field(default=None, metadata={"help": "x"})

@dataclass
class Config(Mixin):
    r: int = field(default=8)

class Init(str, enum.Enum):
    TEXT = "text"
"""
OLD = """
@dataclass
class FooConfig(Config):
    targets: Optional[Union[List[str], str]] = None
    gone: bool = False
    def __post_init__(self):
        super().__post_init__()
        self.peft_type = PeftType.FOO
"""
NEW = """
@dataclass
class FooConfig(Config):
    r: Optional[int] = field(default=4)
    targets: Optional[list[str] | str] = field(default_factory=list)
    init: Union[Init, str] = field(default=Init.TEXT)
    pattern: Dict[str, typing.List[int]] = field(default_factory=dict)
    sub: "Optional[SubConfig]" = None
    kind: Literal["a", "b"] = "a"
    needed: int
    seen: ClassVar[int] = 0
    hidden: int = field(default=0, init=False)
    def __post_init__(self):
        self.peft_type = PeftType.FOO

@dataclass
class BarConfig(FooConfig):
    def __post_init__(self):
        super().__post_init__()
        self.peft_type = PeftType.BAR
"""


def _wheel(folder: Path, version: str, foo: str) -> Path:
    path = folder / f"peft-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("peft/config.py", CONFIG)
        archive.writestr("peft/tuners/foo/config.py", foo)
        archive.writestr("other/config.py", "class FooConfig: pass")
    return path


def test_script_reads_fields_through_the_bases_and_over_the_releases(tmp_path: Path) -> None:
    wheels = [_wheel(tmp_path, "0.21.2", NEW), _wheel(tmp_path, "0.9.0", OLD)]
    table = json.loads(make_fields.make(wheels))
    foo: dict[str, list[Any]] = {
        "auto_mapping": ["0.9", None, "dict | None", None],
        "gone": ["0.9", "0.9", "bool", False],
        "init": ["0.21", None, "Init | str", "text"],
        "kind": ["0.21", None, "Literal['a', 'b']", "a"],
        "needed": ["0.21", None, "int"],
        "pattern": ["0.21", None, "dict[str, list[int]]", {}],
        "r": ["0.9", None, "int | None", 4],
        "sub": ["0.21", None, "SubConfig | None", None],
        "targets": ["0.9", None, "list[str] | str | None", []],
    }
    since_bar = {key: ["0.21", *row[1:]] for key, row in foo.items() if key != "gone"}
    assert table == {"BAR": since_bar, "FOO": foo}


def test_script_takes_unpacked_wheels_and_writes_one_line_a_type(tmp_path: Path) -> None:
    folder = tmp_path / "peft-0.21.2-py3-none-any.whl"
    with zipfile.ZipFile(_wheel(tmp_path / ".", "0.21.1", NEW)) as archive:
        archive.extractall(folder)
    text = make_fields.make([folder])
    assert len(text.splitlines()) == 2 + 2


def test_script_refuses_a_key_that_went_away_and_came_back(tmp_path: Path) -> None:
    wheels = [_wheel(tmp_path, "0.1.0", OLD), _wheel(tmp_path, "0.2.0", NEW), _wheel(tmp_path, "0.3.0", OLD)]
    with pytest.raises(ValueError, match=r"FOO.gone is in 0.1 and 0.3, but not in between"):
        make_fields.make(wheels)


def test_script_wants_wheels_of_peft(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not named like a wheel of PEFT"):
        make_fields.make([tmp_path / "transformers-5.0.0-py3-none-any.whl"])


def test_shipped_table_is_what_the_script_makes() -> None:
    """With `ADAPTERLINT_PEFT_WHEELS`: paths of wheels, joined as in `PATH`; all releases, or the test fails."""
    if not (paths := os.environ.get("ADAPTERLINT_PEFT_WHEELS")):
        pytest.skip("ADAPTERLINT_PEFT_WHEELS does not name the wheels of PEFT")
    shipped = resources.files("adapterlint.peft").joinpath("fields.json").read_text("utf-8")
    assert make_fields.make(Path(path) for path in paths.split(os.pathsep)) == shipped


def test_installed_peft_has_the_keys_of_its_release() -> None:
    spec = importlib.util.find_spec("peft")
    if spec is None or spec.origin is None:
        pytest.skip("PEFT is not installed")
    release = ".".join(importlib.metadata.version("peft").split(".")[:2])
    if release not in ("0.21",):
        pytest.skip(f"PEFT {release} is not the newest release in the table")
    package = Path(spec.origin).parent
    found = make_fields.fields_in(file.read_text("utf-8") for file in sorted(package.rglob("*.py")))
    for name, rows in found.items():
        shipped = {key: field for key, field in fields_of(name).items() if field.until is None}
        assert {key: [field.annotation, field.default] for key, field in shipped.items()} == rows
