"""CFG117."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapterlint import Config, Finding, Patch, Severity, listed, rule, shown
from adapterlint.caches import kept
from adapterlint.lint.example import DROP
from adapterlint.peft.dropped import DROPS_SINCE, matters
from adapterlint.peft.fields import Field, fields_of
from adapterlint.peft.methods import METHODS, Method
from adapterlint.peft.releases import RELEASES

_WARNS = RELEASES.index(DROPS_SINCE)  # from here on an unknown key is a warning instead of a TypeError

_LORA_KEYS = (
    *("fan_in_fan_out", "init_lora_weights", "lora_alpha", "lora_dropout", "trainable_token_indices", "use_dora"),
    *("use_rslora", "rank_pattern", "alpha_pattern"),
)
_OFT = {"peft_type": "OFT", "r": 0, "oft_block_size": 4, "init_weights": True} | dict.fromkeys(_LORA_KEYS, DROP)
_OFT_TENSORS: dict[str, Any] = {"*": DROP} | {
    f"base_model.model.model.layers.{layer}.self_attn.{module}.oft_R.weight": ("F32", (4, 6))
    for layer in (0, 1)
    for module in ("q_proj", "v_proj")
}


@rule(
    "CFG117",
    Severity.WARNING,
    since="0.1",
    bad=Patch(config=_OFT | {"rank_pattern": {"q_proj": 2}}, tensors=_OFT_TENSORS),
    good=Patch(config=_OFT | {"rank_pattern": {}}, tensors=_OFT_TENSORS),
    source="peft/config.py, PeftConfigMixin.from_peft_type; the config classes of each release",
)
def key_not_in_release(config: Config) -> Iterator[Finding]:
    """A PEFT release that must load the adapter does not have a key of its config.

    From 0.14 on such a release ignores the key with a warning, and the adapter is loaded as if it were not there:
    this is reported where the value is not the default and matters after training. Releases before 0.14 refuse
    every key that they do not know, whatever its value: `TypeError: ... got an unexpected keyword argument`, an
    error. PEFT writes all keys that it has, so a config of a new release fails there. Without settings the newest
    release is the one that counts.

    Require the release that brought the key, or remove keys that stand at their defaults.
    """
    method = METHODS.get(config.peft_type)
    if method is None:
        return
    for field in _changing(method):
        if field.name in config:
            yield from _ignored(config, field, method)
    yield from _refused(config, method)


@kept(256)
def _changing(method: Method) -> tuple[Field, ...]:
    """The keys that not all releases of a type have."""
    fields = fields_of(method.name).values()
    return tuple(f for f in fields if f.since != method.since or f.until != method.until)


def _ignored(config: Config, field: Field, method: Method) -> Iterator[Finding]:
    value = config.get(field.name)
    if not matters(field, value):
        return
    first = max(_WARNS, RELEASES.index(method.since))
    if RELEASES.index(field.since) > first:
        yield Finding(
            f"{shown(field.name)} is {shown(value)}, but {shown(config.peft_type)} has this key since PEFT "
            f"{field.since}: earlier releases ignore it with a warning and load the adapter without it",
            at=config.at(field.name),
            help=f"Require `peft>={field.since}`.",
            peft=f">={RELEASES[first]},<{field.since}",
        )
    if field.until is not None and field.until != method.until:
        last = RELEASES[RELEASES.index(field.until) + 1]
        yield Finding(
            f"{shown(field.name)} is {shown(value)}, but {shown(config.peft_type)} lost this key in PEFT {last}, "
            "which ignores it with a warning and loads the adapter without it",
            at=config.at(field.name),
            help=f"Use `peft<{last}`, or remove the key if the adapter was trained without it.",
            peft=f">={last}",
        )


def _refused(config: Config, method: Method) -> Iterator[Finding]:
    """The releases before 0.14: one finding for each set of keys that came together."""
    for since, keys, newest in _refusing(method, tuple(config.values)):
        noun = "this key" if len(keys) == 1 else "these keys"
        yield Finding(
            f"PEFT before {since} does not know {listed(keys, word='keys')} and raises a `TypeError`",
            at=config.at(keys[0], key=True),
            help=f"Require `peft>={newest}`, or remove {noun} for that release if nothing but defaults stands there.",
            severity=Severity.ERROR,
            peft=f"<{since}" if method.since == RELEASES[0] else f">={method.since},<{since}",
        )


@kept(256)  # adapters of one recipe have the same keys
def _refusing(method: Method, present: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """For each release that refuses: before which, the keys, and the release that brought the last of them."""
    fields = fields_of(method.name)
    groups: dict[str, list[Field]] = {}
    for key in present:
        if key not in fields:
            continue
        since = RELEASES[min(RELEASES.index(fields[key].since), _WARNS)]
        if RELEASES.index(since) > RELEASES.index(method.since):
            groups.setdefault(since, []).append(fields[key])
    return tuple(
        (since, tuple(f.name for f in found), max((f.since for f in found), key=RELEASES.index))
        for since, found in groups.items()
    )
