"""The keys of `adapter_config.json`: which PEFT type has which, since when, and what may stand there.

The table in `fields.json` is made by `tests/peft/make_fields.py` from the config dataclasses of every release line
(`peft/config.py`, `peft/tuners/*/config.py`, PEFT 0.10 to 0.21).
"""

from __future__ import annotations

import ast
import enum
import functools
import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from adapterlint.peft.methods import METHODS

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class Missing(enum.Enum):
    """The type of `MISSING`, which stands where a key has no default."""

    MISSING = enum.auto()


MISSING: Final = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Field:
    """One key that the config class of a PEFT type takes.

    Args:
        name: The key.
        since: First release line where the type has it (`"0.10"`: or earlier).
        until: Last release line where it has it; `None` if the newest one still does.
        annotation: Its type in PEFT's source (newest release with the key) in one spelling: `list[str] | str | None`.
        default: What PEFT takes where the key is absent, as JSON; `MISSING` if there is none.
    """

    name: str
    since: str
    until: str | None
    annotation: str
    default: Any


_NONE: Mapping[str, Field] = MappingProxyType({})


def token_key(peft_type: str | None) -> str:
    """The key of the indices of token rows."""
    return "token_indices" if "token_indices" in fields_of(peft_type or "") else "trainable_token_indices"


def fields_of(peft_type: str) -> Mapping[str, Field]:
    """All keys that a type had in any release, by name; empty for a type that PEFT never had."""
    return _fields_of(peft_type) if peft_type in _table() else _NONE


def reads(peft_type: str, key: str) -> bool:
    """Whether a type has a key, and looks at it when an adapter is loaded and run."""
    return key in fields_of(peft_type) and not METHODS[peft_type].config.passes_over(key)


@functools.cache
def defaults_of(peft_type: str) -> Mapping[str, Any]:
    """The defaults of the keys that a type had in any release, of those keys that have one."""
    return {name: field.default for name, field in fields_of(peft_type).items() if field.default is not MISSING}


def types_with(key: str) -> Mapping[str, Field]:
    """The PEFT types that have a key in some release, with what they say about it; in alphabetical order."""
    return _types().get(key, _NONE)


@functools.cache
def _fields_of(peft_type: str) -> Mapping[str, Field]:
    rows = _table()[peft_type]
    return MappingProxyType({name: Field(name, *row, *([MISSING] * (4 - len(row)))) for name, row in rows.items()})


@functools.cache
def _types() -> Mapping[str, Mapping[str, Field]]:
    """Key -> type -> what it says about the key."""
    types: dict[str, dict[str, Field]] = {}
    for name in _table():
        for key, field in fields_of(name).items():
            types.setdefault(key, {})[name] = field
    return {key: MappingProxyType(fields) for key, fields in types.items()}


def wrong_type(peft_type: str, key: str, value: object) -> str | None:
    """What was expected instead of `value`, in words; `None` if PEFT can live with it.

    Only the JSON type is judged, and only against keys that the PEFT type has: a word outside a `Literal` is another
    matter. What loads as if the right type stood there passes, see `_tolerated`.

    Returns:
        Words such as `"a list of strings, a string or null"`.
    """
    field = fields_of(peft_type).get(key)
    if field is None or (type(value) is type(field.default) and value == field.default):
        return None
    annotation = field.annotation
    said = METHODS[peft_type].config
    if key in _NULL_FAILS and not said.null_patterns:
        annotation = annotation.removesuffix(" | None")
    if _conforms(annotation, value) or said.passes_over(key) or _tolerated(key, annotation, value):
        return None
    return _words(annotation)


@functools.cache
def _table() -> dict[str, dict[str, list[Any]]]:
    from importlib import resources  # imports slowly

    text = resources.files("adapterlint.peft").joinpath("fields.json").read_text("utf-8")
    table: dict[str, dict[str, list[Any]]] = json.loads(text)
    return table


def _conforms(annotation: str, value: Any) -> bool:
    if isinstance(value, list | dict):
        return _validates(annotation, value)
    kind: Callable[[], object] = type(value)
    return _scalar_conforms(annotation, kind)


@functools.cache
def _scalar_conforms(annotation: str, kind: Callable[[], object]) -> bool:
    return _validates(annotation, kind())


_JSON_NULL = type(None)
_ATOMS: Mapping[str, Any] = MappingProxyType(
    {"None": _JSON_NULL, "bool": bool, "int": int, "float": float, "str": str, "dict": dict[str, Any]}
)
_OBJECT_SUFFIX = "Config"
"""Nested config classes are objects in JSON; every other class in an annotation is an enumeration of strings."""


def _validates(annotation: str, value: object) -> bool:
    from pydantic import ValidationError  # imports slowly, and most configs hold scalars only

    try:
        _adapter(annotation).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


@functools.cache
def _adapter(annotation: str) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(_type(ast.parse(annotation, mode="eval").body))


def _type(node: ast.expr) -> Any:
    match node:
        case ast.BinOp(left=left, right=right):
            return operator.or_(_type(left), _type(right))
        case ast.Subscript(value=ast.Name(id="list" | "tuple"), slice=items):
            # a tuple is a list in JSON, and its items are all of one type in PEFT
            return list[_type(items.elts[0] if isinstance(items, ast.Tuple) else items)]  # type: ignore[misc]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, items])):
            return dict[str, _type(items)]  # type: ignore[misc]
        case ast.Name(id=name) if name.endswith(_OBJECT_SUFFIX):
            return _ATOMS["dict"]
        case ast.Name(id=name):
            return _ATOMS.get(name, str)
        case ast.Constant(value=None):
            return _JSON_NULL
        case _:  # Literal: its words are for the rules that know what PEFT does with others
            return str


_SINGULAR: Mapping[str, str] = MappingProxyType(
    {"None": "null", "bool": "true or false", "int": "an integer", "float": "a number", "dict": "an object"}
)
_PLURAL: Mapping[str, str] = MappingProxyType(
    {"int": "integers", "float": "numbers", "str": "strings", "dict": "objects"}
)


@functools.cache
def _words(annotation: str) -> str:
    """`"a list of strings, a string or null"` for `list[str] | str | None`."""
    members = list(dict.fromkeys(_member_words(ast.parse(annotation, mode="eval").body)))
    if "a number" in members and "an integer" in members:
        members.remove("an integer")
    if "true or false" in members and len(members) > 1:
        members = ["true", "false", *(member for member in members if member != "true or false")]
    *most, last = members
    return f"{', '.join(most)} or {last}" if most else last


def _member_words(node: ast.expr) -> list[str]:
    match node:
        case ast.BinOp(left=left, right=right):
            return _member_words(left) + _member_words(right)
        case ast.Subscript(value=ast.Name(id="list" | "tuple"), slice=items):
            return [f"a list of {_plural(items)}"]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, items])):
            return [f"an object of {_plural(items)}"]
        case ast.Name(id=name) if name.endswith(_OBJECT_SUFFIX):
            return ["an object"]
        case _:
            return [_SINGULAR.get(ast.unparse(node), "a string")]


def _plural(node: ast.expr) -> str:
    match node:
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[first, _])):
            return f"pairs of {_plural(first)}"
        case ast.Subscript(value=ast.Name(id="list"), slice=items):
            return f"lists of {_plural(items)}"
        case ast.BinOp(left=left, right=right):
            return re.sub(r"^integers or numbers$", "numbers", f"{_plural(left)} or {_plural(right)}")
        case _:
            return _PLURAL.get(ast.unparse(node), "strings")


# What PEFT 0.21.2 did when every key of every type was given some twenty JSON values, one at a time, in an adapter on a
# tiny Llama that was then loaded and run. What is not listed here failed, or gave another output.

_NULL_FAILS = frozenset(
    {"alpha_pattern", "block_size_pattern", "lambda_pattern", "n_frequency_pattern", "rank_pattern"}
)
"""Annotated as optional, but `.keys()` is asked of them at once."""

_NOT_READ = frozenset(
    {
        # overwritten on load, or replaced by what fits the module
        *("inference_mode", "fan_in_fan_out", "runtime_config"),
        # only read in training or when weights are initialised, which the file's tensors then replace
        *("asa_importance_beta", "asa_schedule_exponent", "asa_target_subspaces", "asa_uncertainty_beta"),
        *("auxiliary_loss_weight", "beta1", "beta2", "deltaT", "eps", "final_warmup", "init_scale"),
        *("init_ia3_weights", "init_v_bound", "init_warmup", "mask_interval", "mask_type", "progressbar"),
        *("prefix_projection", "rank_dropout", "rank_dropout_scale", "target_r", "use_asa", "use_dynamic_rank"),
        *("encoder_dropout", "encoder_hidden_size", "encoder_num_layers", "encoder_reparameterization_type"),
        *("opt_loss_decay_factor", "opt_projection_epsilon", "opt_projection_format_epsilon"),
        *("opt_weighted_loss_type", "prompt_tuning_init", "prompt_tuning_init_state_dict_path"),
        *("prompt_tuning_init_task", "prompt_tuning_init_text", "tokenizer_name_or_path", "enable_softmax_topk"),
        # only read beside another key that switches them on, or never
        *("boft_n_butterfly_factor", "cayley_neumann_eps", "loftq_config", "megatron_core", "mini_r"),
        *("num_attention_heads", "psoft_svd_lowrank_niter", "qalora_group_size", "svd_threshold"),
        *("target_svd_config", "xlora_size"),
        # only read by `AutoPeftModel`, by OFT (`peft_version`), or by nobody
        *("auto_mapping", "peft_version", "revision"),
    }
)

_CONVERTED = frozenset({"delora_lambda", "effective_rank"})
"""Given to `float` or `int` first, which read text too."""

_ANY_NUMBER = frozenset(
    {"alpha", "lora_alpha", "psoft_alpha", "randlora_alpha", "tfinal", "tinit", "total_step"}
    | {"num_frozen_tokens", "subspace_rank"}
)
"""Integers by annotation that are only computed with."""

_OFF_WHEN_FALSY = frozenset(
    {"alora_invocation_tokens", "exclude_modules", "init_lora_weights", "layer_replication", "layers_pattern"}
    | {"megatron_config", "modules_to_save", "monteclora_config", "shadow_dropout", "shadow_num_hidden_layers"}
    | {"target_parameters", "tokenizer_kwargs", "update_hidden_size"}
)
_ITERATED = frozenset(
    {"exclude_modules", "feedforward_modules", "modules_to_save", "target_modules", "target_parameters"}
)
"""An object does as a list of its keys."""
_ANY_ITEMS = frozenset({"cpt_mask", "cpt_token_ids", "exclude_modules", "target_parameters"})
"""Only counted, or put into text, where `1` is as good as `"1"`."""

_OTHERS_FINDING = frozenset({"modules_to_save", "target_parameters"})
"""A string for a list, which other rules report with what PEFT does: it takes the letters, or refuses."""

_MORE_THAN_TRUTH = frozenset({"init_weights", "select_top"})
"""Booleans that are compared with `is`, or computed with; all others are only asked whether they are truthy."""
_HASHED = frozenset({"runtime_offload_base_weight", "save_precomputed_indices", "save_projection"})
"""Booleans that are put into a set, so that no list or object can stand there."""
_TRUE_WORDS = frozenset({"1", "on", "t", "true", "y", "yes"})


def _tolerated(key: str, annotation: str, value: object) -> bool:
    """Whether a value of the wrong type does what the right one does, or is never looked at."""
    if key in _NOT_READ:
        return True
    if key in _OTHERS_FINDING and isinstance(value, str):
        return True
    if (key in _OFF_WHEN_FALSY and not value) or (key in _ITERATED and isinstance(value, dict)):
        return True
    if isinstance(value, list) and key in _ANY_ITEMS:
        return True
    if annotation in ("bool", "bool | None") and key not in _MORE_THAN_TRUTH:
        return _asks_truth_right(key, value)
    if key in _CONVERTED and isinstance(value, str):
        return value.strip().lstrip("+-").replace(".", "", 1).isdigit()
    # a bool is a number in Python, and `init_weights: false` is what ADAMSS expects
    if isinstance(value, float | bool):
        is_number = "float" in annotation.split(" | ") or key in _ANY_NUMBER | _CONVERTED
        return is_number or (key == "init_weights" and value is False)
    return False


def _asks_truth_right(key: str, value: object) -> bool:
    """Whether `bool(value)` is what the author of a config meant: not so for `"false"`."""
    if isinstance(value, list | dict):
        return not value and key not in _HASHED
    return not isinstance(value, str) or not value or value.strip().lower() in _TRUE_WORDS
