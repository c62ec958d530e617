"""CFG123."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from adapterlint import Adapter, Config, Finding, Patch, Severity, listed, rule, shown
from adapterlint.peft.fields import fields_of
from adapterlint.peft.layout import layout
from adapterlint.peft.matching import ALL_LINEAR, MAX_TARGETS, MAX_WHOLE, Components, Targets
from adapterlint.peft.tasks import IMPLICIT_HEADS

_HEAD: Mapping[str, Any] = {"base_model.model.lm_head.weight": ("F32", (64, 16))}
_SCORE: Mapping[str, Any] = {"base_model.model.score.weight": ("F32", (2, 16))}
_LATE_HEADS = ("TOKEN_CLS", "QUESTION_ANS")  # PEFT adds these to modules_to_save after the targets are wrapped


@rule(
    "CFG123",
    Severity.ERROR,
    since="0.1",
    bad=(
        Patch(config={"target_modules": ["q_proj", "v_proj", "lm_head"], "modules_to_save": ["head"]}, tensors=_HEAD),
        Patch(
            config={"target_modules": ["q_proj", "v_proj", "lm_head"], "modules_to_save": ["lm_head"]}, tensors=_HEAD
        ),
        Patch(config={"target_modules": ["q_proj", "v_proj", "score"], "task_type": "TOKEN_CLS"}, tensors=_SCORE),
    ),
    good=Patch(config={"modules_to_save": ["lm_head"]}, tensors=_HEAD),
    source="peft/tuners/tuners_utils.py, check_target_module_exists; peft/utils/other.py, _set_trainable",
)
def target_and_module_to_save(adapter: Adapter) -> Iterator[Finding]:
    """A module is named in `target_modules` and in `modules_to_save`.

    It cannot be both tuned and saved whole. Named alike in both, it is saved whole and the target has no effect, in
    every release; if no other target is left, loading ends in a `ValueError`. But the two are compared in different
    ways: a target is left out if a *component* of its name is in `modules_to_save` (since 0.16), while a module is
    saved whole if its name only *ends* in an entry. With `"lm_head"` and `"head"` both happen, and loading ends in
    `TypeError: modules_to_save cannot be applied to modules of type <class 'peft.tuners.lora.layer.Linear'>`. So it
    does for the head that PEFT saves by itself, `classifier`, `score` or `qa_outputs`, if the task type is
    `TOKEN_CLS` or `QUESTION_ANS` and the head is a target.

    Name the module in one of the two.
    """
    config = adapter.config
    if config is None or config.get("target_modules") is None:
        return
    if not {"target_modules", "modules_to_save"} <= fields_of(config.peft_type).keys():
        return
    saved, task = config.strings("modules_to_save")[:MAX_WHOLE], str(config.get("task_type"))
    heads = IMPLICIT_HEADS.get(task, ())
    if not saved and not heads:
        return
    yield from _left_out(config, saved)
    if (wrapped := _wrapped(adapter, config, saved, heads if task in _LATE_HEADS else ())) is not None:
        yield wrapped


def _left_out(config: Config, saved: tuple[str, ...]) -> Iterator[Finding]:
    """Targets that are surely left out, by their names."""
    targets = config.strings("target_modules")[:MAX_TARGETS]
    left_out = _named_in(targets, saved)
    if not left_out:
        return
    at = config.at("target_modules", config.get("target_modules").index(left_out[0]))
    if len(left_out) == len(config.get("target_modules")) and not config.get("target_parameters"):
        yield Finding(
            f"All of `target_modules` is in `modules_to_save` too, {listed(left_out, word='modules')}: PEFT tunes "
            "nothing and raises a `ValueError`",
            at=at,
            help="Remove what is to be tuned from `modules_to_save`.",
        )
        return
    one = len(left_out) == 1
    yield Finding(
        f"{listed(left_out, word='modules')} in `target_modules` {'is' if one else 'are'} in `modules_to_save` too: "
        f"PEFT saves {'it' if one else 'them'} whole, and the {'target has' if one else 'targets have'} no effect",
        at=at,
        help=f"Remove {'it' if one else 'them'} from `target_modules`.",
        severity=Severity.INFO,
    )


def _named_in(targets: Iterable[str], saved: Iterable[str]) -> list[str]:
    """Those of some targets that are in `modules_to_save`, or have a component that is."""
    entries = frozenset(entry for entry in saved if entry)
    components = Components(entries)
    return [target for target in targets if target in entries or components.cover(target)]


def _wrapped(adapter: Adapter, config: Config, saved: tuple[str, ...], late: tuple[str, ...]) -> Finding | None:
    """A module that is tuned and then saved whole, if the file or the names prove one."""
    tails = tuple(entry for entry in (*saved, *late) if entry)
    if adapter.header is not None:
        found = layout(adapter.header.tensors, config.peft_type)
        module = _tuned_and_saved(config, (*found.plain, *found.tuned), saved, tails)
    else:
        module = _clash(config.strings("target_modules")[:MAX_TARGETS], saved, late)
    if module is None:
        return None
    entry = next(tail for tail in tails if module.endswith(tail))
    owner = f"which is {shown(entry)} in `modules_to_save`"
    if entry not in saved:
        owner = f"the head that PEFT saves whole for {shown(config.get('task_type'))}"
    elif entry != module:
        owner = f"whose name ends in {shown(entry)} of `modules_to_save`"
    return Finding(
        f"`target_modules` takes {shown(module)}, {owner}: PEFT raises a `TypeError` as it saves a tuned module whole",
        at=config.at("modules_to_save", saved.index(entry)) if entry in saved else config.at("target_modules"),
        help=f"Exclude it from the targets, or write its whole name, {shown(module)}, in `modules_to_save`.",
        severity=None if adapter.header is not None else Severity.WARNING,
        peft=">=0.16" if entry in saved else None,
    )


def _tuned_and_saved(
    config: Config, modules: Iterable[str], saved: tuple[str, ...], tails: tuple[str, ...]
) -> str | None:
    ends = [module for module in modules if module.endswith(tails)]
    if not ends:
        return None
    targets = Targets(config)
    everything = str(config.get("target_modules")).lower() == ALL_LINEAR
    at_top = [module for module in ends if everything and "." not in module]
    clashes = set(at_top).difference(_named_in(at_top, saved))
    return next((module for module in ends if module in clashes or targets.match(module)), None)


def _clash(targets: tuple[str, ...], saved: tuple[str, ...], late: tuple[str, ...]) -> str | None:
    """The first target that, if the base has it, is tuned and saved whole."""
    tails = tuple(entry for entry in saved if entry)
    ends = [target for target in targets if target in late or target.endswith(tails)]
    out = set(_named_in(ends, saved))
    return next((target for target in ends if target not in out), None)
