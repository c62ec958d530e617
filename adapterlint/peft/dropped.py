"""Keys of a config that a release of PEFT does not know, and what is lost where it drops them.

Since 0.14 `PeftConfigMixin.from_peft_type` (`peft/config.py`) takes unknown keys out with a warning and goes on; before
that they are a `TypeError`. What each key does stands in the config classes (`peft/tuners/*/config.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from adapterlint.peft.fields import MISSING, Field, fields_of
from adapterlint.peft.releases import in_range
from adapterlint.peft.tasks import IMPLICIT

DROPS_SINCE = "0.14"
"""The first release that drops unknown keys; those before refuse them."""

FOR_THE_RECORD = frozenset(
    {"peft_version", "runtime_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size"}
    | {"rank_dropout_scale", "random_seed", "generator_seed", "init_weights"}
)
"""Keys that change nothing of what a loaded adapter does: they are for training, or for the record."""

_SAYS: Mapping[str, str] = MappingProxyType(
    {
        "alora_invocation_tokens": "names the tokens from which on it acts",
        "alpha_pattern": "gives single layers another scaling",
        "arrow_config": "makes it choose between experts",
        "bias": "says whose biases it brings",
        "ensure_weight_tying": "keeps input and output embeddings tied",
        "exclude_modules": "leaves out modules that are targeted",
        "fan_in_fan_out": "says that weights are stored transposed",
        "kasa_config": "makes it KaSA, with a diagonal between its factors",
        "lora_bias": "gives its layers biases of their own",
        "modules_to_save": "names the modules that it brings whole",
        "monteclora_config": "makes it MonteCLoRA",
        "num_cayley_neumann_terms": "says how its rotations are computed",
        "oft_block_size": "gives the size of its rotations",
        "rank_pattern": "gives single layers another rank",
        "target_parameters": "names the parameters that it tunes",
        "trainable_token_indices": "names the tokens whose rows it replaces",
        "use_bdlora": "makes its factors block-diagonal",
        "use_cayley_neumann": "says how its rotations are computed",
        "use_qalora": "makes it QA-LoRA, with grouped inputs",
        "velora_config": "makes it VeLoRA",
    }
)
"""Key -> what it does, as the end of "the key, which ..."."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A key that a release takes out of a config before it reads it.

    Args:
        key: The key.
        value: Its value in the file.
        matters: Whether the adapter is another one without it: a key of its type in another release, with a value that
            is not the default and is read after training.
    """

    key: str
    value: Any
    matters: bool

    @property
    def role(self) -> str | None:
        """What the key does, as the end of "the key, which ...", if that matters."""
        return (_SAYS.get(self.key) or "is not at its default") if self.matters else None


def dropped(peft_type: str, values: Mapping[str, Any], release: str) -> tuple[Dropped, ...]:
    """The keys of a config that a release does not know, in alphabetical order.

    A release before 0.14 refuses the config for them instead. `runtime_config` is taken out by every release that knows
    it, with a warning of its own.
    """
    fields = fields_of(peft_type)
    unknown = [key for key in values if not _knows(fields.get(key), release) and not _is_runtime(key, release)]
    return tuple(Dropped(key, values[key], matters(fields.get(key), values[key])) for key in sorted(unknown))


def matters(field: Field | None, value: Any) -> bool:
    """Whether an adapter is another one if a key that its type has in some releases is dropped."""
    if field is None or field.name in FOR_THE_RECORD or field.default is MISSING:
        return False
    if value is None or value in ({}, []) or (type(value) is type(field.default) and value == field.default):
        return False
    # The heads that every release adds by itself.
    return not (field.name == "modules_to_save" and isinstance(value, list) and IMPLICIT.issuperset(_names(value)))


def _names(value: Iterable[Any]) -> Iterable[str]:
    return (str(name) for name in value)


def _knows(field: Field | None, release: str) -> bool:
    return field is not None and in_range(release, field.since, field.until)


def _is_runtime(key: str, release: str) -> bool:
    return key == "runtime_config" and in_range(release, "0.12", None)
