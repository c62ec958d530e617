"""The grammar of tensor names in a saved adapter.

`base_model.model.<module path in the base model>.<parameter>`; parameters that a whole tuner shares are
`base_model.<name>`, prompt learning writes bare names and `base_model.<module>.<parameter>` for whole modules
(PEFT, utils/save_and_load.py, `get_peft_model_state_dict`). The adapter's name is not in the keys.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from adapterlint.caches import kept

MAX_NAME = 4096  # characters; a longer name is nobody's module
PREFIX = "base_model.model."
SHARED_PREFIX = "base_model."
TOKENS = "trainable_tokens_delta"
_PROMPT_PARAMETERS = ("prompt_embeddings", "prefix_task_")  # of no module

# What keeps the original module one level deeper once PEFT has wrapped it: no components of the base's own paths.
_INNER = ("base_layer", "token_adapter")
INNER_PARTS = tuple(f".{part}." for part in _INNER)
# The two copies inside a wrapped whole module, in files that hold more than the adapter (`bias="all"`, or embeddings
# saved along): the base's own, and one under a name that PEFT never reads.
ORIGINAL, COPY = "original_module", "modules_to_save"

# What wraps a model during training and must be taken off before saving; a component anywhere in the path.
WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_fpw_module")
DDP = "module."  # DistributedDataParallel; only at the front, since a base may have a module of that name


class Role(StrEnum):
    """What a tensor of an adapter's file is for."""

    TUNER = "tuner"  # a parameter of the method, on a target module
    TOKENS = "tokens"  # replacement rows of an embedding
    PLAIN = "plain"  # named like a parameter of the base: of a whole module that is saved, or base weight
    SHARED = "shared"  # a parameter that the whole tuner shares
    FOREIGN = "foreign"  # outside PEFT's grammar: reaches nothing


class Key(NamedTuple):
    """A tensor's name, taken apart.

    Args:
        module: Path of the module in the base model, without what wraps it; empty for shared and foreign tensors.
        parameter: The rest, as it stands; it begins with `base_layer.` for the inner of several parameters of one
            module, with `original_module.` or `modules_to_save.` for the copies inside a wrapped whole module.
    """

    role: Role
    module: str
    parameter: str


@kept(2**17)  # adapters of one base repeat the same names
def split_key(key: str, tuner_prefix: str, prompt_learning: bool) -> Key:
    """Take a tensor's name apart.

    Args:
        key: The name as it stands in the file.
        tuner_prefix: What the method's parameters begin with, such as `lora_`; empty if the method has none.
        prompt_learning: Whether the method is a prompt learning one.
    """
    if len(key) > MAX_NAME:
        return Key(Role.FOREIGN, "", key)
    if prompt_learning:
        return _prompt_key(key)
    if key.startswith(PREFIX) and not key.startswith(PREFIX + PREFIX):
        return _in_module(key.removeprefix(PREFIX), tuner_prefix)
    if key.startswith(SHARED_PREFIX) and not key.startswith(PREFIX):
        return Key(Role.SHARED, "", key.removeprefix(SHARED_PREFIX))
    return Key(Role.FOREIGN, "", key)


def _prompt_key(key: str) -> Key:
    path = key.removeprefix(SHARED_PREFIX)
    if path == key:
        return Key(Role.FOREIGN if "." in key else Role.SHARED, "", key)
    doubled = path.startswith((SHARED_PREFIX, f"model.{SHARED_PREFIX}"))
    if doubled or path.rpartition(".")[2].startswith(_PROMPT_PARAMETERS):
        return Key(Role.FOREIGN, "", key)
    return _in_module(path, "")


def _in_module(path: str, tuner_prefix: str) -> Key:
    parts = path.split(".")
    for i, part in enumerate(parts):
        if part == TOKENS:
            start = i - 1 if i and parts[i - 1] == "token_adapter" else i
            return _key(Role.TOKENS, parts, start)
        if tuner_prefix and part.startswith(tuner_prefix):
            return _key(Role.TUNER, parts, i)
    start = next((i for i, part in enumerate(parts) if part in (ORIGINAL, COPY)), len(parts) - 1)
    return _key(Role.PLAIN, parts, start)


def _key(role: Role, parts: list[str], start: int) -> Key:
    """A name whose parameter begins at component `start`.

    Inside a path `base_layer` is no component of the base's own; right before the parameters of a method it tells a
    second wrapped `nn.Parameter` from the first (`target_parameters`), so there it stays with the parameter.
    """
    end = start
    while role is Role.TUNER and end and parts[end - 1] == "base_layer":
        end -= 1
    return Key(role, ".".join(p for p in parts[:end] if p not in _INNER), ".".join(parts[end:]))


def wrapper_in(key: str) -> str | None:
    """The training wrapper that a tensor's name still has in it, as it stands there, or `None`."""
    if key.startswith(DDP):
        return DDP
    parts = key.split(".")
    return next((f"{w}." for w in WRAPPERS if w in parts), None)
