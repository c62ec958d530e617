"""CFG122."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapterlint import Adapter, Config, Finding, Patch, Severity, listed, rule, shown
from adapterlint.lint.example import DROP
from adapterlint.peft.config_patterns import DUMMY_TARGETS, matches_targets
from adapterlint.peft.constructors import refusals
from adapterlint.peft.fields import fields_of
from adapterlint.peft.layout import layout
from adapterlint.peft.matching import ALL_LINEAR, names_module
from adapterlint.peft.patterns import compile_error, pattern
from adapterlint.peft.releases import between
from adapterlint.peft.target_forms import Form, form_of_entry, form_of_string

_NO_MATCH = "PEFT finds no module and raises a `ValueError`"
_MIN_CONDENSED = 20  # targets; PEFT shortens longer lists, and refuses an empty string there


def _alone(targets: object) -> Patch:
    """A config without weights beside it: with them, the tensors tell that they are not targeted."""
    return Patch(config={"target_modules": targets}, files={"adapter_model.safetensors": DROP})


@rule(
    "CFG122",
    Severity.ERROR,
    since="0.1",
    bad=(
        _alone(["all-linear"]),
        _alone("q_proj"),
        _alone("['q_proj', 'v_proj']"),
        _alone([]),
        _alone([".*q_proj"]),
        {"target_modules": ["q_proj", "v_proj", "gate_proj|up_proj"]},
    ),
    good=({"target_modules": ["q_proj", "self_attn.v_proj"]}, {"target_modules": ".*(q_proj|v_proj)"}),
    also=("missing-weights",),
    source="peft/tuners/tuners_utils.py, check_target_module_exists and inject_adapter",
)
def target_matches_nothing_by_form(adapter: Adapter) -> Iterator[Finding]:
    """`target_modules` is written in a form that matches nothing.

    A string is a regular expression for the whole name of a module (`re.fullmatch`), so `"q_proj"` only means a
    module of that name at the top of the model. The entries of a list are plain names or ends of names, so
    `"q_proj|v_proj"` or `".*q_proj"` in a list match nothing, and `"all-linear"` only has its meaning as a string.
    If nothing matches, loading ends in `ValueError: Target modules ... not found in the base model` (since 0.21 its
    subclass `NoMatchingPeftModuleError`); single entries that match nothing are passed over in silence, which is a
    warning.

    Where the file has tensors and none of their modules is targeted, another rule tells that, and this one is
    silent.

    Write names as a list, `["q_proj", "v_proj"]`, or one expression as a string, `".*\\.(q_proj|v_proj)"`.
    """
    config = adapter.config
    if config is None or not matches_targets(config):
        return
    targets = config.get("target_modules")
    if isinstance(targets, str):
        yield from _string(adapter, config, targets)
    elif isinstance(targets, list) and not targets:
        if not _own_modules(adapter, config):
            yield from _empty(config)
    elif isinstance(targets, list):
        entries = [target for target in targets if isinstance(target, str)]
        dead = {entry: form for entry in entries if (form := form_of_entry(entry)) is not None}
        if dead:
            yield from _list(adapter, config, entries, dead)


def _own_modules(adapter: Adapter, config: Config) -> Mapping[str, object]:
    """The modules that the file has tensors of the method for."""
    if adapter.header is None:
        return {}
    found = layout(adapter.header.tensors, config.peft_type)
    return found.tuned or found.tokens


def _has_parameters(config: Config) -> bool:
    """Whether parameters are targeted too, so that something may be left."""
    return bool(config.get("target_parameters")) and "target_parameters" in fields_of(config.peft_type)


def _empty(config: Config) -> Iterator[Finding]:
    for refusal in refusals(config.peft_type, config.values):
        if refusal.pointer == "/target_modules":
            yield Finding(
                f"`target_modules` is empty: PEFT raises a `{refusal.error}`",
                at=config.at("target_modules"),
                help="Name the modules that were tuned; the names of the tensors tell them.",
                peft=between(refusal.since, refusal.until),
            )


def _string(adapter: Adapter, config: Config, text: str) -> Iterator[Finding]:
    at, own = config.at("target_modules"), _own_modules(adapter, config)
    if not text:
        if not own and not _has_parameters(config):
            yield Finding(
                f"`target_modules` is an empty string: {_NO_MATCH}", at=at, help="Name the modules as a list."
            )
        return
    form = form_of_string(text)
    if form is None or text in (ALL_LINEAR, DUMMY_TARGETS) or compile_error(text) is not None:
        return
    if (own or not form.certain) and not _own_rows_left_out(config, text, own):
        return
    yield Finding(
        f"{shown(text)} as a string {form.reason}: {_NO_MATCH}",
        at=at,
        help=form.remedy,
        severity=Severity.WARNING if _has_parameters(config) else None,
    )


def _own_rows_left_out(config: Config, text: str, own: Mapping[str, object]) -> bool:
    """Whether token rows of the file are not targeted; of modules that the method tunes another rule tells it."""
    return config.peft_type == "TRAINABLE_TOKENS" and all(pattern(text).matches(m) is False for m in own) and bool(own)


def _list(adapter: Adapter, config: Config, entries: list[str], dead: Mapping[str, Form]) -> Iterator[Finding]:
    own = _own_modules(adapter, config)
    certain = {
        e: f for e, f in dead.items() if (f.certain or own) and not any(names_module(e, module) for module in own)
    }
    nothing = len(certain) == len(set(entries)) == len(set(map(str, config.get("target_modules"))))
    if not certain or (nothing and own):
        return
    by_form: dict[Form, list[str]] = {}
    for entry, form in certain.items():
        by_form.setdefault(form, []).append(entry)
    for form, names in by_form.items():
        refused = "" in names and len(entries) >= _MIN_CONDENSED and config.peft_type != "IA3"
        fails = (nothing and not _has_parameters(config)) or refused
        consequence = _NO_MATCH if nothing else "PEFT passes over it in silence"
        if refused:
            consequence = f"in a list of {_MIN_CONDENSED} or more PEFT raises a `ValueError`"
        yield Finding(
            f"{listed(names, word='entries')} in `target_modules` {form.reason}: {consequence}",
            at=config.at("target_modules", config.get("target_modules").index(names[0])),
            help=form.remedy,
            severity=None if fails else Severity.WARNING,
        )
