"""CFG114."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapterlint import Config, Finding, Severity, listed, rule, shown
from adapterlint.lint.example import DROP
from adapterlint.peft.fields import MISSING, Field, fields_of, types_with
from adapterlint.peft.releases import NEWEST
from adapterlint.peft.writer import is_newer, written_by
from adapterlint.words import counted, suggestion

# What people write for a key of PEFT's, in the order in which a type may have them.
_OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "alpha": ("lora_alpha",),
    "dropout": ("lora_dropout",),
    "lora_r": ("r",),
    "lora_rank": ("r",),
    "lora_target_modules": ("target_modules",),
    "lora_target": ("target_modules",),
    "additional_target": ("modules_to_save",),
    "base_model": ("base_model_name_or_path",),
    "base_model_name": ("base_model_name_or_path",),
    "rank": ("r",),
    "rslora": ("use_rslora",),
    "dora": ("use_dora",),
}
# Keys of LoraConfig before 0.3, at the values that they had by default. PEFT itself wrote them.
_OLDEST: Mapping[str, Any] = {"enable_lora": None, "merge_weights": False}
MAX_GUESSED = 50  # unknown keys of one config for which a likeness is looked for
_IGNORED = "PEFT ignores it with a warning"
_WARNS = ">=0.14"  # before, every unknown key was a TypeError


@rule(
    "CFG114",
    Severity.INFO,
    since="0.1",
    bad=(
        {"rank": 8, "r": DROP},
        {"feedforward_modules": ["down_proj"]},
        {"learning_rate": 0.0002},
        {"runtime_config": {"ephemeral_gpu_offload": False}},
    ),
    good=({"r": 8}, {"peft_version": "0.18.1", "auto_mapping": None, "revision": "main"}),
    source="peft/config.py, PeftConfigMixin.from_peft_type",
)
def unknown_key(config: Config) -> Iterator[Finding]:
    """The config has a key that its PEFT type never had.

    Since 0.14 PEFT drops such a key with a `UserWarning` (`Unexpected keyword arguments [...] for class ...`);
    earlier releases raise `TypeError: ... got an unexpected keyword argument`. What the key was to say is lost: if
    it stands in for a key that is missing, that one has PEFT's default, and this is a warning.

    Rename the key to the one that is meant, or remove it. Notes belong into the model card.
    """
    known = fields_of(config.peft_type)
    if not known:
        return
    plain = []
    unknown = [key for key in config.values if key not in known]
    if unknown:
        yield _refused(config, unknown)
    if "runtime_config" in config and "runtime_config" in known:
        yield Finding(
            "`runtime_config` in a file is ignored, with a warning",
            at=config.at("runtime_config", key=True),
            help="Remove it; pass `runtime_config` when a model is built.",
            peft=">=0.12",
        )
    for number, key in enumerate(unknown):
        if _is_oldest_default(config, key):
            continue
        meant = _meant(key, known, guess=number < MAX_GUESSED)
        if meant is not None and meant.name not in config:
            yield _instead(config, key, meant)
        elif key == "self":
            yield Finding(
                "`self` as a key makes PEFT raise `TypeError: ... got multiple values for argument 'self'`",
                at=config.at(key, key=True),
                help="Remove it.",
                severity=Severity.ERROR,
                peft=_WARNS,
            )
        elif key in _OLDEST and config.peft_type == "LORA":
            yield _oldest(config, key)
        else:
            plain.append(key)
    if plain:
        yield _ignored(config, plain)


def _is_oldest_default(config: Config, key: str) -> bool:
    return config.peft_type == "LORA" and key in _OLDEST and config.get(key) == _OLDEST[key]


def _oldest(config: Config, key: str) -> Finding:
    return Finding(
        f"{shown(key)} is {shown(config.get(key))}, a key of PEFT before 0.3 that later releases ignore: the layers "
        "are built without it",
        at=config.at(key),
        help="Load the adapter with the release that wrote it, or convert its tensors.",
        severity=Severity.WARNING,
        peft=_WARNS,
    )


def _refused(config: Config, keys: list[str]) -> Finding:
    return Finding(
        f"{shown(config.peft_type)} never had {listed(keys, word='keys')}: PEFT before 0.14 raises a `TypeError`",
        at=config.at(keys[0], key=True),
        help="Remove what is not PEFT's, or require `peft>=0.14`.",
        severity=Severity.ERROR,
        peft="<0.14",
    )


def _meant(key: str, known: Mapping[str, Field], *, guess: bool) -> Field | None:
    """The key that was probably meant: by another word, or by its likeness if no type has it as it is."""
    for word in _OTHER_WORDS.get(key.lower(), ()):
        if word in known:
            return known[word]
    if not guess or key.startswith(("_", "#", "/")) or types_with(key) or len(key) > 60:
        return None
    near = suggestion(key, known)
    # Short words are alike by chance, and `use_foo` is like `use_bar` for the part that says nothing.
    if near is None or len(key) < 5 or suggestion(key.removeprefix("use_"), [near.removeprefix("use_")]) is None:
        return None
    return known[near] if _distance_is_small(key.lower(), near.lower()) else None


def _distance_is_small(one: str, other: str) -> bool:
    """Whether two words differ in no more than two letters, or in `-` and `_` alone."""
    from difflib import SequenceMatcher

    one, other = one.replace("-", "_"), other.replace("-", "_")
    alike = sum(block.size for block in SequenceMatcher(None, one, other).get_matching_blocks())
    return max(len(one), len(other)) - alike <= 2


def _instead(config: Config, key: str, meant: Field) -> Finding:
    default = "" if meant.default is MISSING else f", so {shown(meant.name)} has its default {shown(meant.default)}"
    return Finding(
        f"{shown(config.peft_type)} has no key {shown(key)}: {_IGNORED}{default}",
        at=config.at(key, key=True),
        help=f"If {shown(meant.name)} is meant, rename the key.",
        severity=Severity.WARNING,
        peft=_WARNS,
    )


def _ignored(config: Config, keys: list[str]) -> Finding:
    at = config.at(keys[0], key=True)
    if is_newer(config):
        return Finding(
            f"PEFT up to {NEWEST} ignores {listed(keys, word='keys')} of a config that {written_by(config)} wrote",
            at=at,
            help="Load the adapter with that release, and update adapterlint to have it checked.",
            peft=_WARNS,
        )
    if len(keys) > 1:
        return Finding(
            f"{shown(config.peft_type)} never had the {counted(len(keys), 'key')} {listed(keys, word='keys')}: "
            "PEFT ignores them with a warning",
            at=at,
            help="Remove them; notes belong into the model card.",
            peft=_WARNS,
        )
    owners = list(types_with(keys[0]))
    whose = f", which is a key of {listed(owners, word='types')}" if owners else ""
    return Finding(
        f"{shown(config.peft_type)} never had the key {shown(keys[0])}{whose}: {_IGNORED}",
        at=at,
        help="Remove it" + (", or check that `peft_type` is the method that is meant." if owners else "."),
        peft=_WARNS,
    )
